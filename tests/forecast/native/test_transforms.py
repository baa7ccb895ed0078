"""The kernels in C++ against the same transforms in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.native import library

GRIDS = {
    "190 longitudes, 95 latitudes": SpectralGrid.quadratic(63),
    "quarters with a node of their own": SpectralGrid(22, 23, 64, 32),
    "an odd number of longitudes": SpectralGrid(11, 12, 33, 17),
    "more longitudes than two tiles of columns": SpectralGrid.linear(63),
}
LEVELS = (1, 3, 37)


@pytest.fixture(scope="module", params=GRIDS, ids=lambda name: name.replace(" ", "-"))
def both(request, needs_compiler) -> tuple[SphericalHarmonics, SphericalHarmonics]:
    """The harmonics of a grid with kernels and without."""
    grid = GRIDS[request.param]
    return SphericalHarmonics(grid, kernels=True), SphericalHarmonics(grid)


@pytest.mark.parametrize("levels", LEVELS)
def test_kernels_give_what_matrix_products_give(both, levels) -> None:
    fast, plain = both
    grid, draw = fast.grid, np.random.default_rng(levels)
    modal = draw.normal(size=(grid.zonal_count, levels, grid.total_wavenumbers)) * grid.mask[:, None]
    nodal = draw.normal(size=(grid.longitude_count, levels, grid.latitude_count))
    for transform, values in (("to_nodal", modal), ("to_modal", nodal)):
        found = jax.jit(getattr(fast, transform))(jnp.asarray(values, jnp.float32))
        expected = np.asarray(jax.jit(getattr(plain, transform))(jnp.asarray(values, jnp.float32)))
        np.testing.assert_allclose(found, expected, atol=1e-5 * expected.std(), rtol=0)


def test_coefficients_beyond_the_truncation_are_zero(both) -> None:
    fast, _ = both
    grid = fast.grid
    noise = jnp.asarray(
        np.random.default_rng(0).normal(size=(grid.longitude_count, 2, grid.latitude_count)), jnp.float32
    )
    modal = np.asarray(fast.to_modal(noise))
    assert not modal[~np.broadcast_to(grid.mask[:, None], modal.shape)].any()


def test_kernels_can_be_differentiated_and_mapped_over_members(both) -> None:
    fast, plain = both
    grid = fast.grid
    values = np.random.default_rng(1).normal(size=(2, grid.longitude_count, 2, grid.latitude_count))
    nodal = jnp.asarray(values, jnp.float32)

    def energy(harmonics):
        return jax.vmap(jax.grad(lambda x: jnp.sum(harmonics.to_nodal(harmonics.to_modal(x)) ** 2)))(nodal)

    expected = np.asarray(energy(plain))
    np.testing.assert_allclose(energy(fast), expected, atol=1e-5 * expected.std(), rtol=0)


def test_another_precision_goes_without_kernels(both) -> None:
    fast, _ = both
    shape = (fast.grid.longitude_count, 1, fast.grid.latitude_count)
    program = jax.jit(fast.to_modal)
    assert "custom_call" in program.lower(jnp.zeros(shape, jnp.float32)).as_text()
    assert "custom_call" not in program.lower(jnp.zeros(shape, jnp.bfloat16)).as_text()


@pytest.fixture
def unregistered(monkeypatch):
    """As in a process that has not looked for kernels yet."""
    monkeypatch.setattr(library, "_registered", library._registered.__wrapped__)
    monkeypatch.setattr(library, "_forbidden", False)


def test_without_a_compiler_there_are_no_kernels(unregistered, monkeypatch) -> None:
    monkeypatch.setattr(library.shutil, "which", lambda name: None)
    assert not library.available()
    assert SphericalHarmonics(GRIDS["an odd number of longitudes"], kernels=True).native is None


def test_a_compiler_that_fails_costs_a_warning(unregistered, monkeypatch, tmp_path, caplog) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(library.shutil, "which", lambda name: "/bin/false")
    assert not library.available()
    assert "without native kernels" in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_library_is_compiled_once(needs_compiler, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled = library.compiled("c++")
    assert compiled.parent.stat().st_mode & 0o077 == 0
    assert [path.name for path in compiled.parent.iterdir()] == [compiled.name]
    written = compiled.stat().st_mtime_ns
    assert library.compiled("c++") == compiled
    assert compiled.stat().st_mtime_ns == written
