"""What a run is to be, settled before any work: its cycle, its specification and its identity."""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from db.runs import Identity
from forecast.checkpoint.native import Checkpoint
from forecast.spec import ForecastSpec
from forecast.times import format_cycle
from ops.config import Settings
from ops.errors import ConfigurationError, InputRefused

RECORDED_PACKAGES = ("sigmacast", "jax", "jaxlib", "flax", "numpy", "scipy", "xarray", "eccodes", "netCDF4")


@dataclass(frozen=True)
class Plan:
    """A run to be, or to be gone on with."""

    settings: Settings
    checkpoint: Checkpoint
    spec: ForecastSpec
    identity: Identity

    @property
    def cycle(self) -> datetime:
        """The initialisation time."""
        return self.spec.init_time

    @property
    def name(self) -> str:
        """The run's identifier: cycle, model, and six digits that tell its configuration apart."""
        mark = hashlib.sha256(f"{self.identity.model_hash}{self.identity.config_hash}".encode()).hexdigest()[:6]
        return f"{format_cycle(self.cycle)}-{self.checkpoint.name[:48]}-{mark}"

    def document(self, product: str) -> dict[str, Any]:
        """The plan for the run's row: enough to do it again."""
        spec: dict[str, Any] = asdict(self.spec) | {"init_time": self.cycle.isoformat()}
        hours = {f"{name}_hours": spec.pop(name) / timedelta(hours=1) for name in ("duration", "interval", "window")}
        source = self.settings.source.model_dump(mode="json")
        wanted = {"products": self.settings.products.chosen(), "charts": self.settings.charts.chosen()}
        ingest = self.settings.ingest.model_dump(mode="json", exclude={"cache", "cache_gib"})
        return spec | hours | {"product": product, "source": source, "ingest": ingest, **wanted}

    def seeds(self) -> dict[str, Any]:
        """What each member's randomness comes from."""
        return {
            "rule": "random keys are folded from the cycle and the member's number, and from nothing else",
            "cycle": format_cycle(self.cycle),
            "members": list(range(self.spec.members)),
        }


def plan(settings: Settings, checkpoint: Checkpoint, cycle: datetime) -> Plan:
    """Settle a run. Raises ConfigurationError for settings that do not fit together, InputRefused for no input."""
    spec = specification(settings, checkpoint.sha256, cycle)
    return Plan(settings, checkpoint, spec, Identity(checkpoint.sha256, cycle, _config_hash(settings, spec)))


def specification(settings: Settings, model_hash: str, cycle: datetime) -> ForecastSpec:
    """What is forecast. Raises ConfigurationError for settings that do not fit together."""
    wanted = settings.forecast
    try:
        return ForecastSpec(
            init_time=cycle,
            model_hash=model_hash,
            members=wanted.members,
            duration=timedelta(days=wanted.days),
            interval=timedelta(hours=wanted.interval_hours),
            window=timedelta(hours=wanted.window_hours),
            quorum=wanted.quorum,
            reseed_limit=wanted.reseed_limit,
            precision=wanted.precision,
            towers=wanted.towers,
        )
    except ValueError as error:
        raise ConfigurationError(f"the forecast's settings do not fit together: {error}") from error


def _config_hash(settings: Settings, spec: ForecastSpec) -> str:
    """SHA-256 over all that changes a product, the input's bytes included; not over where things are kept."""
    document = {
        "spec": spec.hash,
        "source": settings.source.name,
        "input": digest(settings.source.path) if settings.source.path else None,
        "products": settings.products.chosen(),
        "charts": settings.charts.chosen(),
        "ingest": _ingest(settings),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _ingest(settings: Settings) -> dict[str, Any]:
    """What of the analysis is chosen: how it may be put together, what members start from, the climatology's bytes."""
    chosen = settings.ingest
    names = {"chain", "degraded", "max_age_hours", "max_forcing_age_days", "initial_conditions"}
    climatology = digest(chosen.climatology) if chosen.climatology else None
    return chosen.model_dump(mode="json", include=names) | {"climatology": climatology}


def digest(path: Path) -> str:
    """SHA-256 over the contents of a file, or of a directory's files in the order of their names."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    try:
        for one in files:
            with one.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise InputRefused(f"the input {path} cannot be read: {error.strerror}") from error
    return total.hexdigest()


def software() -> dict[str, Any]:
    """The versions that a forecast may depend on."""
    found: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
