import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.dycore import idealised
from forecast.dycore.scales import Scales
from forecast.dycore.shallow_water import ShallowWaterEquations, ShallowWaterState, density_ratios
from tests.forecast.dycore.support import (
    Integrator,
    compiled,
    implicit_step,
    nodal,
    relative_error,
    smooth,
    sphere_integral,
    wind,
)

FIELDS = ("vorticity", "divergence", "potential")
DENSITIES = np.array([0.6, 0.9, 1.0])


def random_state(grid, layers, seed=0):
    rng = np.random.default_rng(seed)
    return ShallowWaterState(*(jnp.asarray(smooth(grid, layers, rng, rms)) for rms in (0.1, 0.02, 0.005)))


@pytest.fixture(scope="module")
def layered(harmonics, scales):
    flat = jnp.zeros((44, 1, 23))
    return ShallowWaterEquations(harmonics, np.array([0.03, 0.04, 0.05]), flat, scales, DENSITIES)


@pytest.fixture(scope="module")
def steady(harmonics, scales):
    return idealised.steady_zonal_flow(harmonics, scales)


@pytest.fixture(scope="module")
def after_five_days(steady):
    equations, start = steady
    return Integrator(equations, minutes=30)(start, hours=120)


def test_steady_zonal_flow_stays_steady(steady, after_five_days):
    start = steady[1]
    assert relative_error(after_five_days.vorticity, start.vorticity) < 3e-5
    assert relative_error(after_five_days.potential, start.potential) < 1e-5
    assert np.abs(after_five_days.divergence).max() < 1e-5


def test_steady_zonal_flow_circles_the_equator_in_twelve_days(steady, scales, grid):
    u, v = wind(*steady)
    speed = 2 * np.pi * 6.37122e6 / (12 * 86400)
    np.testing.assert_allclose(u[:, 0], np.broadcast_to(speed * grid.cos_lat, (64, 32)), atol=1e-4)
    np.testing.assert_allclose(v, 0, atol=1e-4)


def haurwitz_speed(harmonics, scales, mean_height):
    """Degrees of longitude per day that the crest of zonal wavenumber 4 moves."""
    equations, start = idealised.rossby_haurwitz_wave(harmonics, scales, mean_height)
    end = Integrator(equations, minutes=30)(start, hours=24)
    crest = [np.arctan2(x.vorticity[9, 0, 5], x.vorticity[8, 0, 5]) / 4 for x in (start, end)]
    return float(np.degrees(crest[1] - crest[0])) % 90


def test_rossby_haurwitz_wave_moves_at_the_speed_of_haurwitz_in_a_deep_fluid(harmonics, scales):
    rate, rotation = 7.848e-6, 7.292e-5
    theory = np.degrees((4 * 7 * rate - 2 * rotation) / (5 * 6) * 86400)
    assert haurwitz_speed(harmonics, scales, 8e5) == pytest.approx(theory, rel=2e-3)
    assert haurwitz_speed(harmonics, scales, 8e3) == pytest.approx(theory, rel=0.08)


def test_rossby_haurwitz_wave_starts_in_balance(harmonics, scales):
    equations, start = idealised.rossby_haurwitz_wave(harmonics, scales, 8e5)
    tendency = jax.tree.map(jnp.add, equations.explicit(start), equations.implicit(start))
    assert np.abs(tendency.divergence).max() < 0.01 * np.abs(equations.implicit(start).divergence).max()


@pytest.mark.parametrize("step", [0.01, 0.1, 1.0])
def test_solve_inverts_the_implicit_terms_of_all_layers(layered, grid, step):
    state = random_state(grid, 3)
    solved = implicit_step(layered, state, step)
    back = jax.tree.map(lambda x, g: x - step * g, solved, layered.implicit(solved))
    for name in FIELDS:
        assert relative_error(getattr(back, name), getattr(state, name)) < 1e-4 * max(1, 3 * step)


def test_mass_of_every_layer_is_conserved(layered, grid):
    start = random_state(grid, 3)
    end = Integrator(layered, minutes=20)(start, hours=12)
    reference = np.asarray(layered.reference_potential[...])[:, 0]
    drift = (end.potential - start.potential)[0, :, 0] / np.sqrt(4 * np.pi) / reference
    assert np.abs(drift).max() < 1e-6


