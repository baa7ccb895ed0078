"""Vorticity and divergence of a wind on a Gaussian grid, by spherical harmonics.

The derivatives are taken of the series, not of the values, so they are exact for a wind that the grid
resolves, up to and including the poles. Method: Hack and Jakob 1992, NCAR/TN-343+STR, equations
3.16 and 3.17, with the triangular truncation at which Gaussian quadrature is exact.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from forecast.constants import EARTH_RADIUS
from forecast.grids import GaussianGrid


@dataclass(frozen=True)
class WindDerivatives:
    """Derivatives of winds [..., longitude, latitude] on one grid, radius that of the Earth."""

    grid: GaussianGrid

    def vorticity(self, eastward: NDArray, northward: NDArray) -> NDArray[np.float32]:
        """Relative vorticity [s-1] of a wind [m s-1]; shape kept."""
        return self._synthesis(self._analysis(1j * self._orders, northward, 1.0, eastward)).reshape(eastward.shape)

    def divergence(self, eastward: NDArray, northward: NDArray) -> NDArray[np.float32]:
        """Divergence [s-1] of a wind [m s-1]; shape kept."""
        return self._synthesis(self._analysis(1j * self._orders, eastward, -1.0, northward)).reshape(eastward.shape)

    def _analysis(self, zonal: NDArray, along: NDArray, sign: float, across: NDArray) -> NDArray[np.complex128]:
        """Coefficients [order, degree, field] of the zonal derivative of one component plus the meridional of another.

        The meridional derivative falls on the Legendre functions by partial integration, so no field is
        differentiated and nothing is divided by zero at the poles.
        """
        first = self._fourier(along) * zonal[:, np.newaxis, np.newaxis]
        second = self._fourier(across) * sign
        functions, slopes = self._legendre
        return functions @ first + slopes @ second

    def _fourier(self, wind: NDArray) -> NDArray[np.complex128]:
        """Fourier coefficients [order, latitude, field] of the wind, weighted for quadrature."""
        sine = np.sin(np.deg2rad(self.grid.latitudes))
        weights = self.grid.quadrature_weights / (2.0 * EARTH_RADIUS * np.sqrt(1.0 - sine**2))
        fields = wind.reshape(-1, *self.grid.shape).astype(np.float64)
        orders = np.fft.rfft(fields, axis=1, norm="forward")[:, : self._orders.size] * weights
        return orders.transpose(1, 2, 0)

    def _synthesis(self, coefficients: NDArray[np.complex128]) -> NDArray[np.float32]:
        """Values [field, longitude, latitude] of coefficients."""
        functions, _ = self._legendre
        orders = functions.transpose(0, 2, 1) @ coefficients
        values = np.fft.irfft(orders, n=self.grid.longitude_count, axis=0, norm="forward")
        return values.transpose(2, 0, 1).astype(np.float32)

    @property
    def _orders(self) -> NDArray[np.int64]:
        """Zonal wavenumbers that both the grid's longitudes and its latitudes resolve."""
        return np.arange(min(self.grid.latitude_count, self.grid.longitude_count // 2))

    @cached_property
    def _legendre(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Functions P and slopes (1 - x²) dP/dx at the latitudes, each [order, degree, latitude].

        The mean of P² over -1 < x < 1 is one. Degrees are zero to the number of latitudes less one.
        """
        sine = np.sin(np.deg2rad(self.grid.latitudes))
        degrees = np.arange(self.grid.latitude_count)
        functions = _legendre_functions(self._orders, degrees.size + 1, sine)
        rising, falling = _ratios(self._orders, degrees), _ratios(self._orders, degrees + 1)
        below = np.concatenate([np.zeros_like(functions[:, :1]), functions[:, :-2]], axis=1)
        slopes = (degrees + 1.0)[:, np.newaxis] * rising[..., np.newaxis] * below
        slopes -= degrees[:, np.newaxis] * falling[..., np.newaxis] * functions[:, 1:]
        return functions[:, :-1], slopes


@lru_cache(maxsize=2)
def wind_derivatives(longitude_count: int, latitude_count: int) -> WindDerivatives:
    """The derivatives on a grid; its tables are kept."""
    return WindDerivatives(GaussianGrid(longitude_count, latitude_count))


def _ratios(orders: NDArray, degrees: NDArray) -> NDArray[np.float64]:
    """The numbers ε of the recurrences between degrees, [order, degree]; zero where the degree is below the order."""
    squares = np.square(degrees.astype(np.float64)) - np.square(orders[:, np.newaxis].astype(np.float64))
    return np.sqrt(np.maximum(squares, 0.0) / (4.0 * np.square(degrees.astype(np.float64)) - 1.0).clip(min=1.0))


def _legendre_functions(orders: NDArray, degree_count: int, sine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised associated Legendre functions [order, degree, point] (Hack and Jakob 1992, appendix B)."""
    functions = np.zeros((orders.size, degree_count, sine.size))
    ratios = _ratios(orders, np.arange(degree_count + 1))
    cosine, sectoral = np.sqrt(1.0 - sine**2), np.ones_like(sine)
    for order in orders:
        if order:
            sectoral = sectoral * cosine * np.sqrt((2.0 * order + 1.0) / (2.0 * order))
        functions[order, order] = sectoral
        for degree in range(order + 1, degree_count):
            before = functions[order, degree - 2] * ratios[order, degree - 1] if degree > order + 1 else 0.0
            functions[order, degree] = (sine * functions[order, degree - 1] - before) / ratios[order, degree]
    return functions
