"""Filters that damp the highest total wavenumbers: factors to multiply coefficients by."""

import numpy as np


def exponential_filter(
    total_wavenumbers: np.ndarray, attenuation: float, order: int, cutoff: float = 0.0
) -> np.ndarray:
    """exp(-attenuation ((k - cutoff) / (1 - cutoff))^(2 order)) where k > cutoff, else one; float64 [total].

    k is the total wavenumber over the largest one. Source: Gottlieb and Shu 1997, SIAM Rev. 39, 644;
    Hou and Li 2007, J. Comput. Phys. 226, 379.
    """
    if not 0 <= cutoff < 1:
        raise ValueError(f"cutoff: expected a share in [0, 1) of the largest wavenumber, got {cutoff}")
    k = np.asarray(total_wavenumbers, np.float64) / np.max(total_wavenumbers)
    excess = np.maximum(k - cutoff, 0.0) / (1 - cutoff)
    return np.exp(-attenuation * excess ** (2 * order))


def step_filter(
    total_wavenumbers: np.ndarray, time_step: float, timescale: float, order: int, cutoff: float = 0.0
) -> np.ndarray:
    """The exponential filter that damps the largest wavenumber by e in each `timescale`, over one `time_step`.

    Both times in the same unit; float64 [total].
    """
    return exponential_filter(total_wavenumbers, time_step / timescale, order, cutoff)
