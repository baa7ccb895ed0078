"""Gaussian grid: latitudes at the roots of a Legendre polynomial, where the spectral transform is exact."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forecast.grids.grid import unchanging


@dataclass(frozen=True)
class GaussianGrid:
    """Regular Gaussian grid as the model has it: longitudes from 0, latitudes from south to north."""

    longitude_count: int
    latitude_count: int

    def __post_init__(self) -> None:
        if self.longitude_count < 4 or self.latitude_count < 4:
            raise ValueError(
                f"a Gaussian grid needs at least 4 x 4 points, got {self.longitude_count} x {self.latitude_count}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(longitude, latitude)."""
        return self.longitude_count, self.latitude_count

    @property
    def longitudes(self) -> NDArray[np.float64]:
        """Degrees east from 0, shape [longitude]."""
        return self._axes[0]

    @property
    def latitudes(self) -> NDArray[np.float64]:
        """Degrees north, south first, shape [latitude]."""
        return self._axes[1]

    @property
    def quadrature_weights(self) -> NDArray[np.float64]:
        """Weights of the Gauss-Legendre rule in sin(latitude), shape [latitude]; their sum is 2."""
        return self._nodes_and_weights[1]

    @cached_property
    def _axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        eastward = np.linspace(0.0, 360.0, self.longitude_count, endpoint=False)
        return unchanging(eastward), unchanging(np.rad2deg(np.arcsin(self._nodes_and_weights[0])))

    @cached_property
    def _nodes_and_weights(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        nodes, weights = np.polynomial.legendre.leggauss(self.latitude_count)
        return np.asarray(nodes, dtype=np.float64), np.asarray(weights, dtype=np.float64)
