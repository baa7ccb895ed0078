import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import CONSTANT_FIELD_COEFFICIENT, SphericalHarmonics, change_truncation
from tests.forecast.dycore.support import nodal, relative_error, smooth, sphere_integral


@pytest.fixture(scope="module", params=["kernels", "matrix products"])
def harmonics(request, grid):
    """Whatever the transforms are computed by, the same holds."""
    if request.param == "kernels":
        request.getfixturevalue("needs_compiler")
    return SphericalHarmonics(grid, kernels=request.param == "kernels")


@pytest.fixture(scope="module")
def modal(grid):
    return jnp.asarray(smooth(grid, 3, np.random.default_rng(0), 1.0))


def harmonic(grid, zonal, total):
    x = np.zeros((grid.zonal_count, 1, grid.total_wavenumbers), np.float32)
    x[zonal, 0, total] = 1.0
    return jnp.asarray(x)


def from_nodal(harmonics, values):
    return harmonics.to_modal(jnp.asarray(values, jnp.float32)[:, None])


HARMONICS = [(0, 0), (0, 5), (2, 1), (3, 1), (8, 10), (43, 22)]


def test_analysis_undoes_synthesis(harmonics, modal):
    assert relative_error(harmonics.to_modal(harmonics.to_nodal(modal)), modal) < 1e-6


def test_synthesis_undoes_analysis_of_a_truncated_field(harmonics, modal):
    field = harmonics.to_nodal(modal)
    assert relative_error(harmonics.to_nodal(harmonics.to_modal(field)), field) < 1e-6


def test_coefficients_that_do_not_exist_stay_zero(harmonics, grid):
    noise = jnp.asarray(np.random.default_rng(1).normal(size=(64, 2, 32)), jnp.float32)
    assert not np.any(np.asarray(harmonics.to_modal(noise))[~np.broadcast_to(grid.mask[:, None], (44, 2, 23))])


def test_every_level_is_transformed_alone(harmonics, modal):
    alone = jnp.concatenate([harmonics.to_nodal(modal[:, k : k + 1]) for k in range(3)], axis=1)
    np.testing.assert_allclose(harmonics.to_nodal(modal), alone, atol=1e-6)


@pytest.mark.parametrize("first", HARMONICS)
@pytest.mark.parametrize("second", HARMONICS)
def test_harmonics_are_orthonormal_on_the_unit_sphere(harmonics, grid, first, second):
    a, b = (nodal(harmonics, harmonic(grid, *x))[:, 0] for x in (first, second))
    assert sphere_integral(grid, a * b) == pytest.approx(float(first == second), abs=2e-6)


def test_transforms_are_adjoint_so_that_power_is_preserved(harmonics, grid, modal):
    field = nodal(harmonics, modal[:, :1])[:, 0]
    assert sphere_integral(grid, field**2) == pytest.approx(float(jnp.sum(modal[:, 0] ** 2)), rel=1e-5)


def test_the_constant_field_has_the_stated_coefficient(harmonics):
    coefficients = np.array(from_nodal(harmonics, np.ones((64, 32))))
    assert coefficients[0, 0, 0] == pytest.approx(CONSTANT_FIELD_COEFFICIENT, rel=1e-6)
    coefficients[0, 0, 0] = 0
    assert np.abs(coefficients).max() < 1e-5


@pytest.mark.parametrize("zonal, total", HARMONICS)
def test_laplacian_multiplies_each_harmonic_by_its_eigenvalue(harmonics, grid, zonal, total):
    y = harmonic(grid, zonal, total)
    np.testing.assert_allclose(harmonics.laplacian(y), -total * (total + 1) * y)


def test_inverse_laplacian_undoes_the_laplacian_of_zero_mean_fields(harmonics, modal):
    assert relative_error(harmonics.inverse_laplacian(harmonics.laplacian(modal)), modal) < 1e-6
    assert not np.any(harmonics.inverse_laplacian(modal)[0, :, 0])


