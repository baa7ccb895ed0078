"""Members that start from analyses of their own, from an older analysis, and under a sea surface that changes."""

from datetime import timedelta

import numpy as np
import pytest
import xarray as xr

from forecast.ensemble import Ensemble
from forecast.errors import ForcingNotValid
from forecast.fields import FORCING_FIELDS
from forecast.forcing import DailyForcing, PersistedForcing, forcing_of
from forecast.initial import InitialConditions
from tests.forecast.conftest import CYCLE

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def warmer(analysis: xr.Dataset, by: float) -> xr.Dataset:
    return analysis.assign(air_temperature=analysis["air_temperature"] + np.float32(by))


@pytest.fixture(scope="module")
def frames_of(demo_checkpoint, tmp_path_factory):
    def forecast(spec, initial, directory=None):
        return list(Ensemble(demo_checkpoint, spec, initial, directory or tmp_path_factory.mktemp("restart")).frames())

    return forecast


@pytest.fixture(scope="module")
def alike(frames_of, demo_analysis, hourly):
    """Two members that start from one analysis."""
    return frames_of(hourly(1), demo_analysis)


def test_each_member_starts_from_its_own_analysis_and_the_control_as_ever(frames_of, demo_analysis, hourly, alike):
    asked = []

    def perturbed(member: int) -> xr.Dataset:
        asked.append(member)
        return warmer(demo_analysis, 2.0 * member)

    frames = frames_of(hourly(1), InitialConditions(demo_analysis, perturbed=perturbed, hashes=("a",)))
    assert asked == [1]
    assert frames[1].data.sel(member=0).equals(alike[1].data.sel(member=0))
    warmth = frames[0].data["air_temperature"] - alike[0].data["air_temperature"]
    assert float(warmth.sel(member=1).mean()) == pytest.approx(2.0, abs=0.5)


def test_one_analysis_for_all_is_the_same_however_it_is_given(frames_of, demo_analysis, hourly, alike):
    frames = frames_of(hourly(1), InitialConditions(demo_analysis))
    assert all(one.data.equals(other.data) for one, other in zip(frames, alike, strict=True))


def test_windows_of_other_analyses_are_not_gone_on_with(demo_checkpoint, demo_analysis, hourly, tmp_path, caplog):
    def ensemble(digest):
        initial = InitialConditions(demo_analysis, perturbed=lambda member: demo_analysis, hashes=(digest,))
        return Ensemble(demo_checkpoint, hourly(2), initial, tmp_path)

    list(ensemble("a").frames())
    assert len(list(ensemble("a").frames(2 * HOUR))) == 1 and "not used" not in caplog.text
    list(ensemble("b").frames(2 * HOUR))
    assert "belongs to another forecast" in caplog.text


def test_the_model_carries_an_older_analysis_to_the_cycle(frames_of, demo_analysis, hourly):
    """An hour of the model brings it nearer to the forecast that began at the analysis than the analysis itself is."""
    later = CYCLE + 6 * HOUR
    began_then = frames_of(hourly(6, members=1, interval=6 * HOUR, window=6 * HOUR), demo_analysis)[-1]
    spec = hourly(1, members=1)
    carried = frames_of(_at(spec, later), InitialConditions(demo_analysis, 6 * HOUR))[0]
    taken_as_is = frames_of(_at(spec, later), demo_analysis)[0]
    assert carried.valid_time == began_then.valid_time == later
    for name, level in (("air_temperature", 500), ("eastward_wind", 250)):
        truth = began_then.data[name].sel(level=level)
        near, far = (_rms(one.data[name].sel(level=level) - truth) for one in (carried, taken_as_is))
        assert near < 0.2 * far


def _at(spec, cycle):
    from dataclasses import replace

    return replace(spec, init_time=cycle)


def _rms(field: xr.DataArray) -> float:
    return float(np.sqrt((field**2).mean()))


def test_an_age_that_is_no_whole_hour_is_refused(demo_analysis):
    with pytest.raises(ValueError, match="whole hours"):
        InitialConditions(demo_analysis, timedelta(minutes=30))


@pytest.fixture
def foreseen(demo_analysis):
    """An analysis whose sea warms by a tenth of a degree a day for three days."""

    def by_day(name):
        rise = np.arange(4, dtype=np.float32)[:, None, None] * np.float32(0.1 if "temperature" in name else 0.0)
        return ("day", "longitude", "latitude"), demo_analysis[name].transpose("longitude", "latitude").values + rise

    return demo_analysis.assign({f"{name}_by_day": by_day(name) for name in FORCING_FIELDS})


def test_a_foreseen_sea_surface_begins_as_analysed_and_goes_on_linearly_between_days(foreseen, demo_analysis):
    forcing = forcing_of(foreseen, CYCLE)
    held = forcing_of(demo_analysis, CYCLE)
    assert isinstance(forcing, DailyForcing) and isinstance(held, PersistedForcing)
    for name in FORCING_FIELDS:
        np.testing.assert_array_equal(forcing.at(CYCLE)[name], held.at(CYCLE)[name])
    temperature = "sea_surface_temperature"
    for hours, rise in ((12, 0.05), (24, 0.1), (36, 0.15), (72, 0.3)):
        found = forcing.at(CYCLE + hours * HOUR)[temperature] - held.at(CYCLE)[temperature]
        np.testing.assert_allclose(found, rise, atol=1e-4)


def test_a_foreseen_sea_surface_ends_with_its_last_day(foreseen, demo_checkpoint, hourly, tmp_path):
    with pytest.raises(ForcingNotValid, match="for 3 days"):
        forcing_of(foreseen, CYCLE).at(CYCLE + 73 * HOUR)
    with pytest.raises(ForcingNotValid):
        Ensemble(demo_checkpoint, hourly(96, interval=24 * HOUR, window=24 * HOUR), foreseen, tmp_path)


def test_a_foreseen_sea_surface_that_never_changes_gives_the_forecast_of_a_held_one(
    frames_of, hourly, demo_analysis, alike
):
    still = {
        f"{name}_by_day": demo_analysis[name].expand_dims(day=3).transpose("day", "longitude", "latitude")
        for name in FORCING_FIELDS
    }
    frames = frames_of(hourly(1), demo_analysis.assign(still))
    assert frames[1].data.equals(alike[1].data)
