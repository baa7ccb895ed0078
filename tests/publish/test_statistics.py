"""Statistics over members, against numpy's own."""

import numpy as np
import pytest

from forecast.fields import FIELDS
from publish.events import Event, ProductError, Window, Windowed
from publish.product import Item, ProductSettings, Slab
from publish.settings import STATISTICS
from publish.statistics import statistics, variable, wanted

TEMPERATURE = FIELDS["air_temperature"]
SETTINGS = ProductSettings(
    statistics=STATISTICS, probabilities=("air_temperature@850<273.15", "air_temperature@850>280")
)


def slab_of(values: np.ndarray, level: int = 850) -> Slab:
    return Slab(TEMPERATURE, level, tuple(range(len(values))), values.astype(np.float32))


def maps(values: np.ndarray, settings: ProductSettings = SETTINGS) -> dict[str, np.ndarray]:
    return {each.name: found for each, found in statistics(slab_of(values), settings).maps.items()}


@pytest.mark.parametrize("members", [2, 3, 10, 50])
def test_every_statistic_is_numpys(members: int):
    values = np.random.default_rng(members).normal(275, 5, (members, 7, 11)).astype(np.float32)
    found = maps(values)
    exact = values.astype(np.float64)
    np.testing.assert_allclose(found["mean"], exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["spread"], exact.std(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(found["min"], values.min(axis=0))
    np.testing.assert_array_equal(found["max"], values.max(axis=0))
    for percent in (10, 25, 50, 75, 90):
        np.testing.assert_allclose(found[f"p{percent}"], np.percentile(exact, percent, axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["probability_below_273p15"], (values < 273.15).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["probability_above_280"], (values > 280).mean(axis=0), rtol=1e-6)


def test_percentiles_never_cross_and_stay_among_the_members():
    values = np.random.default_rng(0).gamma(0.1, 1, (13, 20, 20)).astype(np.float32)
    found = maps(values)
    ordered = np.stack([found[name] for name in ("min", "p10", "p25", "p50", "p75", "p90", "max")])
    assert (np.diff(ordered, axis=0) >= 0).all()


def test_equal_members_have_no_spread_and_certain_probabilities():
    found = maps(np.full((5, 2, 2), 260.0))
    assert all((found[name] == 260).all() for name in STATISTICS if name != "spread")
    assert (found["spread"] == 0).all()
    assert (found["probability_below_273p15"] == 1).all() and (found["probability_above_280"] == 0).all()


def test_the_threshold_itself_is_neither_below_nor_above():
    settings = ProductSettings(probabilities=("air_temperature@850<280", "air_temperature@850>280"))
    found = maps(np.full((3, 1, 1), 280.0), settings)
    assert (found["probability_below_280"], found["probability_above_280"]) == (0, 0)


def test_only_what_is_asked_for_is_made_and_in_that_order():
    settings = ProductSettings(statistics=("p90", "mean"), probabilities=("air_temperature@850>280",))
    assert list(maps(np.ones((3, 1, 1)), settings)) == ["p90", "mean", "probability_above_280"]
    assert [each.name for each in wanted(Item(TEMPERATURE, 500), settings)] == ["p90", "mean"]


def test_variables_of_statistics_have_names_of_their_own():
    settings = ProductSettings(
        statistics=STATISTICS,
        windows=("air_temperature@850/24h max",),
        probabilities=("air_temperature@850>280", "air_temperature@500>280", "air_temperature@850>280/24h max"),
    )
    items = [Item(TEMPERATURE, 850), Item(TEMPERATURE, 500), Item(TEMPERATURE, 850, Window(24, "max"))]
    names = [variable(item, each) for item in items for each in wanted(item, settings)]
    assert names[0] == "t_mean" == names[len(STATISTICS) + 1]
    assert {"t850_probability_above_280", "t500_probability_above_280", "t850_24h_max_p10"} <= set(names)
    assert "t850_24h_max_probability_above_280" in names
    assert len(set(names)) == len(names) - len(STATISTICS)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("air_temperature@850<273.15", Event("air_temperature", 850, "<", 273.15)),
        ("divergence_of_wind@200 < -5e-5", Event("divergence_of_wind", 200, "<", -5e-5)),
        ("surface_air_pressure<95000", Event("surface_air_pressure", None, "<", 95_000.0)),
        ("wind_speed@850>15/24h max", Event("wind_speed", 850, ">", 15.0, Window(24, "max"))),
    ],
)
def test_an_event_is_read_as_it_is_written(text: str, event: Event):
    assert Event.parse(text) == event
    assert event.name.replace("_", "").isalnum()


def test_a_field_over_an_interval_is_read_as_it_is_written():
    expected = Windowed("precipitation_minus_evaporation", None, Window(24, "sum"))
    assert Windowed.parse("precipitation_minus_evaporation/24h sum") == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("temperature@850<273", "expected one of the fields .*got 'temperature'"),
        ("air_temperature<273", "expected a level, as in air_temperature@850"),
        ("surface_air_pressure@850<9", "expected no level"),
        ("air_temperature@850=273", "expected an event such as"),
        ("air_temperature@850<1.2.3", "expected a number as the threshold"),
        ("air_temperature@850<273/24h sum", "expected mean, min or max over an interval of air_temperature"),
        ("precipitation_minus_evaporation>5/24h max", "expected sum over an interval of precipitation"),
        ("air_temperature@850<273/0h max", "expected an interval such as '24h max'"),
        ("air_temperature@850<273/24h median", "expected an interval such as '24h max'"),
    ],
)
def test_an_event_that_is_none_is_refused_and_says_what_is_wrong(text: str, told: str):
    with pytest.raises(ProductError, match=told):
        Event.parse(text)
