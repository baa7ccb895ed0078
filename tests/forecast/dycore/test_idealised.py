import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.dycore import idealised
from forecast.dycore.filters import step_filter
from forecast.dycore.sigma import SigmaLayers
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from tests.forecast.dycore.support import (
    Integrator,
    compiled,
    nodal,
    random_state,
    relative_error,
    smooth,
    surface_pressure,
    wind,
)


@pytest.fixture(scope="module")
def zonal(harmonics, layers, scales):
    return idealised.baroclinic_wave(harmonics, layers, scales, perturbed=False)


@pytest.fixture(scope="module")
def perturbed(harmonics, layers, scales):
    return idealised.baroclinic_wave(harmonics, layers, scales)


@pytest.fixture(scope="module")
def forced(harmonics, layers, scales):
    """The equations with the forcing of Held and Suarez, and an atmosphere at rest."""
    equations, rest = idealised.resting_atmosphere(harmonics, layers, scales, temperature=300.0)
    return idealised.HeldSuarez(equations), rest


def waviness(equations, state):
    """Greatest departure of the surface pressure from its zonal mean [hPa]."""
    pressure = surface_pressure(equations, state)
    return float(np.abs(pressure - pressure.mean(axis=0)).max())


def test_jets_blow_at_35_metres_per_second_at_45_degrees(zonal, grid, layers):
    u, v = wind(*zonal)
    level, latitude = np.unravel_index(np.argmax(u[0]), u[0].shape)
    assert u.max() == pytest.approx(35.0, abs=0.5) and abs(v).max() < 1e-4
    assert abs(np.degrees(grid.latitudes[latitude])) == pytest.approx(45.0, abs=3)
    assert layers.centers[level] == pytest.approx(0.252, abs=0.07)


def test_surface_geopotential_ranges_as_published(zonal, scales):
    """Jablonowski and Williamson 2006, figure 1: the surface lies from about -250 to 200 m."""
    equations = zonal[0]
    height = nodal(equations.harmonics, -equations.harmonics.inverse_laplacian(equations.surface_force[...]))
    height = height / scales.gravity / scales.unit("m")
    assert 350 < height.max() - height.min() < 550
    assert np.ptp(height, axis=0).max() < 1e-2


def test_zonal_jets_are_steady_for_a_day(zonal, integrate_jets):
    equations, start = zonal
    end = integrate_jets(start, hours=24)
    assert np.abs(wind(equations, end)[0] - wind(equations, start)[0]).max() < 0.7
    assert np.abs(surface_pressure(equations, end) - 1000.0).max() < 0.5
    assert waviness(equations, end) < 0.02


def imbalance(equations, start):
    """Tendency of divergence over that of the linear terms alone."""
    explicit, implicit = compiled(equations, lambda e, x: (e.explicit(x).divergence, e.implicit(x).divergence))(start)
    return float(np.abs(explicit + implicit).max() / np.abs(implicit).max())


def test_jets_are_balanced_up_to_the_thickness_of_the_layers(zonal, harmonics, scales):
    coarse = imbalance(*zonal)
    fine = imbalance(*idealised.baroclinic_wave(harmonics, SigmaLayers.equidistant(32), scales, perturbed=False))
    assert coarse < 0.04 and fine < 0.5 * coarse


def test_perturbation_is_a_wind_of_one_metre_per_second_at_20_east_40_north(scales):
    grid, layers = SpectralGrid(43, 44, 128, 64), SigmaLayers.equidistant(1)
    harmonics = SphericalHarmonics(grid)
    steady, perturbed = (
        wind(*idealised.baroclinic_wave(harmonics, layers, scales, perturbed=perturbed))[0]
        for perturbed in (False, True)
    )
    difference = perturbed - steady
    longitude, _, latitude = np.unravel_index(np.argmax(difference), difference.shape)
    assert difference.max() == pytest.approx(1.0, abs=0.1)
    assert np.degrees(grid.longitudes[longitude]) == pytest.approx(20, abs=3)
    assert np.degrees(grid.latitudes[latitude]) == pytest.approx(40, abs=3)


def test_perturbed_jets_grow_a_wave_and_unperturbed_ones_do_not(zonal, perturbed, integrate_jets):
    equations = zonal[0]
    states = [integrate_jets(perturbed[1], hours=24)]
    for _ in range(2):
        states.append(integrate_jets(states[-1], hours=72))
    first, fourth, seventh = (waviness(equations, state) for state in states)
    assert seventh > 2.5 * fourth > 2.5 * first
    assert waviness(equations, integrate_jets(zonal[1], hours=168)) < 0.02


def test_equilibrium_temperature_is_that_of_held_and_suarez(forced, grid, layers):
    forcing, rest = forced
    temperature = np.asarray(
        forcing.equilibrium_temperature(forcing.equations.harmonics.to_nodal(rest.log_surface_pressure))
    )
    sigma, latitude = layers.centers[:, None], grid.latitudes
    potential = 315 - 60 * np.sin(latitude) ** 2 - 10 * np.log(sigma) * np.cos(latitude) ** 2
    np.testing.assert_allclose(temperature[0], np.maximum(200, potential * sigma ** (2 / 7)), rtol=1e-5)
    assert temperature.min() == pytest.approx(200.0)


