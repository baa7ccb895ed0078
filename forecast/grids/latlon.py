"""Regular latitude-longitude grid, as forecasts are published on it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forecast.grids.grid import unchanging


@dataclass(frozen=True)
class LatLonGrid:
    """Equal steps in both directions: 90 N first, 0 E first, both poles included.

    `spacing_degrees` must divide 180; ValueError otherwise.
    """

    spacing_degrees: float

    def __post_init__(self) -> None:
        steps = 180.0 / self.spacing_degrees if self.spacing_degrees > 0 else 0.0
        if steps < 3 or abs(steps - round(steps)) > 1e-6:
            raise ValueError(f"expected a spacing that divides 180 degrees, got {self.spacing_degrees}")

    @property
    def shape(self) -> tuple[int, int]:
        """(longitude, latitude)."""
        return self.longitudes.size, self.latitudes.size

    @property
    def longitudes(self) -> NDArray[np.float64]:
        """Degrees east from 0, shape [longitude]."""
        return self._axes[0]

    @property
    def latitudes(self) -> NDArray[np.float64]:
        """Degrees north from 90 to -90, shape [latitude]."""
        return self._axes[1]

    @cached_property
    def _axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        steps = round(180.0 / self.spacing_degrees)
        eastward = np.linspace(0.0, 360.0, 2 * steps, endpoint=False)
        return unchanging(eastward), unchanging(np.linspace(90.0, -90.0, steps + 1))
