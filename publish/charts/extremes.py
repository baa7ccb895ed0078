"""Highs and lows of a field on the globe."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter, minimum_filter

from forecast.grids import LatLonGrid

_REACH_DEGREES = 10.0
_SMOOTHING_DEGREES = 1.5
_POLEWARD = 78.0
_PROMINENCE = 2.5


@dataclass(frozen=True)
class Centre:
    """An extreme: where it is [degrees, east -180 to 180], its value, and whether it is a maximum."""

    longitude: float
    latitude: float
    value: float
    high: bool


def centres(grid: LatLonGrid, field: NDArray[np.float64], prominence: float = _PROMINENCE) -> list[Centre]:
    """Extremes of a field [latitude, longitude] within ten degrees of latitude and as far along the parallel.

    A centre stands out from the mean of its surroundings by `prominence`; those nearer the poles than 78
    degrees are left out, where ten degrees along the parallel are no distance.
    """
    width = _SMOOTHING_DEGREES / grid.spacing_degrees
    smooth = gaussian_filter1d(gaussian_filter1d(field, width, axis=0, mode="nearest"), width, axis=1, mode="wrap")
    found = []
    for row in np.flatnonzero(np.abs(grid.latitudes) <= _POLEWARD):
        found += _in_row(grid, smooth, field, int(row), prominence)
    return found


def _in_row(
    grid: LatLonGrid, smooth: NDArray[np.float64], field: NDArray[np.float64], row: int, prominence: float
) -> list[Centre]:
    reach = max(1, round(_REACH_DEGREES / grid.spacing_degrees))
    stretch = 1.0 / max(np.cos(np.deg2rad(grid.latitudes[row])), 0.2)
    along = min(max(1, round(reach * stretch)), grid.longitudes.size // 2 - 1)
    band = smooth[max(row - reach, 0) : row + reach + 1]
    box = (1, 2 * along + 1)
    highest = maximum_filter(band.max(axis=0)[np.newaxis], box, mode="wrap")[0]
    lowest = minimum_filter(band.min(axis=0)[np.newaxis], box, mode="wrap")[0]
    found = []
    for column in np.flatnonzero((smooth[row] == highest) | (smooth[row] == lowest)):
        around = np.take(band, np.arange(column - along, column + along + 1), axis=1, mode="wrap").mean()
        high = bool(smooth[row, column] == highest[column])
        if abs(smooth[row, column] - around) >= prominence:
            east = (grid.longitudes[column] + 180.0) % 360.0 - 180.0
            found.append(Centre(float(east), float(grid.latitudes[row]), float(field[row, column]), high))
    return found
