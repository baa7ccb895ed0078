"""Associated Legendre functions and Gauss-Legendre quadrature."""

import numpy as np
import scipy.special


def gauss_nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [-1, 1], increasing, and weights of Gauss-Legendre quadrature, float64 [count] each."""
    nodes, weights = scipy.special.roots_legendre(count)
    return nodes, weights


def associated_functions(zonal_wavenumbers: int, total_wavenumbers: int, x: np.ndarray) -> np.ndarray:
    """Associated Legendre functions with unit L2 norm on [-1, 1] at `x`, float64 [m, len(x), l].

    Entries with l < m are zero. Includes the Condon-Shortley phase. The three-term recurrence in l is
    started from the closed form of l = m (Durran 2010, section 6.4.4; Bourke 1974).
    """
    cosine = np.sqrt(1 - x * x)
    functions = np.zeros((zonal_wavenumbers, len(x), total_wavenumbers))
    sectoral = np.full_like(x, np.sqrt(0.5))
    for m in range(zonal_wavenumbers):
        if m > 0:
            sectoral = -np.sqrt(1 + 0.5 / m) * cosine * sectoral
        functions[m, :, m] = sectoral
        for l in range(m + 1, total_wavenumbers):  # noqa: E741
            previous = functions[m, :, l - 2] if l - 2 >= m else 0.0
            functions[m, :, l] = (x * functions[m, :, l - 1] - _epsilon(l - 1, m) * previous) / _epsilon(l, m)
    return functions


def _epsilon(l: int, m: int) -> float:  # noqa: E741
    """Coefficient of x P_(l-1) = epsilon_l P_l + epsilon_(l-1) P_(l-2) for normalised functions."""
    return np.sqrt((l * l - m * m) / (4.0 * l * l - 1.0))
