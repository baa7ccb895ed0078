"""Laws of filling levels: what is given stays, what is linear is met, nothing runs away above the top."""

import numpy as np
import pytest

from forecast.fields import PRESSURE_LEVELS
from ingest.atmosphere import standard_geopotential, standard_temperature, thickness
from ingest.fill import fill_cloud, fill_geopotential, fill_held, fill_temperature
from ingest.moisture import virtual_temperature

GIVEN = (10, 50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
SHAPE = (4, 3)


def full(value):
    return np.full(SHAPE, value, dtype=np.float32)


def origins(levels=GIVEN):
    return [{"levels": [level], "method": "as given", "source": "file"} for level in levels]


def at(column, level):
    return column.values[PRESSURE_LEVELS.index(level)]


@pytest.mark.parametrize("fill", [fill_temperature, fill_held])
def test_given_levels_stay_as_they_are(fill):
    given = {level: np.random.default_rng(level).normal(250, 9, SHAPE).astype(np.float32) for level in GIVEN}
    column = fill(given, PRESSURE_LEVELS, origins())
    for level in GIVEN:
        np.testing.assert_array_equal(at(column, level), given[level])


@pytest.mark.parametrize("fill", [fill_temperature, fill_held])
def test_what_is_linear_in_log_pressure_is_met_between_levels(fill):
    column = fill({level: full(200 + 10 * np.log(level)) for level in GIVEN}, PRESSURE_LEVELS, origins())
    for level in PRESSURE_LEVELS:
        if level >= 10:
            np.testing.assert_allclose(at(column, level), 200 + 10 * np.log(level), rtol=1e-6)


def test_the_standard_atmosphere_is_met_above_the_top_and_an_anomaly_fades():
    standard = {level: full(standard_temperature(level)) for level in GIVEN}
    warm = {level: values + 12.0 for level, values in standard.items()}
    exact, faded = (fill_temperature(given, PRESSURE_LEVELS, origins()) for given in (standard, warm))
    for level in (1, 2, 3, 5, 7):
        np.testing.assert_allclose(at(exact, level), standard_temperature(level), rtol=1e-6)
        np.testing.assert_allclose(at(faded, level) - standard_temperature(level), 1.2 * level, rtol=1e-4)


def test_winds_and_humidity_are_held_above_the_top():
    column = fill_held({level: full(level) for level in GIVEN}, PRESSURE_LEVELS, origins())
    np.testing.assert_array_equal(column.values[:6], 10.0)


def test_cloud_is_zero_outside_what_is_given_and_everywhere_without_any():
    given = {level: full(1e-5) for level in GIVEN if level >= 100}
    column = fill_cloud(given, PRESSURE_LEVELS, origins(given), SHAPE)
    assert at(column, 70).max() == 0.0
    np.testing.assert_allclose(at(column, 125), 1e-5, rtol=1e-6)
    assert fill_cloud({}, PRESSURE_LEVELS, [], SHAPE).values.max() == 0.0


@pytest.fixture
def isothermal():
    temperature = np.full((37, *SHAPE), 250.0)
    humidity = np.full((37, *SHAPE), 1e-3)
    virtual = virtual_temperature(full(250.0), full(1e-3))
    exact = {level: 1000.0 + thickness(virtual, virtual, 1000.0, level) for level in PRESSURE_LEVELS}
    return temperature, humidity, exact


def test_geopotential_is_hydrostatic_between_and_above_the_levels(isothermal):
    temperature, humidity, exact = isothermal
    given = {level: exact[level] for level in GIVEN}
    column = fill_geopotential(given, PRESSURE_LEVELS, origins(), temperature, humidity)
    for level in PRESSURE_LEVELS:
        np.testing.assert_allclose(at(column, level), exact[level], rtol=1e-6)


def test_geopotential_always_rises_and_keeps_what_is_given(isothermal):
    temperature, humidity, exact = isothermal
    given = {level: exact[level] + 40.0 * (-1) ** k for k, level in enumerate(GIVEN)}
    column = fill_geopotential(given, PRESSURE_LEVELS, origins(), temperature, humidity)
    assert (np.diff(column.values, axis=0) < 0).all()
    for level in GIVEN:
        np.testing.assert_array_equal(at(column, level), given[level])


def test_every_level_has_one_origin_and_gaps_name_their_neighbours():
    column = fill_held({level: full(1) for level in GIVEN}, PRESSURE_LEVELS, origins())
    assert sorted(level for origin in column.origins for level in origin["levels"]) == list(PRESSURE_LEVELS)
    methods = {level: origin["method"] for origin in column.origins for level in origin["levels"]}
    assert methods[900] == "linear in log pressure between 850 and 925 hPa"
    assert methods[3] == "held from 10 hPa"
    assert methods[500] == "as given"


@pytest.mark.parametrize(
    "pressure, height, temperature",
    [(1013.25, 0, 288.15), (540.199, 5_000, 255.65), (264.363, 10_000, 223.15), (54.7489, 20_000, 216.65),
     (11.7187, 30_000, 226.65), (2.77522, 40_000, 251.05)],
)  # fmt: skip
def test_standard_atmosphere_meets_its_table(pressure, height, temperature):
    assert float(standard_temperature(pressure)) == pytest.approx(temperature, abs=0.02)
    assert standard_geopotential(pressure) / 9.80665 == pytest.approx(height, abs=0.001 * height + 1)
