"""The dynamical core against the reference implementation, dinosaur: the same numbers up to round-off.

The reference keeps modal arrays as [level, zonal, total] and nodal ones as [level, longitude, latitude]. The highest
total wavenumber of all states here is zero, as after any step: only there do the two forms of advection differ.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dinosaur import (
    coordinate_systems,
    filtering,
    held_suarez,
    primitive_equations,
    scales,
    shallow_water,
    sigma_coordinates,
    spherical_harmonic,
    units,
)
from dinosaur import primitive_equations_states as reference_states
from dinosaur import time_integration as reference_integration

from forecast.dycore import idealised
from forecast.dycore.filters import exponential_filter
from forecast.dycore.primitive_equations import PrimitiveEquations
from forecast.dycore.scales import Scales
from forecast.dycore.shallow_water import ShallowWaterEquations, ShallowWaterState
from forecast.dycore.sigma import SigmaLayers
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.dycore.state import State
from forecast.dycore.time_integration import imex_step
from tests.forecast.dycore.support import compiled, implicit_step, nodal, random_state, relative_error, smooth

TIME_STEP = "20 minutes"
FIELDS = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")
TRACERS = {
    "specific_humidity": "specific_humidity",
    "mass_fraction_of_cloud_ice_in_air": "specific_cloud_ice_water_content",
    "mass_fraction_of_cloud_liquid_water_in_air": "specific_cloud_liquid_water_content",
}
SPECTRAL_GRID = SpectralGrid(22, 23, 64, 32)
HARMONICS = SphericalHarmonics(SPECTRAL_GRID)
LAYERS = SigmaLayers.equidistant(8)
SCALES = Scales()
REFERENCE_TEMPERATURE = 288.0 * np.maximum(LAYERS.centers, 0.2) ** 0.19
OROGRAPHY = smooth(SPECTRAL_GRID, 1, np.random.default_rng(9), 1e-4)
HILLS = OROGRAPHY * (SPECTRAL_GRID.l < 8)

GRID = spherical_harmonic.Grid(
    22, 23, 64, 32, radius=1.0, spherical_harmonics_impl=spherical_harmonic.RealSphericalHarmonicsWithZeroImag
)
COORDINATES = coordinate_systems.CoordinateSystem(GRID, sigma_coordinates.SigmaCoordinates.equidistant(8))
UNITS = units.SimUnits.from_si(scale=scales.ATMOSPHERIC_SCALE)


def swapped(x):
    """Between [zonal, level, total] and [level, zonal, total]."""
    return jnp.swapaxes(jnp.asarray(x), 0, 1)


def to_reference(state):
    fields = [swapped(getattr(state, name)) for name in FIELDS]
    tracers = {TRACERS[name]: swapped(x) for name, x in state.tracers.items()}
    return primitive_equations.State(*fields, tracers=tracers)


def from_reference(state):
    fields = [swapped(getattr(state, name)) for name in FIELDS]
    back = {theirs: ours for ours, theirs in TRACERS.items()}
    return State(*fields, tracers={back[name]: swapped(x) for name, x in state.tracers.items()})


def errors(ours, theirs, start=None):
    """Relative error of every field, by its worst level; of the increment if a start is given."""
    trees = (ours, theirs) if start is None else (ours, theirs, start)
    named = jax.tree_util.tree_leaves_with_path(jax.tree.map(relative_error, *trees))
    return {jax.tree_util.keystr(path): error for path, error in named}


def assert_close(ours, theirs, tolerance, start=None):
    found = errors(ours, theirs, start)
    assert max(found.values()) < tolerance, found


@pytest.fixture(scope="module", params=["dry", "cloudy"])
def case(request):
    """Our equations, the reference's, and a state."""
    moist = request.param == "cloudy"
    ours = PrimitiveEquations(HARMONICS, LAYERS, REFERENCE_TEMPERATURE, jnp.asarray(OROGRAPHY), SCALES)
    build = (
        primitive_equations.MoistPrimitiveEquationsWithCloudMoisture
        if moist
        else primitive_equations.PrimitiveEquations
    )
    theirs = build(REFERENCE_TEMPERATURE, OROGRAPHY[:, 0], COORDINATES, UNITS)
    return ours, theirs, random_state(SPECTRAL_GRID, LAYERS.count, SCALES, moist=moist)


