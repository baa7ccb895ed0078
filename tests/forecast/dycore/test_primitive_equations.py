import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.dycore import idealised
from forecast.dycore.primitive_equations import CONDENSATE, HUMIDITY
from forecast.dycore.time_integration import imex_step
from tests.forecast.dycore.support import (
    CONSTANT,
    angular_momentum,
    compiled,
    energy,
    kinetic_energy,
    mountain,
    nodal,
    random_state,
    relative_error,
    sphere_integral,
    surface_pressure,
    wind,
)

FIELDS = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")


@pytest.fixture(scope="module")
def rest(harmonics, layers, scales, grid):
    return idealised.resting_atmosphere(harmonics, layers, scales, surface_height=mountain(grid))[1]


@pytest.fixture(scope="module")
def wave(harmonics, layers, scales):
    """The perturbed jets and what five days make of them."""
    return idealised.baroclinic_wave(harmonics, layers, scales)[1]


@pytest.fixture(scope="module")
def later(wave, integrate_jets):
    return integrate_jets(wave, hours=120)


@pytest.fixture(scope="module")
def tendency(over_mountain, grid, layers, scales):
    """The explicit tendency of a moist state."""
    return compiled(over_mountain, lambda e, x: e.explicit(x))(random_state(grid, layers.count, scales, moist=True))


@pytest.fixture(scope="module")
def one_step(over_mountain, scales):
    return compiled(over_mountain, lambda e, x: imex_step(e, scales.quantity("20 minutes"))(x))


def test_isothermal_atmosphere_at_rest_over_a_mountain_stays_at_rest(over_mountain, integrate_over_mountain, rest):
    end = integrate_over_mountain(rest, hours=24)
    assert np.abs(wind(over_mountain, end)).max() < 1e-3
    assert relative_error(end.log_surface_pressure, rest.log_surface_pressure) < 1e-6


def test_rest_does_not_depend_on_the_reference_temperature(over_mountain, integrate_over_mountain, rest, scales):
    mean = float(np.log(scales.quantity("100000 Pa"))) * CONSTANT
    pressure = rest.log_surface_pressure.at[0, 0, 0].add(-mean) * 288 / 268
    colder = rest.temperature_variation.at[0, :, 0].set(-20 * CONSTANT)
    state = dataclasses.replace(rest, temperature_variation=colder, log_surface_pressure=pressure.at[0, 0, 0].add(mean))
    end = integrate_over_mountain(state, hours=24)
    assert np.abs(wind(over_mountain, end)).max() < 1e-3


def test_mass_is_conserved(jets, wave, later, grid):
    masses = [sphere_integral(grid, surface_pressure(jets, state)) for state in (wave, later)]
    assert masses[1] == pytest.approx(masses[0], rel=3e-7)


def test_energy_is_conserved_up_to_a_small_share_of_the_kinetic_energy(jets, wave, later):
    ground = nodal(jets.harmonics, -jets.harmonics.inverse_laplacian(jets.surface_force[...]))[:, 0]
    drift = energy(jets, later, ground) - energy(jets, wave, ground)
    assert abs(drift) < 2e-3 * kinetic_energy(jets, wave)


def test_angular_momentum_is_conserved_over_flat_ground(harmonics, layers, scales, grid):
    flat, _ = idealised.resting_atmosphere(harmonics, layers, scales)
    start = random_state(grid, layers.count, scales)
    step = compiled(flat, lambda e, x: imex_step(e, scales.quantity("20 minutes"))(x))
    end = start
    for _ in range(18):
        end = step(end)
    before, after = (angular_momentum(flat, x) for x in (start, end))
    assert abs(sum(after) - sum(before)) < 2e-3 * abs(before[0])


def test_tracer_that_is_uniform_stays_uniform(over_mountain, grid, layers, scales):
    state = random_state(grid, layers.count, scales)
    uniform = jnp.zeros_like(state.vorticity).at[0, :, 0].set(1e-3 * CONSTANT)
    state = dataclasses.replace(state, tracers={CONDENSATE[0]: uniform})
    change = compiled(over_mountain, lambda e, x: e.explicit(x))(state).tracers[CONDENSATE[0]]
    assert np.abs(change).max() < 1e-8


