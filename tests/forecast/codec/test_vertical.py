"""Interpolation between pressure and sigma: exact where it must be, and as the reference does it."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from forecast import constants
from forecast.codec import vertical
from forecast.dycore.sigma import SigmaLayers
from forecast.fields import PRESSURE_LEVELS

LEVELS = np.asarray(PRESSURE_LEVELS, float)
LAYERS = SigmaLayers.equidistant(32)
RATIO = constants.WATER_VAPOR_GAS_CONSTANT / constants.DRY_AIR_GAS_CONSTANT


@pytest.fixture(scope="module")
def pressure() -> jax.Array:
    """Surface pressure [hPa] over plains and mountains, 8 x 4 columns."""
    return jnp.asarray(np.random.default_rng(1).uniform(520, 1040, (8, 4)), jnp.float32)


def profile(pressure_values):
    """Linear in pressure, another line in each column."""
    slope = jnp.linspace(-2, 2, 32).reshape(8, 4)
    return 200 + slope * jnp.asarray(pressure_values) / 100


def at_levels():
    return profile(jnp.broadcast_to(LEVELS[:, None, None], (37, 8, 4)))


def at_layers(pressure):
    return profile(LAYERS.centers[:, None, None] * pressure)


@pytest.mark.parametrize("beyond", ["constant", "linear"])
def test_a_profile_linear_in_pressure_is_exact_within_the_nodes(pressure, beyond):
    location = vertical.sigma_in_pressure(pressure, LEVELS, LAYERS)
    layer_pressure = LAYERS.centers[:, None, None] * pressure
    inside = (layer_pressure >= LEVELS[0]) & (layer_pressure <= LEVELS[-1])
    error = vertical.interpolate(at_levels(), location, beyond) - at_layers(pressure)
    assert np.abs(np.asarray(error)[inside]).max() < 1e-4
    location = vertical.pressure_in_sigma(pressure, LEVELS, LAYERS)
    sigma = LEVELS[:, None, None] / np.asarray(pressure)
    inside = (sigma >= LAYERS.centers[0]) & (sigma <= LAYERS.centers[-1])
    error = vertical.interpolate(at_layers(pressure), location, beyond) - at_levels()
    assert np.abs(np.asarray(error)[inside]).max() < 1e-4


def test_linear_continuation_goes_on_however_far(pressure):
    location = vertical.pressure_in_sigma(pressure, LEVELS, LAYERS)
    result = vertical.interpolate(at_layers(pressure), location, "linear")
    np.testing.assert_allclose(result, at_levels(), rtol=1e-5)


def test_constant_continuation_holds_the_outermost_value_exactly(pressure):
    location = vertical.pressure_in_sigma(pressure, LEVELS, LAYERS)
    values = at_layers(pressure)
    result = np.asarray(vertical.interpolate(values, location, "constant"))
    sigma = LEVELS[:, None, None] / np.asarray(pressure)
    for outside, node in ((sigma < LAYERS.centers[0], 0), (sigma > LAYERS.centers[-1], -1)):
        np.testing.assert_array_equal(result[outside], np.broadcast_to(values[node], result.shape)[outside])


def test_to_sigma_and_back_returns_a_profile_linear_in_pressure(pressure):
    there = vertical.interpolate(at_levels(), vertical.sigma_in_pressure(pressure, LEVELS, LAYERS), "linear")
    back = vertical.interpolate(there, vertical.pressure_in_sigma(pressure, LEVELS, LAYERS), "linear")
    np.testing.assert_allclose(back, at_levels(), rtol=2e-5)


def test_values_at_a_node_are_taken_unchanged():
    pressure = jnp.full((1, 1), 500.0)
    layers = SigmaLayers((0.0, 0.2, 0.6, 1.0))  # mid-layers at 50, 200 and 400 hPa
    location = vertical.sigma_in_pressure(pressure, LEVELS, layers)
    values = jnp.asarray(np.random.default_rng(0).normal(size=(37, 1, 1)), jnp.float32)
    expected = values[np.searchsorted(LEVELS, [50, 200, 400])]
    np.testing.assert_allclose(vertical.interpolate(values, location, "constant"), expected, atol=1e-6)


def test_interpolation_never_leaves_the_range_of_its_values(pressure):
    values = jax.random.uniform(jax.random.key(0), (37, 8, 4))
    result = vertical.interpolate(values, vertical.sigma_in_pressure(pressure, LEVELS, LAYERS), "constant")
    assert values.min() <= result.min() and result.max() <= values.max()


def test_leading_dimensions_are_independent(pressure):
    pressures = jnp.stack([pressure, pressure * 0.9])
    values = jax.random.normal(jax.random.key(0), (3, 2, 37, 8, 4))
    together = vertical.interpolate(values, vertical.sigma_in_pressure(pressures, LEVELS, LAYERS), "constant")
    assert together.shape == (3, 2, 32, 8, 4)
    alone = vertical.interpolate(values[2, 1], vertical.sigma_in_pressure(pressures[1], LEVELS, LAYERS), "constant")
    np.testing.assert_array_equal(together[2, 1], alone)


def test_interpolation_is_differentiable_in_values_and_surface_pressure(pressure):
    def total(values, pressure):
        location = vertical.sigma_in_pressure(pressure, LEVELS, LAYERS)
        return jnp.sum(vertical.interpolate(values, location, "linear"))

    by_value, by_pressure = jax.grad(total, (0, 1))(at_levels(), pressure)
    assert float(by_value.sum()) == pytest.approx(32 * 32, rel=1e-4)
    expected = jnp.sum(LAYERS.centers) * jnp.linspace(-2, 2, 32).reshape(8, 4) / 100
    np.testing.assert_allclose(by_pressure, expected, rtol=1e-3, atol=1e-4)


def test_surface_pressure_is_exact_where_geopotential_is_linear_in_pressure(pressure):
    geopotential = 50 * (1010 - jnp.broadcast_to(LEVELS[:, None, None], (37, 8, 4)))
    found = vertical.surface_pressure(geopotential, 50 * (1010 - pressure), LEVELS)
    np.testing.assert_allclose(found, pressure, rtol=1e-5)


def test_surface_pressure_falls_with_height():
    geopotential = -287 * 270 * jnp.log(jnp.broadcast_to(LEVELS[:, None, None], (37, 1, 60)) / 1013)
    heights = jnp.linspace(0, 6000, 60)[None]
    found = vertical.surface_pressure(geopotential, heights * 9.8, LEVELS)
    assert jnp.all(jnp.diff(found) < 0)
    np.testing.assert_allclose(found, 1013 * jnp.exp(-heights * 9.8 / (287 * 270)), rtol=2e-3)


def test_geopotential_of_an_isothermal_column_is_exact(pressure):
    temperature = jnp.full((32, 8, 4), 270.0)
    ground = jnp.full((8, 4), 1000.0)
    found = vertical.hydrostatic_geopotential(temperature, ground, LAYERS, 287.0)
    expected = 1000 - 287 * 270 * np.log(LAYERS.centers)[:, None, None]
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-5)


def test_moist_air_is_virtually_warmer():
    assert vertical.virtual_temperature(jnp.float32(300), jnp.float32(0.02), RATIO) == pytest.approx(303.6, abs=0.1)


@pytest.fixture(scope="module")
def analysis() -> xr.Dataset:
    """The ERA5 analysis that the neuralgcm distribution ships."""
    spec = importlib.util.find_spec("neuralgcm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the distribution neuralgcm is not installed")
    path = Path(spec.submodule_search_locations[0]) / "data" / "era5_tl31_19590102T00.nc"
    return xr.load_dataset(path)


@pytest.fixture(scope="module")
def reference():
    return pytest.importorskip("dinosaur.vertical_interpolation")


@pytest.fixture(scope="module")
def ground(analysis) -> jax.Array:
    """A surface geopotential below and above the lowest level, by turns."""
    lowest, middle = analysis.geopotential.sel(level=[1000, 850]).values
    return jnp.asarray(lowest + np.linspace(-0.3, 1.2, lowest.size).reshape(lowest.shape) * (middle - lowest))


def relative_error(ours, theirs) -> float:
    """Largest deviation, relative to the largest value of the level."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    return float((np.abs(ours - theirs).max(axis=(-2, -1)) / np.abs(theirs).max(axis=(-2, -1)).clip(1e-30)).max())


