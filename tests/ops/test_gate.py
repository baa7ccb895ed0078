"""A bad analysis keeps the run from starting, and the run keeps the report."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from db import runs
from ingest.errors import Implausible
from ingest.sources.demo import CYCLE, DemoSource
from ops.errors import InputRefused
from ops.failures import explained
from tests.ops.fakes import FakeForecaster, save_model, settings
from tests.ops.histories import History


@pytest.fixture
def history(tmp_path) -> History:
    return History(tmp_path)


@pytest.fixture
def warm(monkeypatch):
    """A source whose stratosphere is too warm."""
    fetch = DemoSource.fetch

    def fetched(self, cycle, needs):
        analysis = fetch(self, cycle, needs)
        analysis.dataset["air_temperature"].loc[{"level": 100}] += 25.0
        return analysis

    monkeypatch.setattr(DemoSource, "fetch", fetched)


def test_a_bad_analysis_blocks_with_a_report(history, warm):
    forecaster = FakeForecaster()
    with pytest.raises(Implausible, match="air_temperature at 100 hPa: .* from the levels around it") as refused:
        history.run(forecaster)
    assert isinstance(explained(refused.value), InputRefused)
    assert forecaster.started_from == []
    (row,) = history.rows()
    assert row.state == "failed" and "air_temperature at 100 hPa" in row.error
    found = row.provenance["quality"]["findings"]
    assert found[0]["severity"] == "block"
    assert ("mean_temperature", "air_temperature", 100) in {
        (one["check"], one["variable"], one["level"]) for one in found
    }
    (event,) = (one for one in history.told(runs.events, row.id) if one.kind == "quality")
    assert "block: air_temperature at 100 hPa" in event.message


def test_where_the_mode_is_to_warn_it_is_told_and_goes_on(history, warm):
    history.settings = settings(history.directory, quality__mode="warn")
    history.run()
    (row,) = history.rows()
    assert row.state == "published" and row.provenance["quality"]["blocking"] > 0


def test_a_limit_of_the_configuration_lets_it_through(history, warm):
    limits = {f"quality__{name}": (1e9, float("inf")) for name in ("mean_temperature", "temperature_steps")}
    more = {f"quality__{name}": (0.0, 1e9) for name in ("hydrostatic", "hydrostatic_mean")}
    history.settings = settings(history.directory, **limits, **more)
    history.run()
    document = history.rows()[0].provenance["quality"]
    assert document["blocking"] == 0 and document["warnings"] > 0


def test_a_sound_analysis_has_an_empty_report(history):
    history.run()
    (row,) = history.rows()
    assert row.provenance["quality"] == {"blocking": 0, "warnings": 0, "findings": []}
    assert not [one for one in history.told(runs.events, row.id) if one.kind == "quality"]


def test_switched_off_nobody_looks(history, warm):
    history.settings = settings(history.directory, quality__mode="off")
    history.run()
    assert "quality" not in history.rows()[0].provenance


@pytest.fixture
def any_cycle(monkeypatch):
    """A source that has its one analysis at every cycle."""
    fetch = DemoSource.fetch

    def fetched(self, cycle, needs):
        return replace(fetch(self, CYCLE, needs), valid_time=cycle)

    monkeypatch.setattr(DemoSource, "fetch", fetched)


EARLIER = datetime(1959, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("formats", [("netcdf",), ("grib2",), ("grib2", "netcdf")])
def test_an_analysis_far_from_the_previous_forecast_blocks(history, any_cycle, formats):
    """The model that is none forecasts waves at 500 hPa that no analysis has."""
    history.settings = settings(history.directory, products__formats=formats)
    assert not history.run(cycle=EARLIER).already
    with pytest.raises(Implausible, match="geopotential at 500 hPa: .*previous forecast"):
        history.run()
    row = next(row for row in history.rows() if row.init_time == CYCLE)
    assert row.state == "failed"
    checks = {one["check"] for one in row.provenance["quality"]["findings"]}
    assert checks == {"background_rms", "background_greatest"}


def test_without_a_forecast_for_its_time_there_is_nothing_to_compare(history, any_cycle):
    history.run(cycle=datetime(1959, 1, 1, 18, tzinfo=UTC))
    history.run()
    assert {row.state for row in history.rows()} == {"published"}


def test_a_previous_forecast_that_cannot_be_read_is_told_and_counts_as_none(history, any_cycle, capsys):
    history.run(cycle=EARLIER)
    (key,) = (one.key for one in history.store.list("19590101/") if "-12h-" in one.key and one.key.endswith("ef.nc"))
    history.store.path(key).write_bytes(b"not what it was")
    history.run()
    assert {row.state for row in history.rows()} == {"published"}
    assert "no comparison with an earlier forecast" in "".join(capsys.readouterr())


def test_products_of_another_model_are_not_compared(history, any_cycle):
    history.run(cycle=EARLIER)
    save_model(history.settings.paths.models, "other")
    history.settings = settings(history.directory, forecast__model="other")
    history.run()
    assert {row.state for row in history.rows()} == {"published"}
