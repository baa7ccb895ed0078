"""GRIB2 beside cfgrib's own writer: `python -m tests.bench_grib [--spacing 1] [--members 10] [--json FILE]`.

Both write the same fields on the same grid, packed with CCSDS to 16 bits, into files that both can read. Ours
decodes every message again and compares it; cfgrib's does not. Contenders take turns, so that a machine that
slows down slows all of them; reported are medians. Megabytes are those of the fields as float32.
"""

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import eccodes
import numpy as np
import xarray as xr
from cfgrib.xarray_to_grib import canonical_dataarray_to_grib

from forecast.grids import GaussianGrid, LatLonGrid
from ops.commands.output import table
from publish.layout import Layout
from publish.product import ProductSettings, Slab
from publish.quantities import PUBLISHABLE
from publish.writers import FrameHeader
from publish.writers.grib2 import Grib2Writer

FIELDS = ("air_temperature", "eastward_wind", "northward_wind", "geopotential_height")
LEVELS = (850, 500, 250)
START = datetime(2026, 11, 21, tzinfo=UTC)
OURS, ALONE, CFGRIB = "sigmacast", "sigmacast, one thread", "cfgrib to_grib"
_SIZES = {"air_temperature": (270, 25, 0.3), "geopotential_height": (5000, 400, 2.0)}
"""Mean, amplitude of waves and of noise; winds have the rest."""


def slabs(spacing: float, members: int) -> Iterator[Slab]:
    """Waves and noise, different for each member."""
    grid, random = LatLonGrid(spacing), np.random.default_rng(0)
    longitude, latitude = np.meshgrid(np.deg2rad(grid.longitudes), np.deg2rad(grid.latitudes))
    for name in FIELDS:
        mean, waves, noise = _SIZES.get(name, (5, 20, 0.5))
        for level in LEVELS:
            phases = random.uniform(0, 6, (members, 1, 1))
            values = mean + waves * np.cos(latitude) ** 2 * np.sin(5 * longitude + phases) * np.cos(3 * latitude)
            values += random.normal(0, noise, values.shape)
            yield Slab(PUBLISHABLE[name], level, tuple(range(members)), values.astype(np.float32))


def ours(given: list[Slab], spacing: float, directory: Path) -> None:
    """All messages by our writer."""
    settings = ProductSettings(levels=LEVELS, fields=FIELDS, probabilities=(), places=())
    layout, hours = Layout("bench", START, spacing), timedelta(hours=24)
    members, native = given[0].members, GaussianGrid(128, 64)
    header = FrameHeader(START, hours, members, len(members), LatLonGrid(spacing), native, layout)
    writer = Grib2Writer(header, settings, directory)
    for slab in given:
        writer.write(slab, None)
    writer.close()


def dataset(given: list[Slab], spacing: float) -> xr.Dataset:
    """The same fields as cfgrib wants them."""
    grid, members = LatLonGrid(spacing), given[0].members
    coordinates = {
        "number": list(members),
        "time": np.datetime64(START.replace(tzinfo=None), "ns"),
        "step": np.timedelta64(24, "h").astype("timedelta64[ns]"),
        "isobaricInhPa": [float(level) for level in LEVELS],
        "latitude": grid.latitudes,
        "longitude": grid.longitudes,
    }
    variables = {}
    for name in FIELDS:
        values = np.stack([slab.values for slab in given if slab.field.name == name], axis=1)
        short = PUBLISHABLE[name].short_name
        attributes = {"GRIB_shortName": short, "GRIB_typeOfLevel": "isobaricInhPa", "GRIB_gridType": "regular_ll"}
        variables[short] = (("number", "isobaricInhPa", "latitude", "longitude"), values, attributes)
    return xr.Dataset(variables, coords=coordinates)


def cfgribs(fields: xr.Dataset, path: Path) -> None:
    """All messages by cfgrib's writer, called beneath `to_grib`, which looks for functions that xarray moved."""
    logging.getLogger("cfgrib").setLevel(logging.CRITICAL)
    keys = {"edition": 2, "packingType": "grid_ccsds", "bitsPerValue": 16}
    with path.open("wb") as file:
        for values in fields.data_vars.values():
            canonical_dataarray_to_grib(values, file, grib_keys=keys)


def in_turns(contenders: dict[str, Callable[[], None]], repetitions: int) -> dict[str, list[float]]:
    """Seconds of each contender in each of its turns, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repetitions + 1):
        for name, work in contenders.items():
            began = time.perf_counter()
            work()
            if turn:
                times[name].append(time.perf_counter() - began)
    return times


def described(path: Path) -> tuple[int, set[tuple]]:
    """Number of messages of a file, and the ways that they are packed."""
    found = []
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            found.append((eccodes.codes_get(handle, "packingType"), eccodes.codes_get(handle, "bitsPerValue")))
            eccodes.codes_release(handle)
    return len(found), set(found)


def measured(spacing: float, members: int, repetitions: int) -> dict[str, Any]:
    """Medians, rates and ratios; both files are opened and found to hold the same messages, packed alike."""
    given = list(slabs(spacing, members))
    fields, messages = dataset(given, spacing), len(given) * members
    with tempfile.TemporaryDirectory(prefix="sigmacast-bench-") as name:
        directory = Path(name)

        def alone() -> None:
            with mock.patch("os.cpu_count", return_value=1):
                ours(given, spacing, directory)

        contenders = {
            OURS: lambda: ours(given, spacing, directory),
            ALONE: alone,
            CFGRIB: lambda: cfgribs(fields, directory / "cfgrib.grib2"),
        }
        times = in_turns(contenders, repetitions)
        files = {OURS: next(directory.glob("*-ef.grib2")), CFGRIB: directory / "cfgrib.grib2"}
        for path in files.values():
            if described(path) != (messages, {("grid_ccsds", 16)}):
                raise RuntimeError(f"expected {messages} messages of 16 bits in {path.name}, got {described(path)}")
        sizes = {name: path.stat().st_size for name, path in files.items()}
    megabytes = sum(slab.values.nbytes for slab in given) / 1e6
    seconds = {name: statistics.median(each) for name, each in times.items()}
    return {
        "processors": os.cpu_count(),
        "eccodes": eccodes.__version__,
        "spacing_degrees": spacing,
        "messages": messages,
        "megabytes": megabytes,
        "file_bytes": sizes,
        "repetitions": repetitions,
        "seconds": seconds,
        "messages_per_second": {name: messages / each for name, each in seconds.items()},
        "megabytes_per_second": {name: megabytes / each for name, each in seconds.items()},
        "faster_than_cfgrib": {name: seconds[CFGRIB] / each for name, each in seconds.items()},
    }


def main() -> None:
    """Measure, print, and write."""
    options = argparse.ArgumentParser(description="GRIB2 beside cfgrib's own writer.")
    options.add_argument("--spacing", type=float, default=1.0, help="of the grid [degrees]")
    options.add_argument("--members", type=int, default=10)
    options.add_argument("--repetitions", type=int, default=5)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    result = measured(given.spacing, given.members, given.repetitions)
    columns = ("seconds", "messages_per_second", "megabytes_per_second", "faster_than_cfgrib")
    rows = [(name, *(f"{result[column][name]:.2f}" for column in columns)) for name in result["seconds"]]
    title = f"{result['messages']} MESSAGES, {given.spacing:g}°"
    table((title, "SECONDS", "MESSAGES/S", "MB/S", "FASTER"), rows)
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
