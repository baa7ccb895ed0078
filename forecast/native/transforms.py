"""Tables and calls of the kernels in transforms.cc, which tells how the symmetries are used."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import constant
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.native.kernel import Plain, Tables, apply, kernel
from forecast.native.tables import LANES, ROWS, packed, padded


class Transforms(nnx.Module):
    """Both transforms of a truncation, in float32."""

    def __init__(self, grid: SpectralGrid):
        self.grid = grid
        self.legendre_inverse = packed(_legendre_inverse(grid))
        self.legendre_forward = packed(_legendre_forward(grid))
        self.fourier_inverse = packed(_fourier_inverse(grid))
        self.fourier_forward = packed(_fourier_forward(grid))
        self.weights = constant(_weights(grid), jnp.float32)

    def to_nodal(self, modal: jax.Array, plain: Plain, plain_tables: Tables) -> jax.Array:
        """See `SphericalHarmonics.to_nodal`."""
        shape = (self.grid.longitude_count, modal.shape[1], self.grid.latitude_count)
        tables = self.legendre_inverse[...], self.fourier_inverse[...]
        return apply(kernel("sigmacast_to_nodal", shape), plain, tables, plain_tables, modal)

    def to_modal(self, nodal: jax.Array, plain: Plain, plain_tables: Tables) -> jax.Array:
        """See `SphericalHarmonics.to_modal`."""
        shape = (self.grid.zonal_count, nodal.shape[1], self.grid.total_wavenumbers)
        tables = self.legendre_forward[...], self.fourier_forward[...], self.weights[...]
        return apply(kernel("sigmacast_to_modal", shape), plain, tables, plain_tables, nodal)


def _south(grid: SpectralGrid) -> np.ndarray:
    """Legendre functions of one hemisphere, the equator included [m, latitude, total]."""
    return grid.legendre_matrix[:, : (grid.latitude_count + 1) // 2]


def _legendre_inverse(grid: SpectralGrid) -> list[np.ndarray]:
    """For each m [l - m, latitude]."""
    return [padded(functions[:, m:].T, 1, LANES) for m, functions in enumerate(_south(grid))]


def _legendre_forward(grid: SpectralGrid) -> list[np.ndarray]:
    """For each m and parity of l - m [latitude, l]."""
    parities = [functions[:, m + parity :: 2] for m, functions in enumerate(_south(grid)) for parity in (0, 1)]
    return [padded(functions, 1, LANES) for functions in parities]


def _fourier(grid: SpectralGrid) -> list[np.ndarray]:
    """The basis [node, m] by parity of m, cosines and sines, at the longitudes that symmetry does not tell."""
    parities = 2 if grid.longitude_count % 2 == 0 else 1
    nodes = grid.longitude_count // (2 * parities) + 1
    basis = grid.fourier_matrix[:nodes]
    return [basis[:, 2 * parity + part :: 2 * parities] for parity in range(parities) for part in (0, 1)]


def _fourier_inverse(grid: SpectralGrid) -> list[np.ndarray]:
    """Each [node / rows, m, node % rows]."""
    return [_in_rows(padded(basis, 0, ROWS)) for basis in _fourier(grid)]


def _fourier_forward(grid: SpectralGrid) -> list[np.ndarray]:
    """Each [m / rows, node, m % rows]; a node that is its own mirror image counts half, for it comes twice."""
    alone = np.ones(_fourier(grid)[0].shape[0])
    alone[0] = 0.5
    if grid.longitude_count % 4 == 0:
        alone[-1] = 0.5
    return [_in_rows(padded((basis * alone[:, None]).T, 0, ROWS)) for basis in _fourier(grid)]


def _in_rows(table: np.ndarray) -> np.ndarray:
    """[row, k] as [row / rows, k, row % rows]."""
    return table.reshape(-1, ROWS, table.shape[1]).transpose(0, 2, 1)


def _weights(grid: SpectralGrid) -> np.ndarray:
    """Quadrature weights [hemisphere, latitude] from the poles; an equator that is a node is halved between them."""
    weights = np.stack([grid.quadrature_weights, grid.quadrature_weights[::-1]])
    south = weights[:, : (grid.latitude_count + 1) // 2].copy()
    if grid.latitude_count % 2:
        south[:, -1] *= 0.5
    return padded(south, 1, LANES)
