"""The quality gate lets real analyses through and names variable, level and place of what is wrong with others."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.grids import LatLonGrid, Regridder
from ingest.analysis import Analysis
from ingest.errors import Implausible, Refused
from ingest.limits import DEFAULT_LIMITS, Limit
from ingest.quality import examine
from ingest.source import ModelNeeds
from ingest.sources import open_source
from ingest.sources.demo import CYCLE

NEEDS = ModelNeeds(64, 32)
T, Z, U, V, Q = ("air_temperature", "geopotential", "eastward_wind", "northward_wind", "specific_humidity")
SST, ICE = "sea_surface_temperature", "sea_ice_area_fraction"


@pytest.fixture(scope="module")
def sound() -> Analysis:
    return open_source("demo").fetch(CYCLE, NEEDS)


def changed(analysis: Analysis, name: str, change, level: int | None = None) -> Analysis:
    """The analysis with `change` made to the values [longitude, latitude] of a field, or to all levels of it."""
    data = analysis.dataset.copy(deep=True)
    where = data[name] if level is None else data[name].sel(level=level)
    where.values[...] = change(where.values)
    if level is not None:
        data[name].loc[{"level": level}] = where.values
    return replace(analysis, dataset=data)


def exchanged(analysis: Analysis, name: str, one: int, other: int) -> Analysis:
    data = analysis.dataset.copy(deep=True)
    values = analysis.dataset[name]
    data[name].loc[{"level": one}] = values.sel(level=other).values
    data[name].loc[{"level": other}] = values.sel(level=one).values
    return replace(analysis, dataset=data)


def at(column: int, row: int, change):
    """A change of one point."""

    def changing(values):
        values = values.copy()
        values[column, row] = change(values[column, row])
        return values

    return changing


def patch(value):
    def changing(values):
        values = values.copy()
        values[10:20, 10:20] = value
        return values

    return changing


def flipped(values):
    return values[..., ::-1]


def turned(values):
    return np.roll(values, values.shape[-2] // 2, axis=-2)


def test_the_analyses_of_era5_have_no_findings(sound):
    for needs in (NEEDS, ModelNeeds(16, 8), ModelNeeds(128, 64), ModelNeeds(256, 128)):
        assert examine(open_source("demo").fetch(CYCLE, needs)).findings == ()


def test_an_analysis_of_gfs_has_no_findings(samples):
    moment = datetime(2011, 1, 15, 12, tzinfo=UTC)
    source = open_source("files", samples / "gfs.t12z.pgrbf120.2p5deg.grib2")
    assert examine(source.fetch(moment, NEEDS)).findings == ()


DAMAGE = {
    "a missing value": (lambda a: changed(a, T, at(5, 20, lambda _: np.nan), 500), "missing", T, 500),
    "a missing humidity": (lambda a: changed(a, Q, at(5, 20, lambda _: np.nan), 850), "missing", Q, 850),
    "a missing sea": (lambda a: changed(a, SST, at(5, 20, lambda _: np.inf)), "missing", SST, None),
    "temperature in Celsius": (lambda a: changed(a, T, lambda t: t - 273.15, 850), "range", T, 850),
    "ice in per cent": (lambda a: changed(a, ICE, lambda c: 100 * c), "range", ICE, None),
    "humidity in g/kg": (lambda a: changed(a, Q, lambda q: 1000 * q, 700), "range", Q, 700),
    "a spike of temperature": (lambda a: changed(a, T, at(9, 15, lambda t: t + 40), 300), "spikes", T, 300),
    "a spike of wind": (lambda a: changed(a, U, at(9, 15, lambda u: u + 90), 850), "spikes", U, 850),
    "a patch of zeros": (lambda a: changed(a, V, patch(0.0), 500), "constant_area", V, 500),
    "a constant patch": (lambda a: changed(a, T, patch(281.3), 850), "constant_area", T, 850),
    "a constant field": (lambda a: changed(a, U, np.zeros_like, 10), "constant_area", U, 10),
    "a warm bias": (lambda a: changed(a, T, lambda t: t + 20, 100), "mean_temperature", T, 100),
    "height for geopotential": (lambda a: changed(a, Z, lambda z: z / 9.80665, 300), "mean_geopotential", Z, 300),
    "an offset of geopotential": (lambda a: changed(a, Z, lambda z: z + 2_000, 500), "hydrostatic", Z, 500),
    "a slight offset": (lambda a: changed(a, Z, lambda z: z + 200, 250), "hydrostatic_mean", Z, 225),
    "winds exchanged": (lambda a: changed(a, V, lambda v: a.dataset[U].values), "mean_northward_wind", V, 200),
    "humidity ten times": (lambda a: changed(a, Q, lambda q: np.minimum(3 * q, 0.04)), "mean_water", Q, None),
    "humidity of another level": (lambda a: exchanged(a, Q, 500, 850), "humidity_steps", Q, 500),
    "two levels of temperature": (lambda a: exchanged(a, T, 500, 700), "temperature_steps", T, 500),
    "two levels of wind": (lambda a: exchanged(a, U, 250, 850), "wind_steps", U, 850),
    "two levels of geopotential": (lambda a: exchanged(a, Z, 500, 550), "hydrostatic", Z, 500),
    "storm everywhere": (lambda a: changed(a, U, lambda u: 2.5 * u), "wind_speed", U, 225),
    "storm aloft": (lambda a: changed(a, U, lambda u: 1.5 * u, 1), "wind_speed_aloft", U, 1),
    "shear": (lambda a: changed(a, U, patch(75.0), 1000), "wind_shear", U, 975),
    "eastward wind upside down": (lambda a: changed(a, U, flipped), "geostrophic", U, 500),
    "northward wind upside down": (lambda a: changed(a, V, flipped), "geostrophic", V, 500),
    "wind of the other sign": (lambda a: changed(a, V, np.negative), "geostrophic", V, 300),
    "wind of another longitude": (lambda a: changed(a, U, turned), "geostrophic", U, 850),
    "geopotential of another longitude": (lambda a: changed(a, Z, turned), "geostrophic", V, 500),
}


@pytest.mark.parametrize("damage, check, variable, level", DAMAGE.values(), ids=DAMAGE)
def test_damage_blocks_and_is_named(sound, damage, check, variable, level):
    report = examine(damage(sound))
    found = [one for one in report.blocking if (one.check, one.variable, one.level) == (check, variable, level)]
    assert len(found) == 1, str(report)
    with pytest.raises(Implausible, match="not plausible"):
        report.require("block")


def test_everything_upside_down_blocks(sound):
    upside_down = sound
    for name in sound.dataset.data_vars:
        upside_down = changed(upside_down, str(name), flipped)
    assert {one.check for one in examine(upside_down).blocking} == {"geostrophic"}


def test_a_level_given_twice_is_told(sound):
    twice = changed(sound, V, lambda _: sound.dataset[V].sel(level=600).values, 650)
    (finding,) = (one for one in examine(twice).findings if one.check == "repeated_levels")
    assert (finding.severity, finding.variable, finding.level) == ("warn", V, 650)


@pytest.mark.parametrize("column, row", [(0, 1), (63, 31), (32, 16)])
def test_the_place_is_where_the_damage_is(sound, column, row):
    damaged = changed(sound, T, at(column, row, lambda t: t + 60.0), 500)
    (finding,) = (one for one in examine(damaged).findings if one.check == "spikes")
    assert finding.longitude == pytest.approx(sound.dataset["longitude"].values[column])
    assert finding.latitude == pytest.approx(sound.dataset["latitude"].values[row])
    assert f"{finding.longitude:.2f} E" in str(finding)
    assert "air_temperature at 500 hPa" in str(finding)


def test_the_report_is_json_and_gravest_first(sound):
    report = examine(changed(changed(sound, T, lambda t: t + 10.0, 925), U, patch(0.0), 500))
    document = json.loads(json.dumps(report.document))
    severities = [finding["severity"] for finding in document["findings"]]
    assert severities == sorted(severities)
    assert {"warn", "block"} == set(severities)
    assert document["blocking"] == severities.count("block")
    assert document["findings"][0]["limit"].keys() == {"warn", "block"}


def test_modes(sound):
    report = examine(changed(sound, T, at(3, 3, lambda t: t + 60.0), 500))
    report.require("warn")
    report.require("off")
    with pytest.raises(Refused, match=r"air_temperature at 500 hPa.* E"):
        report.require("block")


@pytest.mark.parametrize("limit, severity", [((0.1, 0.2), "block"), ((0.1, 90.0), "warn"), ((90.0, 90.0), None)])
def test_limits_decide(sound, limit, severity):
    warmer = changed(sound, T, lambda t: t + 10.0, 925)
    limits = DEFAULT_LIMITS._replace(mean_temperature=Limit(*limit))
    found = [one for one in examine(warmer, limits).findings if one.check == "mean_temperature" and one.level == 925]
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_every_limit_belongs_to_a_check(sound):
    """With limits below zero every check that has anything to measure tells it."""
    eager = DEFAULT_LIMITS._replace(**dict.fromkeys(DEFAULT_LIMITS._fields, Limit(-1.0, 1e9)))
    gap = changed(sound, T, at(0, 0, lambda _: np.nan), 1000)
    checks = {one.check for one in examine(gap, eager, forecast_of(sound)).findings}
    assert checks == set(DEFAULT_LIMITS._fields)


def forecast_of(analysis: Analysis, levels=(1000, 850, 500, 250, 50), error=0.0) -> xr.Dataset:
    """The analysis on a published grid, with an error of temperature."""
    grid = LatLonGrid(2.5)
    source = analysis.dataset.sel(level=list(levels))
    regrid = Regridder(NEEDS.grid, grid, "bilinear")
    fields = {}
    for name in (Z, T, U, V, Q):
        values = regrid(source[name].values, vector=name in (U, V))
        fields[name] = (("level", "longitude", "latitude"), values + (error if name == T else 0.0))
    return xr.Dataset(fields, {"level": list(levels), "longitude": grid.longitudes, "latitude": grid.latitudes})


def test_a_forecast_that_fits_finds_nothing(sound):
    assert examine(sound, previous=forecast_of(sound, error=1.0)).findings == ()


def test_a_forecast_that_does_not_fit_blocks(sound):
    """The analysis of another time passes every other check."""
    report = examine(sound, previous=forecast_of(sound, error=9.0))
    assert {(one.check, one.variable, one.level) for one in report.blocking} == {
        ("background_rms", T, level) for level in (1000, 850, 500, 250)
    }
    assert "previous forecast" in str(report)


def test_a_field_that_moved_differs_most_somewhere(sound):
    moved = replace(sound, dataset=sound.dataset.roll(longitude=16, roll_coords=False))
    assert not examine(moved).blocking
    found = examine(moved, previous=forecast_of(sound)).blocking
    assert {"background_rms", "background_greatest"} <= {one.check for one in found}
    assert all(one.latitude is not None for one in found)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from([Z, T, U, V]),
    level=st.sampled_from([10, 50, 250, 500, 850]),
    column=st.integers(0, 63),
    row=st.integers(0, 31),
    share=st.floats(1.2, 20.0),
    sign=st.sampled_from([-1, 1]),
)
def test_a_point_that_no_weather_reaches_blocks_wherever_it_is(sound, name, level, column, row, share, sign):
    size = share * {Z: 6_000.0, T: 50.0, U: 100.0, V: 100.0}[name]
    damaged = changed(sound, name, at(column, row, lambda value: value + sign * size), level)
    expected = np.array([NEEDS.grid.longitudes[column], NEEDS.grid.latitudes[row]])
    report = examine(damaged)
    places = [
        (one.longitude, one.latitude)
        for one in report.blocking
        if one.variable in (name, U) and one.longitude is not None
    ]
    assert any(np.allclose(place, expected) for place in places), str(report)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.0, 1.0))
def test_noise_as_small_as_packing_leaves_no_trace(sound, seed, share):
    rng, noisy = np.random.default_rng(seed), sound
    for name, size in ((Z, 5.0), (T, 0.1), (U, 0.1), (V, 0.1)):
        noisy = changed(noisy, name, lambda x, size=size: x + rng.uniform(-1, 1, x.shape).astype("f4") * size * share)
    assert examine(noisy).findings == ()