def test_surface_pressure_is_the_references(analysis, reference, ground):
    geopotential = jnp.asarray(analysis.geopotential.values)
    coordinates = reference.PressureCoordinates(LEVELS)
    theirs = reference.get_surface_pressure(coordinates, geopotential, ground[None], 1.0)[0]
    assert relative_error(vertical.surface_pressure(geopotential, ground, LEVELS), theirs) < 1e-6


def test_interpolation_to_sigma_is_the_references(analysis, reference, ground):
    from dinosaur import sigma_coordinates

    pressure = vertical.surface_pressure(jnp.asarray(analysis.geopotential.values), ground, LEVELS)
    location = vertical.sigma_in_pressure(pressure, LEVELS, LAYERS)
    for name in ("u_component_of_wind", "temperature", "specific_humidity", "specific_cloud_ice_water_content"):
        values = jnp.asarray(analysis[name].values)
        theirs = reference.interp_pressure_to_sigma(
            values,
            reference.PressureCoordinates(LEVELS),
            sigma_coordinates.SigmaCoordinates.equidistant(32),
            pressure[None],
            reference.vectorize_vertical_interpolation(reference.vertical_interpolation),
        )
        assert relative_error(vertical.interpolate(values, location, "constant"), theirs) < 2e-6, name


@pytest.mark.parametrize(
    ("beyond", "name"), [("constant", "vertical_interpolation"), ("linear", "linear_interp_with_linear_extrap")]
)
def test_interpolation_to_pressure_is_the_references(reference, pressure, beyond, name):
    from dinosaur import sigma_coordinates

    values = jax.random.normal(jax.random.key(3), (32, 8, 4))
    theirs = reference.interp_sigma_to_pressure(
        values,
        reference.PressureCoordinates(LEVELS),
        sigma_coordinates.SigmaCoordinates.equidistant(32),
        pressure[None],
        reference.vectorize_vertical_interpolation(getattr(reference, name)),
    )
    location = vertical.pressure_in_sigma(pressure, LEVELS, LAYERS)
    assert relative_error(vertical.interpolate(values, location, beyond), theirs) < 2e-6


def test_geopotential_is_the_references(analysis):
    equations = pytest.importorskip("dinosaur.primitive_equations")
    from dinosaur import sigma_coordinates

    temperature = jnp.asarray(analysis.temperature.values[4:36])
    humidity = jnp.asarray(analysis.specific_humidity.values[4:36])
    height = jnp.asarray(np.random.default_rng(0).uniform(0, 4000, (64, 32)), jnp.float32)
    theirs = equations.get_geopotential_with_moisture(
        temperature,
        humidity,
        height,
        sigma_coordinates.SigmaCoordinates.equidistant(32),
        constants.GRAVITY,
        constants.DRY_AIR_GAS_CONSTANT,
        constants.WATER_VAPOR_GAS_CONSTANT,
    )
    ours = vertical.hydrostatic_geopotential(
        vertical.virtual_temperature(temperature, humidity, RATIO),
        height * constants.GRAVITY,
        LAYERS,
        constants.DRY_AIR_GAS_CONSTANT,
    )
    assert relative_error(ours, theirs) < 1e-6