def energy(equations, state, ratios):
    """Total energy of layers over flat ground; the densities weigh them."""
    grid, unit = equations.harmonics.grid, Scales().unit("m s-1")
    thickness = nodal(equations.harmonics, state.potential) + np.asarray(equations.reference_potential[...])
    u, v = wind(equations, state)
    kinetic = thickness * (u**2 + v**2) / 2 * unit**2
    potential = 0.5 * thickness * np.einsum("ij,ajb->aib", ratios, thickness)
    return sphere_integral(grid, np.einsum("i,aib->ab", DENSITIES, kinetic + potential))


def test_energy_of_layers_is_conserved_up_to_truncation(layered, grid):
    start = jax.tree.map(lambda x: x / 4, random_state(grid, 3))
    end = Integrator(layered, minutes=10)(start, hours=12)
    ratios = density_ratios(DENSITIES)
    rest = jax.tree.map(jnp.zeros_like, start)
    available = energy(layered, start, ratios) - energy(layered, rest, ratios)
    assert abs(energy(layered, end, ratios) - energy(layered, start, ratios)) < 0.004 * available


def test_layers_of_almost_one_density_move_as_one(harmonics, scales, grid):
    flat = jnp.zeros((44, 1, 23))
    one = ShallowWaterEquations(harmonics, np.array([0.1]), flat, scales)
    two = ShallowWaterEquations(harmonics, np.array([0.04, 0.06]), flat, scales, np.array([1 - 1e-6, 1.0]))
    single = random_state(grid, 1)
    double = ShallowWaterState(
        *(jnp.concatenate([x, x], axis=1) for x in (single.vorticity, single.divergence)),
        potential=jnp.concatenate([0.4 * single.potential, 0.6 * single.potential], axis=1),
    )
    expected, actual = (
        jax.tree.map(jnp.add, equations.explicit(x), equations.implicit(x))
        for equations, x in ((one, single), (two, double))
    )
    for layer in (0, 1):
        assert relative_error(actual.vorticity[:, layer : layer + 1], expected.vorticity) < 1e-4
        assert relative_error(actual.divergence[:, layer : layer + 1], expected.divergence) < 1e-4
    assert relative_error(actual.potential.sum(axis=1, keepdims=True), expected.potential) < 1e-4


def test_fluid_at_rest_over_a_mountain_stays_at_rest(harmonics, scales, grid):
    ground = jnp.asarray(smooth(grid, 1, np.random.default_rng(4), 1e-4))
    equations = ShallowWaterEquations(harmonics, np.array([0.1]), ground, scales)
    zero = jnp.zeros_like(ground)
    start = ShallowWaterState(zero, zero, -scales.gravity * ground)
    end = Integrator(equations, minutes=30)(start, hours=24)
    assert np.abs(wind(equations, end)).max() < 1e-3


def test_vorticity_tendency_has_no_mean_and_no_highest_wavenumber(layered, grid):
    tendency = layered.explicit(random_state(grid, 3))
    for name in FIELDS:
        assert not np.any(getattr(tendency, name)[..., -1])
    assert np.abs(tendency.vorticity[0, :, 0]).max() < 1e-7


def test_layers_take_their_derivatives_in_both_modes(layered, grid):
    start, direction, weights = (random_state(grid, 3, seed) for seed in (0, 1, 2))

    def derivatives(equations, state):
        _, tangent = jax.jvp(equations.explicit, (state,), (direction,))
        _, pullback = jax.vjp(equations.explicit, state)
        return tangent, pullback(weights)[0]

    tangent, gradient = compiled(layered, derivatives)(start)
    forward = sum(float(jnp.vdot(getattr(weights, name), getattr(tangent, name))) for name in FIELDS)
    backward = sum(float(jnp.vdot(getattr(gradient, name), getattr(direction, name))) for name in FIELDS)
    assert forward == pytest.approx(backward, rel=1e-4)


def test_state_is_a_pytree_of_its_three_fields(grid):
    state = random_state(grid, 2)
    assert len(jax.tree.leaves(state)) == len(dataclasses.fields(state)) == 3


@pytest.mark.parametrize("densities", [[1.0, 1.0], [1.0, 0.9], [0.0, 1.0], [[1.0, 2.0]]])
def test_unstable_densities_are_refused(densities):
    with pytest.raises(ValueError, match="increase from the top layer down"):
        density_ratios(np.array(densities))


@pytest.mark.parametrize("potential", [[0.1, 0.1], [-0.1], [0.0]])
def test_impossible_reference_potentials_are_refused(harmonics, scales, potential):
    with pytest.raises(ValueError, match="expected 1 positive reference potentials"):
        ShallowWaterEquations(harmonics, np.array(potential), jnp.zeros((44, 1, 23)), scales)