def test_moisture_of_no_amount_changes_nothing(over_mountain, grid, layers, scales):
    dry = random_state(grid, layers.count, scales)
    moist = dataclasses.replace(dry, tracers=dict.fromkeys((HUMIDITY, *CONDENSATE), 0 * dry.vorticity))
    explicit = compiled(over_mountain, lambda e, x: e.explicit(x))
    for name in FIELDS:
        assert relative_error(getattr(explicit(moist), name), getattr(explicit(dry), name)) < 2e-6


def test_highest_total_wavenumber_of_the_explicit_tendency_is_zero(tendency):
    assert all(not np.any(x[..., -1]) for x in jax.tree.leaves(tendency))


def test_vorticity_and_divergence_tendencies_have_no_mean(tendency):
    for x in (tendency.vorticity, tendency.divergence):
        assert np.abs(x[0, :, 0]).max() < 1e-6 * np.abs(x).max()


def test_step_keeps_the_structure_and_single_precision(one_step, grid, layers, scales):
    state = random_state(grid, layers.count, scales, moist=True)
    after = one_step(state)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert new.shape == old.shape and new.dtype == jnp.float32 and bool(jnp.all(jnp.isfinite(new)))


def test_step_does_not_excite_coefficients_that_do_not_exist(one_step, grid, layers, scales):
    after = one_step(random_state(grid, layers.count, scales, moist=True))
    for x in jax.tree.leaves(after):
        assert not np.any(np.asarray(x)[~np.broadcast_to(grid.mask[:, None], x.shape)])


def test_flow_turns_with_the_grid(one_step, harmonics, layers, scales, grid):
    """A rotation by one grid length about the axis commutes with a step over flat ground."""
    flat, _ = idealised.resting_atmosphere(harmonics, layers, scales)
    step = compiled(flat, lambda e, x: imex_step(e, scales.quantity("20 minutes"))(x))
    state = random_state(grid, layers.count, scales)

    def turned(x):
        return jax.tree.map(lambda y: harmonics.to_modal(jnp.roll(harmonics.to_nodal(y), 1, axis=0)), x)

    expected, actual = turned(step(state)), step(turned(state))
    for name in FIELDS:
        assert relative_error(getattr(actual, name), getattr(expected, name)) < 1e-4


@pytest.fixture(scope="module")
def points(grid, layers, scales):
    """A state, a direction and the weights of a measure."""
    state, *others = (random_state(grid, layers.count, scales, moist=True, seed=seed) for seed in range(3))
    return state, *(jax.tree.map(lambda x: x.at[0, :, 0].set(0), other) for other in others)


@pytest.fixture(scope="module")
def derivatives(over_mountain, scales, points):
    """Of a weighted sum of the state after one step: its value, directional derivative and gradient."""
    _, direction, weights = points

    def measure(equation, state):
        after = imex_step(equation, scales.quantity("20 minutes"))(state)
        return sum(jnp.vdot(w, y) for w, y in zip(jax.tree.leaves(weights), jax.tree.leaves(after), strict=True))

    def differentiated(equation, state):
        value, tangent = jax.jvp(lambda x: measure(equation, x), (state,), (direction,))
        return value, tangent, jax.grad(lambda x: measure(equation, x))(state)

    return compiled(over_mountain, differentiated, optimization=0)


def test_forward_mode_of_a_step_agrees_with_reverse_mode(derivatives, points):
    state, direction, _ = points
    _, tangent, gradient = derivatives(state)
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
    assert float(tangent) == pytest.approx(sum(float(jnp.vdot(g, d)) for g, d in pairs), rel=1e-4)


def test_derivatives_of_a_step_agree_with_finite_differences(derivatives, points):
    state, direction, _ = points
    sides = [jax.tree.map(lambda x, d, h=h: x + h * d, state, direction) for h in (-0.1, 0.1)]
    below, above = (float(derivatives(side)[0]) for side in sides)
    assert (above - below) / 0.2 == pytest.approx(float(derivatives(state)[1]), rel=2e-3)
