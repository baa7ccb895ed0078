"""The kernel for columns against the same convolutions in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.native import library
from forecast.physics.configuration import Site
from forecast.physics.towers import VerticalConvTower
from tests.forecast.physics.conftest import context_for

TOWERS = {
    "that of the demonstration": ((9, 16, 16, 16, 16, 8), 5, 32),
    "levels that are no whole vectors": ((3, 7, 2), 3, 37),
    "few levels and an even width": ((2, 9, 5), 4, 6),
    "one layer": ((4, 3), 1, 48),
}


def tower_of(channels: tuple[int, ...], width: int, more: str = "") -> VerticalConvTower:
    """A tower with invented parameters."""
    configuration = {"channels": channels[1:-1], "kernel_shape": width, "activation": "@gelu"}
    lines = [f"VerticalConvTower.{name} = {value}" for name, value in configuration.items()]
    site = Site(context_for("\n".join([*lines, more])), "VerticalConvTower", "", "tower")
    return VerticalConvTower(site, channels[0], channels[-1])


@pytest.fixture(params=TOWERS, ids=lambda name: name.replace(" ", "-"))
def case(request, needs_compiler, monkeypatch) -> tuple[VerticalConvTower, VerticalConvTower, jax.Array]:
    """A tower with the kernel, the same without, and columns that reach far into both ends of the activation."""
    channels, width, levels = TOWERS[request.param]
    fast = tower_of(channels, width)
    monkeypatch.setattr(library, "_forbidden", True)
    plain = tower_of(channels, width)
    x = 20 * np.random.default_rng(0).normal(size=(131, channels[0], levels))
    return fast, plain, jnp.asarray(x, jnp.float32)


def test_the_kernel_gives_what_convolutions_give(case) -> None:
    fast, plain, x = case
    assert "custom_call" in jax.jit(fast).lower(x).as_text()
    assert "custom_call" not in jax.jit(plain).lower(x).as_text()
    expected = np.asarray(jax.jit(plain)(x))
    np.testing.assert_allclose(jax.jit(fast)(x), expected, atol=1e-6 * np.abs(expected).max(), rtol=0)


def test_the_kernel_can_be_differentiated_and_mapped_over_members(case) -> None:
    fast, plain, x = case

    def energy(tower):
        return jax.vmap(jax.grad(lambda x: jnp.sum(tower(x) ** 2)))(jnp.stack([x, -x]))

    expected = np.asarray(energy(plain))
    np.testing.assert_allclose(energy(fast), expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("value", [np.nan, 1e30, -1e30])
def test_a_value_that_is_no_number_is_seen_and_a_large_one_spoils_no_other(needs_compiler, value) -> None:
    fast = tower_of((1, 4, 1), 3)
    x = jnp.zeros((2, 1, 8)).at[0, 0, 0].set(value)
    found = np.asarray(fast(x))
    assert np.isfinite(found[0, 0, 3:]).all() and np.isfinite(found[1]).all()
    assert np.isnan(found[0, 0, :3]).all() == np.isnan(value)


def test_what_the_kernel_does_not_know_goes_without_it(needs_compiler) -> None:
    assert tower_of((2, 3, 2), 3, "VerticalConvTower.activation = @relu").native is None
    assert tower_of((2, 3, 2), 3, "VerticalConvTower.activate_final = True").native is None
