"""A model that is none: small synthetic frames through the real history, source, publisher and store."""

import os
import signal
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import xarray as xr

from forecast.checkpoint import native
from forecast.frame import Frame
from forecast.grids import GaussianGrid
from forecast.initial import InitialConditions
from forecast.spec import ForecastSpec
from forecast.times import lead_hours
from ops.config import Settings, load

LONGITUDES, LATITUDES = 16, 8
LEVELS = (500, 1000)
HOUR = timedelta(hours=1)


def save_model(directory: Path, name: str = "tiny") -> native.Checkpoint:
    """A checkpoint of one parameter on a grid of 16 by 8, saved where models are."""
    grid = GaussianGrid(LONGITUDES, LATITUDES)
    mask = xr.DataArray(np.zeros((LONGITUDES, LATITUDES), np.float32), dims=("longitude", "latitude"))
    static = xr.Dataset({"land_sea_mask": mask}, coords={"longitude": grid.longitudes, "latitude": grid.latitudes})
    params = {"tower|w": np.ones((2, 3), np.float32)}
    provenance = native.Provenance("tiny.pkl", "0" * 64, "2026-11-21T00:00:00+00:00", "0")
    sha256 = native.contents_sha256(params, static, "")
    checkpoint = native.Checkpoint(name, params, static, "", provenance, sha256)
    native.save(checkpoint, directory)
    return checkpoint


def settings(directory: Path, **options: object) -> Settings:
    """A two-day forecast by three members, the geopotential at 500 hPa published; all kept under one directory."""
    return load(options=choices(directory, **options))


def choices(directory: Path, **options: object) -> dict[str, object]:
    """What is chosen for it, by dotted keys."""
    small = {
        "database.url": f"sqlite:///{directory}/history.db",
        "store.url": str(directory / "products"),
        "paths.models": directory / "models",
        "paths.work": directory / "work",
        "forecast.model": "tiny",
        "forecast.members": 3,
        "forecast.days": 2.0,
        "forecast.interval_hours": 12,
        "products.levels": (500,),
        "products.fields": ("geopotential",),
        "products.formats": ("netcdf",),
        "charts.lead_hours": (),
        "charts.places": (),
    }
    return small | {name.replace("__", "."): value for name, value in options.items()}


def frame(spec: ForecastSpec, lead_time: timedelta, members: tuple[int, ...], offset: float = 0.0) -> Frame:
    """A frame of smooth fields that depend on the member and the lead time alone."""
    grid = GaussianGrid(LONGITUDES, LATITUDES)
    wave = np.cos(np.radians(grid.longitudes))[:, None] * np.cos(np.radians(grid.latitudes))[None, :]
    size = np.array([1.0 + 0.1 * member + 0.01 * lead_hours(lead_time) + offset for member in members])
    surface = (size[:, None, None] * wave).astype(np.float32)
    upper = np.repeat(surface[:, None], len(LEVELS), axis=1)
    dims, flat = ("member", "level", "longitude", "latitude"), ("member", "longitude", "latitude")
    variables = {
        "geopotential": (dims, 50_000.0 + 1_000.0 * upper),
        "air_temperature": (dims, 260.0 + 10.0 * upper),
        "surface_air_pressure": (flat, 100_000.0 + 500.0 * surface),
        "surface_geopotential": (("longitude", "latitude"), np.zeros_like(wave, dtype=np.float32)),
    }
    coordinates = {"member": list(members), "level": list(LEVELS)}
    horizontal = {"longitude": grid.longitudes, "latitude": grid.latitudes}
    data = xr.Dataset(variables, coords=coordinates | horizontal).astype(np.float32)
    data = data.assign_coords(coordinates | horizontal)
    return Frame(spec.init_time, lead_time, data)


@dataclass
class FakeForecaster:
    """Yields synthetic frames; can lose a member, fail, hang, be killed or be stopped at a lead time [h].

    Each frame takes `seconds`, a batch of more than `fits` members exhausts the memory, and each lead time reached is
    a line of the file `diary`. `frames_held` tells for each frame whether it was still in use when the next was asked.
    """

    fail_at: int | None = None
    kill_at: int | None = None
    signal_at: tuple[int, signal.Signals] | None = None
    lose_at: int | None = None
    hang_at: int | None = None
    seconds: float = 0.0
    fits: int | None = None
    diary: Path | None = None
    batches: list[int | None] = field(default_factory=list)
    error: Exception = field(default_factory=lambda: RuntimeError("the device fell off the bus"))
    started_from: list[int] = field(default_factory=list)
    analyses: list[xr.Dataset] = field(default_factory=list)
    initial: InitialConditions | None = None
    starts: list[xr.Dataset] = field(default_factory=list)
    frames_held: list[bool] = field(default_factory=list)

    def device(self) -> str:
        return "1 x Imagination (fake)"

    def start(self, checkpoint, spec, initial, restart_dir, batch_size, on_progress) -> "FakeForecast":
        restart_dir.mkdir(parents=True, exist_ok=True)
        (restart_dir / "window").write_text("state")
        self.analyses.append(initial.control)
        self.initial = initial
        self.starts = [initial.of(member) for member in range(spec.members)]
        self.batches.append(batch_size)
        return FakeForecast(self, spec, on_progress, batch_size)


class FakeForecast:
    def __init__(self, forecaster: FakeForecaster, spec: ForecastSpec, on_progress, batch_size: int | None) -> None:
        self.batch_size = batch_size or spec.members
        self._draining = False
        self._forecaster = forecaster
        self._spec = spec
        self._on_progress = on_progress
        self.lost: list[dict] = []

    def drain(self) -> None:
        self._draining = True

    def frames(self, from_lead: timedelta) -> Iterator[Frame]:
        self._forecaster.started_from.append(lead_hours(from_lead))
        total = self._spec.members * self._spec.duration / HOUR
        for lead_time in self._spec.lead_times:
            members = self._members(lead_hours(lead_time))
            if lead_time >= from_lead:
                self._mishap(lead_hours(lead_time))
                self._on_progress(lead_time, self._spec.members * lead_time / HOUR, total)
                made = [frame(self._spec, lead_time, members)]
                watched = weakref.ref(made[0])
                yield made.pop()
                self._forecaster.frames_held.append(watched() is not None)
                if self._draining:
                    return

    def _members(self, hours: int) -> tuple[int, ...]:
        if self._forecaster.lose_at is None or hours < self._forecaster.lose_at:
            return tuple(range(self._spec.members))
        last = self._spec.members - 1
        self.lost = [{"member": last, "lead_time_hours": self._forecaster.lose_at, "reason": "wind above 150 m/s"}]
        return tuple(range(last))

    def _mishap(self, hours: int) -> None:
        if self._forecaster.diary is not None:
            with self._forecaster.diary.open("a") as diary:
                diary.write(f"{hours}\n")
        time.sleep(self._forecaster.seconds)
        if self._forecaster.fits is not None and self.batch_size > self._forecaster.fits:
            raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 68719476736 bytes.")
        if self._forecaster.hang_at == hours:
            time.sleep(600)
        if self._forecaster.fail_at == hours:
            raise self._forecaster.error
        if self._forecaster.kill_at == hours:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._forecaster.signal_at is not None and self._forecaster.signal_at[0] == hours:
            os.kill(os.getpid(), self._forecaster.signal_at[1])


class JaxRuntimeError(RuntimeError):
    """As JAX calls what its compiler and its devices raise."""


class StillClock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 6, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now
