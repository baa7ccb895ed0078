"""Weights of a change of grid.

Conservative: a target cell gets the area-weighted mean of the source cells that it overlaps (Jones
1999, Mon. Weather Rev. 127, first-order scheme). Cell boundaries lie half-way between neighbouring
points; the outermost cells end at the poles.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from forecast.grids.grid import Grid

Method = Literal["conservative", "bilinear"]
METHODS = get_args(Method)

_ROUNDING = 1e-12
"""Share of a target cell below which an overlap is an error of rounding."""


class Weights(NamedTuple):
    """One matrix (target, source) along each axis, whose rows sum to 1.

    Bilinear, the matrix along latitude has a column more at each end, for the south and the north pole.
    """

    longitude: csr_array
    latitude: csr_array


def make_weights(source: Grid, target: Grid, method: Method) -> Weights:
    """The weights from one grid to another."""
    conservative = method == "conservative"
    along_longitude = _longitude_overlap if conservative else _longitude_interpolation
    longitude = along_longitude(source.longitudes % 360.0, target.longitudes % 360.0)
    if conservative:
        latitude = _in_order(_latitude_overlap, source.latitudes, target.latitudes)
    else:
        with_poles = np.concatenate([[-90.0], np.clip(source.latitudes, -90.0, 90.0), [90.0]])
        latitude = _in_order(_interpolation, with_poles, target.latitudes)
    return Weights(_normalised(longitude), _normalised(latitude))


def _normalised(weights: NDArray[np.float64]) -> csr_array:
    shares = weights / weights.sum(axis=1, keepdims=True)
    shares[shares < _ROUNDING] = 0.0
    return csr_array(shares / shares.sum(axis=1, keepdims=True))


def _in_order(
    weights: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    source: NDArray[np.float64],
    target: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Weights (target, source) of points in any order, from a function of ascending points."""
    rows, columns = np.argsort(target, kind="stable"), np.argsort(source, kind="stable")
    result = np.empty((target.size, source.size))
    result[np.ix_(rows, columns)] = weights(source[columns], target[rows])
    return result


def _latitude_overlap(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Common area of latitude bands, per radian of longitude: difference of sin(latitude)."""
    source_bounds, target_bounds = _latitude_bounds(source), _latitude_bounds(target)
    lower = np.maximum(target_bounds[:-1, np.newaxis], source_bounds[np.newaxis, :-1])
    upper = np.minimum(target_bounds[1:, np.newaxis], source_bounds[np.newaxis, 1:])
    return np.where(upper > lower, np.sin(upper) - np.sin(lower), 0.0)


def _latitude_bounds(latitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    radians = np.deg2rad(latitudes)
    return np.concatenate([[-np.pi / 2], (radians[:-1] + radians[1:]) / 2, [np.pi / 2]])


def _longitude_overlap(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Common width of longitude cells, counted across the date line."""
    source_lower, source_upper = _longitude_bounds(source)
    target_lower, target_upper = _longitude_bounds(target)
    overlap = np.zeros((target.size, source.size))
    for turn in (-360.0, 0.0, 360.0):
        upper = np.minimum(target_upper[:, np.newaxis], source_upper + turn)
        lower = np.maximum(target_lower[:, np.newaxis], source_lower + turn)
        overlap += np.maximum(upper - lower, 0.0)
    return overlap


def _longitude_bounds(longitudes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    order = np.argsort(longitudes, kind="stable")
    ordered = longitudes[order]
    following = np.append(ordered[1:], ordered[0] + 360.0)
    lower, upper = np.empty_like(ordered), np.empty_like(ordered)
    upper[order] = (ordered + following) / 2
    lower[order] = np.roll((ordered + following) / 2, 1) - np.where(np.arange(ordered.size) == 0, 360.0, 0.0)
    return lower, upper


def _longitude_interpolation(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation weights round the circle."""
    order = np.argsort(source, kind="stable")
    ordered = source[order]
    closed = np.concatenate([[ordered[-1] - 360.0], ordered, [ordered[0] + 360.0]])
    weights = _interpolation(closed, target)
    weights[:, -2] += weights[:, 0]
    weights[:, 1] += weights[:, -1]
    result = np.empty((target.size, source.size))
    result[:, order] = weights[:, 1:-1]
    return result


def _interpolation(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of linear interpolation between ascending points; an endpoint given twice counts once."""
    upper = np.clip(np.searchsorted(source, target, side="right"), 1, source.size - 1)
    lower = upper - 1
    width = source[upper] - source[lower]
    share = np.divide(target - source[lower], width, out=np.ones_like(width), where=width > 0)
    weights = np.zeros((target.size, source.size))
    rows = np.arange(target.size)
    weights[rows, lower] += 1.0 - share
    weights[rows, upper] += share
    return weights