def test_constants_are_the_same_numbers():
    pairs = {
        "gas_constant": UNITS.R,
        "vapor_gas_constant": UNITS.R_vapor,
        "vapor_heat_capacity_ratio": UNITS.Cp_vapor / UNITS.Cp,
        "gravity": UNITS.g,
        "angular_velocity": UNITS.angular_velocity,
    }
    for name, value in pairs.items():
        assert getattr(SCALES, name) == pytest.approx(float(value), rel=1e-12), name
    assert SCALES.quantity(TIME_STEP) == pytest.approx(UNITS.nondimensionalize(scales.Quantity(TIME_STEP)), rel=1e-12)


def test_transforms_and_derivatives():
    modal = jnp.asarray(smooth(SPECTRAL_GRID, 4, np.random.default_rng(0), 1.0))
    other = swapped(modal)
    assert relative_error(HARMONICS.to_nodal(modal), swapped(GRID.to_nodal(other))) < 2e-6
    values = HARMONICS.to_nodal(modal) ** 2
    assert relative_error(HARMONICS.to_modal(values), swapped(GRID.to_modal(swapped(values)))) < 2e-6
    for ours, theirs in zip(HARMONICS.cos_lat_gradient(modal), GRID.cos_lat_grad(other, clip=False), strict=True):
        assert relative_error(ours, swapped(theirs)) < 2e-6
    pair = (modal[:, :2], modal[:, 2:])
    both = tuple(swapped(x) for x in pair)
    assert relative_error(HARMONICS.divergence(*pair), swapped(GRID.div_cos_lat(both, clip=False))) < 2e-6
    assert relative_error(HARMONICS.curl(*pair), swapped(GRID.curl_cos_lat(both, clip=False))) < 2e-6


def test_nodes_and_weights():
    np.testing.assert_allclose(SPECTRAL_GRID.sin_lat, GRID.nodal_axes[1], atol=1e-7)
    np.testing.assert_allclose(SPECTRAL_GRID.longitudes, GRID.nodal_axes[0], atol=1e-6)


def test_explicit_terms(case):
    ours, theirs, state = case
    expected = from_reference(jax.jit(theirs.explicit_terms)(to_reference(state)))
    assert_close(compiled(ours, lambda e, x: e.explicit(x))(state), expected, 5e-6)


def test_implicit_terms(case):
    ours, theirs, state = case
    expected = from_reference(theirs.implicit_terms(to_reference(state)))
    actual = ours.implicit(state)
    for name in ("divergence", "temperature_variation", "log_surface_pressure"):
        assert relative_error(getattr(actual, name), getattr(expected, name)) < 2e-6
    assert not np.any(actual.vorticity) and not np.any(expected.vorticity)


@pytest.mark.parametrize("step", [0.01, 0.05])
def test_implicit_solve(case, step):
    ours, theirs, state = case
    expected = from_reference(theirs.implicit_inverse(to_reference(state), step))
    assert_close(implicit_step(ours, state, step), expected, 1e-6)


def test_increment_of_a_step(case):
    ours, theirs, state = case
    time_step = SCALES.quantity(TIME_STEP)
    step = jax.jit(reference_integration.imex_rk_sil3(theirs, time_step))
    expected = from_reference(step(to_reference(state)))
    actual = compiled(ours, lambda e, x: imex_step(e, time_step)(x))(state)
    assert_close(actual, expected, 1e-6)
    assert_close(actual, expected, 1e-5, start=state)


def test_forcing_of_held_and_suarez():
    reference = np.full(LAYERS.count, 300.0)
    ours = idealised.HeldSuarez(PrimitiveEquations(HARMONICS, LAYERS, reference, jnp.asarray(OROGRAPHY), SCALES))
    theirs = held_suarez.HeldSuarezForcingSigma(COORDINATES, UNITS, reference)
    state = random_state(SPECTRAL_GRID, LAYERS.count, SCALES)
    expected, actual = from_reference(jax.jit(theirs.explicit_terms)(to_reference(state))), ours.forcing(state)
    forced = LAYERS.centers > 0.7
    for name in ("vorticity", "divergence"):
        clipped = HARMONICS.clip(getattr(expected, name))
        assert relative_error(getattr(actual, name)[:, forced], clipped[:, forced]) < 1e-5
        assert not np.any(getattr(actual, name)[:, ~forced])
    heating = HARMONICS.clip(expected.temperature_variation)
    assert relative_error(actual.temperature_variation, heating) < 1e-5


