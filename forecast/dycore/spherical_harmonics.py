"""Spherical harmonic transforms and the spectral calculus on the unit sphere.

Layouts are those of `SpectralGrid`: modal [zonal, level, total], nodal [longitude, level, latitude].
Sources: Durran 2010, chapter 6; Bourke 1974, Mon. Wea. Rev. 102.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import constant
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.native import library
from forecast.native.transforms import Transforms

_PRECISION = jax.lax.Precision.HIGHEST

CONSTANT_FIELD_COEFFICIENT = 3.5449077018110318
"""Coefficient [0, 0] of a field that is one everywhere: sqrt(4 pi)."""


class SphericalHarmonics(nnx.Module):
    """Transforms between coefficients and grid values, and derivatives of coefficients.

    With `kernels` float32 is transformed by `forecast.native` where that is available. Its sums round
    elsewhere, which shows where a large mean is differentiated, as in the features of encoders and decoders.
    """

    def __init__(self, grid: SpectralGrid, *, kernels: bool = False):
        self.grid = grid
        a, b = grid.recurrence
        l = grid.l[None, :]  # noqa: E741
        self.native = Transforms(grid) if kernels and library.available() else None
        self.fourier = constant(grid.fourier_matrix)
        self.fourier_transposed = constant(grid.fourier_matrix.T)
        self.legendre = constant(grid.legendre_matrix.transpose(0, 2, 1))
        self.legendre_transposed = constant(grid.legendre_matrix)
        self.gradient_weights = constant([((l + 1) * a)[:, None], (-l * b)[:, None]])
        self.divergence_weights = constant([((l - 1) * a)[:, None], (-(l + 2) * b)[:, None]])

    def to_nodal(self, modal: jax.Array) -> jax.Array:
        """Coefficients [zonal, level, total] to grid values [longitude, level, latitude]; units unchanged."""
        tables = self.fourier[...], self.legendre[...]
        if self.native is not None and modal.dtype == jnp.float32:
            return self.native.to_nodal(modal, _to_nodal, tables)
        return _to_nodal(tables, modal)

    def to_modal(self, nodal: jax.Array) -> jax.Array:
        """Grid values [longitude, level, latitude] to coefficients [zonal, level, total]; units unchanged.

        The weights of the quadrature multiply the values, not the basis functions, as in the published models:
        float32 rounds a weight by up to 6e-8 of it, and where the rounding falls shows wherever a large mean is
        differentiated, as in the features of the encoders.
        """
        weights = jnp.asarray(self.grid.quadrature_weights, nodal.dtype)
        tables = self.fourier_transposed[...], self.legendre_transposed[...], weights
        if self.native is not None and nodal.dtype == jnp.float32:
            return self.native.to_modal(nodal, _to_modal, tables)
        return _to_modal(tables, nodal)

    def laplacian(self, modal: jax.Array) -> jax.Array:
        """Laplacian of a scalar."""
        return modal * jnp.asarray(self.grid.laplacian_eigenvalues, modal.dtype)

    def inverse_laplacian(self, modal: jax.Array) -> jax.Array:
        """The field of zero mean whose Laplacian is `modal` less its mean."""
        eigenvalues = self.grid.laplacian_eigenvalues.copy()
        eigenvalues[0] = float("inf")
        return modal * jnp.asarray(1 / eigenvalues, modal.dtype)

    def d_dlon(self, modal: jax.Array) -> jax.Array:
        """Derivative with respect to longitude."""
        pairs = modal.reshape(self.grid.zonal_wavenumbers, 2, *modal.shape[1:])
        signed = self.grid.m * np.tile([1, -1], self.grid.zonal_wavenumbers)
        return pairs[:, ::-1].reshape(modal.shape) * jnp.asarray(signed, modal.dtype)[:, None, None]

    def cos_lat_d_dlat(self, modal: jax.Array) -> jax.Array:
        """Derivative with respect to latitude times the cosine of latitude."""
        return _neighbours(modal, self.gradient_weights[...])

    def sec_lat_d_dlat_cos2(self, modal: jax.Array) -> jax.Array:
        """(1 / cos) d/dlat (cos^2 x)."""
        return _neighbours(modal, self.divergence_weights[...])

    def cos_lat_gradient(self, modal: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Eastward and northward component of the gradient, each times the cosine of latitude."""
        return self.d_dlon(modal), self.cos_lat_d_dlat(modal)

    def divergence(self, eastward: jax.Array, northward: jax.Array) -> jax.Array:
        """Divergence of a vector given by its components over the cosine of latitude."""
        return self.d_dlon(eastward) + self.sec_lat_d_dlat_cos2(northward)

    def curl(self, eastward: jax.Array, northward: jax.Array) -> jax.Array:
        """Vertical component of the curl of a vector given by its components over the cosine of latitude."""
        return self.d_dlon(northward) - self.sec_lat_d_dlat_cos2(eastward)

    def cos_lat_velocity(self, vorticity: jax.Array, divergence: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Velocity (eastward, northward) times the cosine of latitude, from its curl and divergence."""
        psi, chi = self.inverse_laplacian(vorticity), self.inverse_laplacian(divergence)
        return self.d_dlon(chi) - self.cos_lat_d_dlat(psi), self.cos_lat_d_dlat(chi) + self.d_dlon(psi)

    def clip(self, modal: jax.Array, count: int = 1) -> jax.Array:
        """The same coefficients with the highest `count` total wavenumbers set to zero."""
        keep = self.grid.l < self.grid.total_wavenumbers - count
        return modal * jnp.asarray(keep, modal.dtype)


def _to_nodal(tables: tuple[jax.Array, ...], modal: jax.Array) -> jax.Array:
    fourier, legendre = tables
    zonal, level, total = modal.shape
    waves = jnp.matmul(modal.reshape(zonal // 2, 2 * level, total), legendre, precision=_PRECISION)
    nodal = jnp.matmul(fourier, waves.reshape(zonal, -1), precision=_PRECISION)
    return nodal.reshape(-1, level, legendre.shape[-1])


def _to_modal(tables: tuple[jax.Array, ...], nodal: jax.Array) -> jax.Array:
    fourier, legendre, weights = tables
    longitude, level, latitude = nodal.shape
    waves = jnp.matmul(fourier, (nodal * weights).reshape(longitude, -1), precision=_PRECISION)
    modal = jnp.matmul(waves.reshape(-1, 2 * level, latitude), legendre, precision=_PRECISION)
    return modal.reshape(-1, level, legendre.shape[-1])


def change_truncation(modal: jax.Array, source: SpectralGrid, target: SpectralGrid) -> jax.Array:
    """Coefficients on another truncation: extra ones dropped, missing ones zero."""
    zonal = min(source.zonal_count, target.zonal_count)
    total = min(source.total_wavenumbers, target.total_wavenumbers)
    padding = [(0, target.zonal_count - zonal), (0, 0), (0, target.total_wavenumbers - total)]
    return jnp.pad(modal[:zonal, :, :total], padding)


def _neighbours(modal: jax.Array, weights: jax.Array) -> jax.Array:
    """Sum of the weighted coefficients one total wavenumber above and one below."""
    from_above = jnp.pad((weights[0] * modal)[..., 1:], [(0, 0), (0, 0), (0, 1)])
    from_below = jnp.pad((weights[1] * modal)[..., :-1], [(0, 0), (0, 0), (1, 0)])
    return from_above + from_below
