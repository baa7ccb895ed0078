import dataclasses

import jax
import numpy as np
import pytest

from forecast.dycore.semi_implicit import GravityWaves
from forecast.dycore.sigma import SigmaLayers
from tests.forecast.dycore.support import implicit_step, random_state, relative_error


@pytest.fixture(scope="module", params=["isothermal", "stratified"])
def waves(request, grid, layers, scales):
    sigma = layers.centers
    reference = (
        np.full(layers.count, 288.0) if request.param == "isothermal" else 288.0 * np.maximum(sigma, 0.2) ** 0.19
    )
    return GravityWaves(grid, layers, reference, scales.gas_constant, 2 / 7)


@pytest.mark.parametrize("step", [0.003, 0.03, 0.3])
def test_solve_inverts_the_implicit_terms(waves, grid, layers, scales, step):
    state = random_state(grid, layers.count, scales, moist=True)
    solved = implicit_step(waves, state, step)
    back = jax.tree.map(lambda x, g: x - step * g, solved, waves.implicit(solved))
    for name in ("vorticity", "divergence", "temperature_variation", "log_surface_pressure"):
        size = np.abs(np.asarray(getattr(solved, name))).max()
        np.testing.assert_allclose(getattr(back, name), getattr(state, name), atol=3e-5 * size * max(1, step / 0.03))


def test_the_implicit_terms_at_the_end_of_no_step_are_those_at_its_start(waves, grid, layers, scales):
    state = random_state(grid, layers.count, scales)
    jax.tree.map(np.testing.assert_array_equal, waves.implicit_ahead(state, 0.0), waves.implicit(state))


def test_implicit_steps_keep_the_mean_divergence_to_the_last_digit(waves, grid, layers, scales):
    state = random_state(grid, layers.count, scales)
    state = dataclasses.replace(state, divergence=state.divergence.at[0, :, 0].set(0.1))
    solved = implicit_step(waves, state, 0.05)
    np.testing.assert_array_equal(solved.divergence[0, :, 0], state.divergence[0, :, 0])


def test_implicit_terms_leave_vorticity_and_tracers_alone(waves, grid, layers, scales):
    tendency = waves.implicit(random_state(grid, layers.count, scales, moist=True))
    assert not np.any(tendency.vorticity) and not any(np.any(x) for x in tendency.tracers.values())


def test_implicit_terms_are_linear(waves, grid, layers, scales):
    a, b = (random_state(grid, layers.count, scales, seed=s) for s in (0, 1))
    together = waves.implicit(jax.tree.map(lambda x, y: 2 * x + y, a, b))
    apart = jax.tree.map(lambda x, y: 2 * x + y, waves.implicit(a), waves.implicit(b))
    assert relative_error(together.divergence, apart.divergence) < 1e-5
    assert relative_error(together.temperature_variation, apart.temperature_variation) < 1e-5


def test_long_implicit_steps_damp_gravity_waves(waves, grid, layers, scales):
    state = random_state(grid, layers.count, scales)
    state = dataclasses.replace(state, temperature_variation=0 * state.temperature_variation)
    state = dataclasses.replace(state, log_surface_pressure=0 * state.log_surface_pressure)
    size = [float(np.sum(np.asarray(implicit_step(waves, state, step).divergence) ** 2)) for step in (0.01, 0.1, 1.0)]
    assert size[0] > size[1] > size[2]


def test_fastest_mode_has_the_speed_of_an_external_gravity_wave(grid, scales):
    """The external mode of an isothermal atmosphere, a Lamb wave, travels at sqrt(R T / (1 - kappa))."""
    waves = GravityWaves(grid, SigmaLayers.equidistant(64), np.full(64, 250.0), scales.gas_constant, 2 / 7)
    speed = np.sqrt(np.max(np.asarray(waves.squared_speeds[...])))
    assert speed == pytest.approx(np.sqrt(scales.gas_constant * 250.0 / (1 - 2 / 7)), rel=0.02)


def test_statically_unstable_reference_is_refused(grid, scales):
    layers = SigmaLayers.equidistant(8)
    reference = 100.0 + 300.0 * layers.centers**2
    with pytest.raises(ValueError, match="statically unstable"):
        GravityWaves(grid, layers, reference, scales.gas_constant, 2 / 7)
