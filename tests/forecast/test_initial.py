"""Members that start from analyses of their own, from an older analysis, and under a sea surface that changes."""

import dataclasses
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


def test_what_members_start_from_is_part_of_what_a_saved_window_belongs_to(
    demo_checkpoint, demo_analysis, hourly, tmp_path
):
    def identity(**options):
        initial = InitialConditions(demo_analysis, **options)
        return Ensemble(demo_checkpoint, hourly(2), initial, tmp_path)._hash

    plain = Ensemble(demo_checkpoint, hourly(2), demo_analysis, tmp_path)._hash
    assert plain == identity()
    assert len({plain, identity(hashes=("a",)), identity(hashes=("b",)), identity(age=HOUR)}) == 4


def test_the_model_carries_an_older_analysis_to_the_cycle(frames_of, demo_analysis, hourly):
    """It is then nearer to the forecast that began with the analysis than the analysis itself is."""
    later = CYCLE + 3 * HOUR
    began_then = frames_of(hourly(3, members=1, interval=3 * HOUR, window=3 * HOUR), demo_analysis)
    spec = dataclasses.replace(hourly(1, members=1), init_time=later)
    carried = frames_of(spec, InitialConditions(demo_analysis, 3 * HOUR))[0]
    assert carried.valid_time == began_then[-1].valid_time == later
    for name, level in (("air_temperature", 500), ("eastward_wind", 250)):
        analysed, truth, found = (one.data[name].sel(level=level) for one in (began_then[0], began_then[-1], carried))
        assert _rms(found - truth) < 0.5 * _rms(analysed - truth)


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


def test_a_foreseen_sea_surface_that_never_changes_is_a_held_one(demo_analysis):
    still = {
        f"{name}_by_day": demo_analysis[name].expand_dims(day=3).transpose("day", "longitude", "latitude")
        for name in FORCING_FIELDS
    }
    foreseen, held = forcing_of(demo_analysis.assign(still), CYCLE), forcing_of(demo_analysis, CYCLE)
    for hours in (0, 5, 24, 47, 48):
        for name, values in held.at(CYCLE + hours * HOUR).items():
            np.testing.assert_array_equal(foreseen.at(CYCLE + hours * HOUR)[name], values)