def test_friction_acts_below_sigma_0_7_alone_and_fastest_at_the_ground(forced, grid, layers, scales):
    state = random_state(grid, layers.count, scales)
    tendency = forced[0].forcing(state)
    rate = -np.asarray(tendency.vorticity)[2, :, 3] / np.asarray(state.vorticity)[2, :, 3] / scales.unit("day-1")
    np.testing.assert_allclose(rate, np.maximum(0, (layers.centers - 0.7) / 0.3), atol=1e-6)
    assert not np.any(tendency.log_surface_pressure)


def test_temperature_relaxes_over_40_days_aloft_and_faster_at_the_ground_of_the_tropics(forced, grid, layers, scales):
    forcing, _ = forced
    rate = np.asarray(forcing.relaxation[...]) / scales.unit("day-1")
    np.testing.assert_allclose(rate[layers.centers < 0.7], 1 / 40, rtol=1e-6)
    assert rate.max() == pytest.approx(1 / 40 + (1 / 4 - 1 / 40) * (layers.centers[-1] - 0.7) / 0.3, rel=0.01)


def test_atmosphere_in_equilibrium_and_at_rest_is_not_forced(forced, harmonics):
    forcing, rest = forced
    equilibrium = forcing.equilibrium_temperature(harmonics.to_nodal(rest.log_surface_pressure)) - 300.0
    state = dataclasses.replace(rest, temperature_variation=harmonics.to_modal(equilibrium))
    change = forcing.forcing(state).temperature_variation
    assert np.abs(change).max() < 2e-3 * np.abs(forcing.forcing(rest).temperature_variation).max()


def test_forcing_is_added_to_the_explicit_terms_alone(forced, grid, layers, scales):
    forcing, _ = forced
    state = random_state(grid, layers.count, scales)
    expected = jax.tree.map(jnp.add, forcing.equations.explicit(state), forcing.forcing(state))
    assert relative_error(forcing.explicit(state).temperature_variation, expected.temperature_variation) == 0
    pairs = [
        (forcing.implicit(state), forcing.equations.implicit(state)),
        (forcing.implicit_ahead(state, 0.1), forcing.equations.implicit_ahead(state, 0.1)),
    ]
    for ours, theirs in pairs:
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.slow
def test_baroclinic_wave_breaks_in_nine_days_at_t42(scales):
    """Jablonowski and Williamson 2006, figures 5 and 10: a train of deepening lows, near 940 hPa when resolved."""
    grid = SpectralGrid(43, 44, 128, 64)
    equations, start = idealised.baroclinic_wave(SphericalHarmonics(grid), SigmaLayers.equidistant(12), scales)
    integrate = Integrator(equations, 15, step_filter(grid.l, time_step=15, timescale=240, order=4))
    four = integrate(start, hours=96)
    nine = integrate(four, hours=120)
    pressure = surface_pressure(equations, nine)
    _, latitude = np.unravel_index(np.argmin(pressure), pressure.shape)
    assert 990 < surface_pressure(equations, four).min() < 1000
    assert 935 < pressure.min() < 970 and 1005 < pressure.max() < 1035
    assert 35 < np.degrees(grid.latitudes[latitude]) < 70


@pytest.mark.slow
def test_held_suarez_climate_has_jets_trades_and_a_warm_equator(harmonics, scales, grid):
    """Held and Suarez 1994, figures 1 and 2, of the mean of 100 days after 100 days."""
    layers = SigmaLayers.equidistant(10)
    equations, rest = idealised.resting_atmosphere(harmonics, layers, scales, temperature=300.0)
    noise = smooth(grid, layers.count, np.random.default_rng(0), scales.nondimensionalize(1e-7, "s-1"))
    forcing = idealised.HeldSuarez(equations)
    integrate = Integrator(forcing, 30, step_filter(grid.l, time_step=30, timescale=180, order=3))
    state = integrate(dataclasses.replace(rest, vorticity=jnp.asarray(noise)), hours=100 * 24)
    speed, temperature = np.zeros((10, 32)), np.zeros((10, 32))
    for _ in range(100):
        state = integrate(state, hours=24)
        speed += wind(equations, state)[0].mean(axis=0) / 100
        temperature += (nodal(harmonics, state.temperature_variation).mean(axis=0) + 300.0) / 100
    latitude = np.degrees(grid.latitudes)
    aloft, ground = speed[2], speed[-1]
    for hemisphere in (latitude < 0, latitude > 0):
        assert 22 < aloft[hemisphere].max() < 38
        assert 30 < abs(latitude[hemisphere][np.argmax(aloft[hemisphere])]) < 55
        assert 4 < ground[hemisphere].max() < 14
    tropics = abs(latitude) < 20
    assert -12 < ground[tropics].min() < -3
    assert 30 < temperature[-1, tropics].mean() - temperature[-1, abs(latitude) > 75].mean() < 60
    assert temperature.min() > 195 and temperature.max() < 315
