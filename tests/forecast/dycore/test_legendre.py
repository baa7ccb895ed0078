import numpy as np
import pytest
import scipy.special

from forecast.dycore import fourier, legendre


@pytest.mark.parametrize("m, n", [(0, 0), (0, 7), (1, 1), (3, 8), (5, 22), (21, 22)])
def test_associated_functions_are_those_of_scipy_with_unit_norm(m, n):
    x = np.linspace(-0.99, 0.99, 41)
    ours = legendre.associated_functions(22, 23, x)[m, :, n]
    norm = np.sqrt((2 * n + 1) / 2 * scipy.special.factorial(n - m) / scipy.special.factorial(n + m))
    np.testing.assert_allclose(ours, norm * scipy.special.lpmv(m, n, x), rtol=1e-10, atol=1e-12)


def test_associated_functions_are_orthonormal_under_gaussian_quadrature():
    nodes, weights = legendre.gauss_nodes(96)
    functions = legendre.associated_functions(64, 65, nodes)
    for m in (0, 1, 31, 63):
        gram = functions[m].T @ (weights[:, None] * functions[m])
        np.testing.assert_allclose(gram, np.diag(np.arange(65) >= m), atol=1e-12)


def test_functions_of_high_degree_stay_finite_near_the_poles():
    functions = legendre.associated_functions(256, 257, np.array([-1 + 1e-9, 0.0, 1 - 1e-9]))
    assert np.all(np.isfinite(functions))


def test_gaussian_quadrature_integrates_polynomials_up_to_twice_its_nodes_exactly():
    nodes, weights = legendre.gauss_nodes(8)
    assert np.all(np.diff(nodes) > 0)
    for degree in range(16):
        exact = 2 / (degree + 1) if degree % 2 == 0 else 0.0
        assert np.sum(weights * nodes**degree) == pytest.approx(exact, abs=1e-14)


def test_fourier_basis_is_orthonormal_on_the_circle_apart_from_the_empty_sine():
    basis = fourier.real_basis(22, 64)
    expected = np.eye(44)
    expected[1, 1] = 0
    np.testing.assert_allclose(basis.T @ basis * 2 * np.pi / 64, expected, atol=1e-13)
