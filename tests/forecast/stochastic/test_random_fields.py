"""Laws of the random fields: their spectrum, variance, memory and independence, with fixed seeds."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.stochastic.random_fields import RandomFields

LENGTHS, TIMES, VARIANCES = (0.15, 0.5), (3.0, 12.0), (1.0, 2.25)
DRAWS = 400


@pytest.fixture(scope="module")
def harmonics() -> SphericalHarmonics:
    return SphericalHarmonics(SpectralGrid.linear(31))


@pytest.fixture(scope="module")
def fields(harmonics: SphericalHarmonics) -> RandomFields:
    return make(harmonics)


def make(harmonics: SphericalHarmonics, **changes: Any) -> RandomFields:
    arguments: dict[str, Any] = {
        "lengths": LENGTHS,
        "times": TIMES,
        "variances": VARIANCES,
        "raw_lengths": np.zeros(2),
        "raw_times": np.zeros(2),
        "time_step": 1.0,
        "clip": 6.0,
        "layout": (("randomness", 2),),
    }
    return RandomFields(harmonics, **(arguments | changes))


def draws(function: Callable[[RandomFields, jax.Array], jax.Array], fields: RandomFields, seed: int) -> np.ndarray:
    """`function(fields, key)` for many keys [draw, ...]."""
    definition, state = nnx.split(fields)
    keys = jax.random.split(jax.random.key(seed), DRAWS)
    return np.asarray(jax.jit(jax.vmap(lambda key: function(nnx.merge(definition, state), key)))(keys))


@pytest.fixture(scope="module")
def stationary(fields: RandomFields) -> np.ndarray:
    """Draws of the coefficients [draw, field, zonal, total]."""
    return draws(lambda module, key: module.initial(key), fields, seed=1)


def test_variance_of_each_total_wavenumber_decays_as_a_gaussian_in_wavenumber(
    fields: RandomFields, stationary: np.ndarray
) -> None:
    grid = fields.harmonics.grid
    expected = np.exp(-(np.array(LENGTHS)[:, None] ** 2) / 2 * grid.l * (grid.l + 1))
    counts = grid.mask.sum(axis=0)
    measured = (stationary**2).sum(axis=(0, 2)) / (DRAWS * counts)
    scale = (measured * counts).sum(axis=-1, keepdims=True) / (expected * counts).sum(axis=-1, keepdims=True)
    ratio = measured / (expected * scale)
    error = 4 * np.sqrt(2 / (DRAWS * counts)) + 0.02
    resolved = expected > 1e-10
    assert np.all((np.abs(ratio - 1) < error)[resolved])


def test_mean_variance_over_the_sphere_is_the_given_one(fields: RandomFields, stationary: np.ndarray) -> None:
    measured = (stationary**2).sum(axis=(2, 3)).mean(axis=0) / (4 * np.pi)
    spread = (stationary**2).sum(axis=(2, 3)).std(axis=0) / (4 * np.pi) / np.sqrt(DRAWS)
    assert np.all(np.abs(measured - VARIANCES) < 4 * spread)


def test_each_point_has_about_the_same_variance(fields: RandomFields, stationary: np.ndarray) -> None:
    amplitudes = np.asarray(fields.amplitudes())[:, None] * fields.harmonics.grid.mask
    legendre = fields.harmonics.grid.legendre_matrix.repeat(2, axis=0)
    pairs = fields.harmonics.grid.fourier_matrix**2
    variance = np.einsum("xz,zyl,fzl->fxy", pairs, legendre**2, amplitudes**2)
    np.testing.assert_allclose(variance[1], VARIANCES[1], rtol=0.02)
    np.testing.assert_allclose(variance[0], VARIANCES[0], rtol=0.15)
    nodal = jax.vmap(fields.nodal)(jnp.asarray(stationary[:100]))
    np.testing.assert_allclose(np.var(nodal, axis=(0, 1, 3)), VARIANCES, rtol=0.25)


def test_correlation_in_space_falls_with_distance_as_the_length_says(
    fields: RandomFields, stationary: np.ndarray
) -> None:
    """The spectrum exp(-kT l (l + 1)) belongs to exp(-distance^2 / (4 kT)) where the sphere looks flat."""
    nodal = np.asarray(jax.vmap(fields.nodal)(jnp.asarray(stationary)))[:, :, 1]
    equator = nodal[:, :, nodal.shape[-1] // 2]
    for steps in (2, 4, 6):
        distance = 2 * np.pi * steps / equator.shape[1]
        measured = np.mean(equator * np.roll(equator, steps, axis=1)) / np.mean(equator**2)
        assert measured == pytest.approx(np.exp(-((distance / LENGTHS[1]) ** 2) / 2), abs=0.05)


def test_correlation_in_time_falls_as_the_time_says(fields: RandomFields) -> None:
    def pair(module: RandomFields, key: jax.Array) -> jax.Array:
        first = module.initial(jax.random.fold_in(key, 0))
        later = first
        for step in range(1, 4):
            later = module.advance(later, jax.random.fold_in(key, step))
        return jnp.stack([first, later])

    both = draws(pair, fields, seed=2)
    correlation = (both[:, 0] * both[:, 1]).sum(axis=(0, 2, 3)) / (both[:, 0] ** 2).sum(axis=(0, 2, 3))
    np.testing.assert_allclose(correlation, np.exp(-3.0 / np.array(TIMES)), atol=0.03)


def test_a_step_keeps_the_stationary_variance(fields: RandomFields, stationary: np.ndarray) -> None:
    def later(module: RandomFields, key: jax.Array) -> jax.Array:
        return module.advance(module.initial(jax.random.fold_in(key, 0)), jax.random.fold_in(key, 1))

    before = (stationary**2).sum(axis=(2, 3))
    after = (draws(later, fields, seed=3) ** 2).sum(axis=(2, 3))
    error = 4 * np.sqrt(2) * before.std(axis=0) / np.sqrt(DRAWS)
    assert np.all(np.abs(before.mean(axis=0) - after.mean(axis=0)) < error)


def test_noise_never_exceeds_the_clip(harmonics: SphericalHarmonics) -> None:
    clipped = make(harmonics, clip=0.5)
    core = np.asarray(clipped.initial(jax.random.key(0)))
    bound = 0.5 * np.asarray(clipped.amplitudes())[:, None] * harmonics.grid.mask
    assert np.all(np.abs(core) <= bound * (1 + 1e-6))
    assert np.abs(core[1, 0, 0]) > 0


def test_coefficients_that_do_not_exist_stay_zero(fields: RandomFields) -> None:
    core = fields.advance(fields.initial(jax.random.key(0)), jax.random.key(1))
    assert not np.any(np.asarray(core)[:, ~fields.harmonics.grid.mask])


def test_fields_are_independent_of_each_other(stationary: np.ndarray, fields: RandomFields) -> None:
    scaled = stationary / np.asarray(fields.amplitudes())[:, None].clip(1e-12)
    mask = fields.harmonics.grid.mask & (fields.harmonics.grid.l < 10)
    first, second = scaled[:, 0][:, mask], scaled[:, 1][:, mask]
    assert abs(np.mean(first * second)) < 4 / np.sqrt(first.size)


def test_the_same_key_gives_the_same_field_and_another_key_another(fields: RandomFields) -> None:
    first, again = fields.initial(jax.random.key(7)), fields.initial(jax.random.key(7))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, fields.initial(jax.random.key(8)))


def test_learned_values_scale_length_and_time_and_zero_changes_nothing(harmonics: SphericalHarmonics) -> None:
    plain = make(harmonics)
    np.testing.assert_allclose(plain.correlation_lengths, LENGTHS, rtol=1e-6)
    np.testing.assert_allclose(plain.correlation_times, TIMES, rtol=1e-6)
    learned = make(harmonics, raw_lengths=np.array([1.0, -1.0]))
    assert learned.correlation_lengths[0] > LENGTHS[0]
    assert 0 < learned.correlation_lengths[1] < LENGTHS[1]


def test_fields_work_under_vmap_and_are_differentiable(fields: RandomFields) -> None:
    definition, params, rest = nnx.split(fields, nnx.Param, ...)

    def energy(params: nnx.State) -> jax.Array:
        module = nnx.merge(definition, params, rest)
        return jnp.sum(module.nodal(module.advance(module.initial(jax.random.key(0)), jax.random.key(1))) ** 2)

    gradients = jax.tree.leaves(jax.grad(energy)(params))
    assert all(np.all(np.isfinite(gradient)) and np.any(gradient) for gradient in gradients)
    cores = jax.vmap(fields.initial)(jax.random.split(jax.random.key(0), 3))
    np.testing.assert_allclose(jax.vmap(fields.nodal)(cores)[1], fields.nodal(cores[1]), atol=1e-5)


def test_counts_and_signs_are_checked(harmonics: SphericalHarmonics) -> None:
    with pytest.raises(ValueError, match="one length, time and variance for each"):
        make(harmonics, variances=(1.0,))
    with pytest.raises(ValueError, match="must be positive"):
        make(harmonics, times=(0.0, 1.0))
