"""The height of the ground as the dynamical core sees it."""

import jax
import numpy as np
from flax import nnx

from forecast.dycore.constant import rounded
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import SphericalHarmonics, change_truncation


def from_surface_geopotential(geopotential: np.ndarray, gravity: float, harmonics: SphericalHarmonics) -> jax.Array:
    """Coefficients [zonal, 1, total] of the surface height from grid values [longitude, latitude].

    `geopotential` and `gravity` in one consistent system of units, which the result is in.
    """
    return nnx.jit(SphericalHarmonics.to_modal)(harmonics, rounded((geopotential / gravity)[:, None]))


def surface_geopotential(height: jax.Array, gravity: float, harmonics: SphericalHarmonics) -> jax.Array:
    """Grid values [longitude, latitude] of the surface geopotential from coefficients of the surface height."""
    nodal = np.asarray(nnx.jit(SphericalHarmonics.to_nodal)(harmonics, height))
    return rounded(nodal[:, 0] * gravity)


def corrected(
    base: jax.Array, base_grid: SpectralGrid, correction: np.ndarray, scale: float, grid: SpectralGrid
) -> jax.Array:
    """Coefficients [zonal, 1, total] on `grid` of a height given on `base_grid` plus a learned correction.

    `correction` lists one value for each coefficient that exists, in the order of `grid.mask`; it counts
    `scale` times (Kochkov et al. 2024, appendix B).
    """
    learned = np.zeros((grid.zonal_count, grid.total_wavenumbers))
    learned[grid.mask] = correction * np.float32(scale)
    return change_truncation(base, base_grid, grid) + rounded(learned[:, None])