def test_laplacian_is_the_divergence_of_the_gradient(harmonics, grid, modal):
    gradient = harmonics.cos_lat_gradient(modal)
    over_cosine = [harmonics.to_modal(harmonics.to_nodal(x) / grid.cos_lat**2) for x in gradient]
    actual = harmonics.clip(harmonics.divergence(*over_cosine))
    assert relative_error(actual, harmonics.laplacian(modal)) < 1e-5
    assert relative_error(harmonics.clip(harmonics.curl(*over_cosine)) + actual, actual) < 1e-5


def test_gradient_of_known_fields(harmonics, grid):
    longitude, latitude = np.meshgrid(grid.longitudes, grid.latitudes, indexing="ij")
    cos, sin = np.cos(latitude), np.sin(latitude)
    field = cos**3 * sin * np.cos(3 * longitude) + sin**2
    eastward, northward = (nodal(harmonics, x)[:, 0] for x in harmonics.cos_lat_gradient(from_nodal(harmonics, field)))
    along = cos * (cos**4 - 3 * cos**2 * sin**2) * np.cos(3 * longitude) + 2 * sin * cos**2
    np.testing.assert_allclose(eastward, -3 * cos**3 * sin * np.sin(3 * longitude), atol=3e-6)
    np.testing.assert_allclose(northward, along, atol=3e-6)


def test_velocity_has_the_curl_and_divergence_it_was_made_from(harmonics, grid, modal):
    vorticity, divergence = modal[:, :1], modal[:, 1:2]
    over_cosine = [
        harmonics.to_modal(harmonics.to_nodal(x) / grid.cos_lat**2)
        for x in harmonics.cos_lat_velocity(vorticity, divergence)
    ]
    assert relative_error(harmonics.clip(harmonics.curl(*over_cosine)), vorticity) < 1e-5
    assert relative_error(harmonics.clip(harmonics.divergence(*over_cosine)), divergence) < 1e-5


def test_solid_body_rotation_has_the_vorticity_of_twice_its_rate(harmonics, grid):
    vorticity = from_nodal(harmonics, np.broadcast_to(2 * grid.sin_lat, (64, 32)))
    u, v = harmonics.cos_lat_velocity(vorticity, jnp.zeros_like(vorticity))
    np.testing.assert_allclose(nodal(harmonics, u)[:, 0], np.broadcast_to(grid.cos_lat**2, (64, 32)), atol=1e-6)
    np.testing.assert_allclose(v, 0, atol=1e-6)


def test_clip_zeroes_the_highest_total_wavenumbers_and_nothing_else(harmonics, modal):
    ones = jnp.ones_like(modal)
    clipped = np.asarray(harmonics.clip(ones, 2))
    assert np.all(clipped[..., :-2] == 1) and np.all(clipped[..., -2:] == 0)


def test_change_of_truncation_there_and_back_keeps_every_coefficient(grid, modal):
    larger = SpectralGrid(31, 32, 96, 48)
    there = change_truncation(modal, grid, larger)
    assert there.shape == (62, 3, 32)
    np.testing.assert_array_equal(change_truncation(there, larger, grid), modal)


def test_arrays_are_single_precision(harmonics, modal):
    outputs = (harmonics.to_nodal(modal), harmonics.laplacian(modal), *harmonics.cos_lat_velocity(modal, modal))
    assert {x.dtype for x in outputs} == {jnp.dtype("float32")}


def test_gradient_of_synthesis_is_its_adjoint(harmonics, modal):
    cotangent = jnp.asarray(np.random.default_rng(2).normal(size=(64, 3, 32)), jnp.float32)
    tangent = smooth(harmonics.grid, 3, np.random.default_rng(3), 1.0)
    _, pullback = jax.vjp(harmonics.to_nodal, modal)
    _, pushed = jax.jvp(harmonics.to_nodal, (modal,), (jnp.asarray(tangent),))
    assert float(jnp.vdot(pullback(cotangent)[0], tangent)) == pytest.approx(
        float(jnp.vdot(cotangent, pushed)), rel=1e-4
    )