def test_jets_of_jablonowski_and_williamson():
    equations, state = idealised.baroclinic_wave(HARMONICS, LAYERS, SCALES, perturbed=False)
    build, features = reference_states.steady_state_jw(COORDINATES, UNITS)
    expected = from_reference(build(None))
    vorticity, variation = HARMONICS.clip(expected.vorticity), HARMONICS.clip(expected.temperature_variation)
    assert relative_error(state.vorticity, vorticity) < 3e-3
    assert relative_error(state.temperature_variation, variation) < 1e-5
    assert relative_error(state.log_surface_pressure, expected.log_surface_pressure) < 1e-6
    mean = np.asarray(equations.reference_temperature[...])[:, 0]
    np.testing.assert_allclose(mean, np.ravel(features["ref_temperatures"]), rtol=1e-6)
    ground = nodal(HARMONICS, -HARMONICS.inverse_laplacian(equations.surface_force[...]))[:, 0] / SCALES.gravity
    height = features["orography"] - features["orography"].mean()
    np.testing.assert_allclose(ground - ground.mean(), height, atol=0.03 * np.ptp(height))


def shallow_water_case(potential, densities):
    """Our equations, the reference's, and a state of both.

    The reference drops the highest total wavenumber of the velocity, which is zero here.
    """
    count = len(potential)
    ours = ShallowWaterEquations(HARMONICS, potential, jnp.asarray(HILLS), SCALES, densities)
    coordinates = coordinate_systems.CoordinateSystem(GRID, sigma_coordinates.SigmaCoordinates.equidistant(count))
    ground = SCALES.gravity * HILLS[:, 0]
    theirs = shallow_water.ShallowWaterEquations(coordinates, UNITS, ground, potential, densities)
    rng = np.random.default_rng(0)
    fields = [HARMONICS.clip(smooth(SPECTRAL_GRID, count, rng, rms), 2) for rms in (0.1, 0.02, 0.005)]
    return ours, theirs, ShallowWaterState(*fields), shallow_water.State(*map(swapped, fields))


def from_shallow_water(state):
    return ShallowWaterState(*(swapped(getattr(state, name)) for name in ("vorticity", "divergence", "potential")))


def test_shallow_water():
    ours, theirs, state, other = shallow_water_case(np.array([0.1]), np.ones(1))
    explicit = compiled(ours, lambda e, x: e.explicit(x))(state)
    assert_close(explicit, from_shallow_water(jax.jit(theirs.explicit_terms)(other)), 1e-5)
    assert_close(implicit_step(ours, state, 0.05), from_shallow_water(theirs.implicit_inverse(other, 0.05)), 1e-5)
    actual, expected = ours.implicit(state), from_shallow_water(theirs.implicit_terms(other))
    assert relative_error(actual.divergence, expected.divergence) < 1e-6
    assert relative_error(actual.potential, expected.potential) < 1e-6


def test_shallow_water_in_layers():
    """The sum of both tendencies: the reference steps the coupling of the layers explicitly."""
    ours, theirs, state, other = shallow_water_case(np.array([0.03, 0.04, 0.05]), np.array([0.6, 0.9, 1.0]))
    actual = compiled(ours, lambda e, x: jax.tree.map(jnp.add, e.explicit(x), e.implicit(x)))(state)
    whole = jax.jit(lambda x: jax.tree.map(jnp.add, theirs.explicit_terms(x), theirs.implicit_terms(x)))
    assert_close(actual, from_shallow_water(whole(other)), 1e-5)


def test_increment_of_a_shallow_water_step():
    ours, theirs, state, other = shallow_water_case(np.array([0.1]), np.ones(1))
    state, other = (jax.tree.map(lambda x: x * (SPECTRAL_GRID.l < 8), tree) for tree in (state, other))
    time_step = SCALES.quantity(TIME_STEP)
    after = from_shallow_water(jax.jit(reference_integration.imex_rk_sil3(theirs, time_step))(other))
    assert_close(compiled(ours, lambda e, x: imex_step(e, time_step)(x))(state), after, 1e-5, start=state)


@pytest.mark.parametrize("attenuation, order, cutoff", [(16.0, 18, 0.0), (1.5, 6, 0.0), (4.0, 1, 0.4)])
def test_exponential_filter(attenuation, order, cutoff):
    ones = np.ones((1, *GRID.modal_shape), np.float32)
    expected = filtering.exponential_filter(GRID, attenuation, order, cutoff)(ones)
    factor = exponential_filter(SPECTRAL_GRID.l, attenuation, order, cutoff)
    np.testing.assert_allclose(np.broadcast_to(factor, expected.shape), expected, rtol=2e-6, atol=1e-12)
