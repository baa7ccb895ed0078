"""The demo model and its analysis, shared by the tests of whole forecasts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from forecast import program_cache
from forecast.checkpoint import native
from forecast.checkpoint.native import Checkpoint
from forecast.spec import ForecastSpec
from ingest.source import ModelNeeds
from ingest.sources import open_source
from tests.conftest import CACHE_HOME

CYCLE = datetime(1959, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def _programs_are_compiled_once() -> None:
    """Forecasts of these tests share their programs, as those of an operational site do."""
    program_cache.keep_in(CACHE_HOME / "sigmacast" / "tests-programs")


@pytest.fixture(scope="session")
def demo_checkpoint(neuralgcm_data: Any) -> Checkpoint:
    return native.from_archive(neuralgcm_data.checkpoint, "demo", datetime(2026, 1, 1, tzinfo=UTC), "test")


@pytest.fixture(scope="session")
def demo_analysis() -> xr.Dataset:
    return open_source("demo", None).fetch(CYCLE, ModelNeeds(128, 64)).dataset


@pytest.fixture(scope="session")
def hourly(demo_checkpoint: Checkpoint) -> Callable[..., ForecastSpec]:
    """A specification of a few hours with hourly output and hourly windows."""

    def spec(hours: int, **changes: Any) -> ForecastSpec:
        hour = timedelta(hours=1)
        settings = {"members": 2, "duration": hours * hour, "interval": hour, "window": hour} | changes
        return ForecastSpec(CYCLE, demo_checkpoint.sha256, **settings)

    return spec


@pytest.fixture
def restart_dir(tmp_path: Path) -> Path:
    return tmp_path / "restart"
