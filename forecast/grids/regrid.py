"""Change of horizontal grid: first-order conservative, or bilinear.

Both are separable: one sparse matrix along longitude and one along latitude.

Conservative: a target cell gets the area-weighted mean of the source cells that it overlaps (Jones
1999, Mon. Weather Rev. 127, first-order scheme). Cell boundaries lie half-way between neighbouring
points; the outermost cells end at the poles.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from forecast.grids.grid import Grid

Method = Literal["conservative", "bilinear"]

_LEAST_FRACTION = 1e-6
"""Share of a target cell that must have values for the cell to have one."""

_ROUNDING = 1e-12
"""Share of a target cell below which an overlap is an error of rounding."""

_BLOCK_VALUES = 8_000_000
"""Source values regridded at a time, which bounds the working memory."""


@dataclass(frozen=True)
class Regridder:
    """Takes arrays [..., longitude, latitude] from one grid to another.

    NaN is a missing value. Conservative: missing source cells do not count, and a target cell that
    overlaps no other is NaN. Bilinear: a target point that needs a missing value is NaN.
    """

    source: Grid
    target: Grid
    method: Method = "conservative"

    def __post_init__(self) -> None:
        if self.method not in ("conservative", "bilinear"):
            raise ValueError(f"expected method 'conservative' or 'bilinear', got {self.method!r}")

    def __call__(self, array: NDArray[Any], vector: bool = False) -> NDArray[Any]:
        """The array on the target grid; floating type kept, units unchanged.

        `vector` says that the values are an eastward or northward component, which at a pole turns
        with the meridian; it matters to the bilinear method only, between the last latitude and the
        pole. Raises ValueError when the shape is not the source's.
        """
        expected = (self.source.longitudes.size, self.source.latitudes.size)
        if array.shape[-2:] != expected:
            raise ValueError(f"expected an array [..., longitude, latitude] ending in {expected}, got {array.shape}")
        dtype = array.dtype if np.issubdtype(array.dtype, np.floating) else np.dtype(np.float64)
        fields = array.reshape(-1, *expected)
        result = np.empty((len(fields), self.target.longitudes.size, self.target.latitudes.size), dtype)
        block = max(1, _BLOCK_VALUES // (expected[0] * expected[1]))
        regrid = self._conservative if self.method == "conservative" else self._bilinear
        for start in range(0, len(fields), block):
            part = fields[start : start + block].astype(np.float64)
            result[start : start + block] = regrid(part, vector)
        return result.reshape(*array.shape[:-2], *result.shape[1:])

    @cached_property
    def longitude_weights(self) -> csr_array:
        """Rows sum to 1; shape (target, source)."""
        make = _longitude_overlap if self.method == "conservative" else _longitude_interpolation
        return _normalised(make(self.source.longitudes % 360.0, self.target.longitudes % 360.0))

    @cached_property
    def latitude_weights(self) -> csr_array:
        """Rows sum to 1; shape (target, source), for bilinear with a column more for each pole."""
        if self.method == "conservative":
            return _normalised(_in_order(_latitude_overlap, self.source.latitudes, self.target.latitudes))
        with_poles = np.concatenate([[-90.0], np.clip(self.source.latitudes, -90.0, 90.0), [90.0]])
        return _normalised(_in_order(_interpolation, with_poles, self.target.latitudes))

    def _conservative(self, fields: NDArray[np.float64], vector: bool) -> NDArray[np.float64]:
        missing = np.isnan(fields)
        if not missing.any():
            return self._apply(fields)
        fraction = self._apply(np.where(missing, 0.0, 1.0))
        mean = self._apply(np.where(missing, 0.0, fields))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(fraction > _LEAST_FRACTION, mean / fraction, np.nan)

    def _bilinear(self, fields: NDArray[np.float64], vector: bool) -> NDArray[np.float64]:
        at_pole = _first_wave if vector else _zonal_mean
        south, north = np.argmin(self.source.latitudes), np.argmax(self.source.latitudes)
        rows = [at_pole(fields[..., south], self.source.longitudes), fields]
        rows.append(at_pole(fields[..., north], self.source.longitudes))
        rows[0], rows[2] = rows[0][..., np.newaxis], rows[2][..., np.newaxis]
        return self._apply(np.concatenate(rows, axis=-1))

    def _apply(self, fields: NDArray[np.float64]) -> NDArray[np.float64]:
        """Both weight matrices on fields [field, longitude, latitude]."""
        count, longitudes, latitudes = fields.shape
        along_latitude = self.latitude_weights @ fields.reshape(-1, latitudes).T
        swapped = along_latitude.reshape(-1, count, longitudes).transpose(2, 1, 0).reshape(longitudes, -1)
        both = self.longitude_weights @ swapped
        return both.reshape(-1, count, along_latitude.shape[0]).transpose(1, 0, 2)


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


def _zonal_mean(row: NDArray[np.float64], longitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The one value that a scalar has at the pole, from the row [..., longitude] next to it."""
    return np.broadcast_to(row.mean(axis=-1, keepdims=True), row.shape)


def _first_wave(row: NDArray[np.float64], longitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """A vector component at the pole, seen from each meridian: zonal wavenumber 1 of the row next to it."""
    angle = np.deg2rad(longitudes)
    basis = np.stack([np.cos(angle), np.sin(angle)])
    return (row @ basis.T) * (2.0 / longitudes.size) @ basis
