"""A bad analysis keeps the run from starting, and the run keeps the report."""

import pytest

from db import runs
from ingest.errors import Implausible
from ingest.sources.demo import DemoSource
from ops.errors import InputRefused
from ops.failures import explained
from tests.ops.fakes import FakeForecaster, settings
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
