"""Change of horizontal grid: first-order conservative, or bilinear.

Both are separable: one sparse matrix along longitude and one along latitude.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from forecast.grids import weight_cache
from forecast.grids.grid import Grid
from forecast.grids.weights import METHODS, Method, Weights

Array = NDArray[Any]

_LEAST_FRACTION = 1e-6
"""Share of a target cell that must have values for the cell to have one."""

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
        if self.method not in METHODS:
            raise ValueError(f"expected method 'conservative' or 'bilinear', got {self.method!r}")

    def __call__(self, array: Array, vector: bool = False) -> Array:
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
            part = fields[start : start + block].astype(max(dtype, np.dtype(np.float32)), copy=False)
            result[start : start + block] = regrid(part, vector)
        return result.reshape(*array.shape[:-2], *result.shape[1:])

    @cached_property
    def weights(self) -> Weights:
        """Both matrices, from the disk where they are kept."""
        return weight_cache.weights(self.source, self.target, self.method)

    @cached_property
    def _single_latitude(self) -> csr_array:
        """The weights along latitude for fields in single precision."""
        return csr_array(self.weights.latitude, dtype=np.float32)

    def _conservative(self, fields: Array, vector: bool) -> Array:
        if not np.isnan(fields.min()):
            return self._apply(fields)
        missing = np.isnan(fields)
        fraction = self._apply(np.where(missing, 0.0, 1.0))
        mean = self._apply(np.where(missing, 0.0, fields.astype(np.float64)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(fraction > _LEAST_FRACTION, mean / fraction, np.nan)

    def _bilinear(self, fields: Array, vector: bool) -> Array:
        at_pole = _first_wave if vector else _zonal_mean
        fields = fields.astype(np.float64)
        south, north = np.argmin(self.source.latitudes), np.argmax(self.source.latitudes)
        rows = [at_pole(fields[..., south], self.source.longitudes), fields]
        rows.append(at_pole(fields[..., north], self.source.longitudes))
        rows[0], rows[2] = rows[0][..., np.newaxis], rows[2][..., np.newaxis]
        return self._apply(np.concatenate(rows, axis=-1))

    def _apply(self, fields: Array) -> NDArray[np.float64]:
        """Both weight matrices on fields [field, longitude, latitude].

        Latitude comes first: it is the product with most values, and takes them as they lie in memory in files
        whose rows are parallels. Single precision is enough for the few values of its sums.
        """
        count, longitudes, latitudes = fields.shape
        single = fields.dtype == np.float32
        by_latitude = fields.reshape(-1, latitudes).T
        along_latitude = (self._single_latitude if single else self.weights.latitude) @ by_latitude
        swapped = along_latitude.reshape(-1, count, longitudes).transpose(2, 1, 0).reshape(longitudes, -1)
        both = self.weights.longitude @ swapped.astype(np.float64)
        return both.reshape(-1, count, along_latitude.shape[0]).transpose(1, 0, 2)


def _zonal_mean(row: NDArray[np.float64], longitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The one value that a scalar has at the pole, from the row [..., longitude] next to it."""
    return np.broadcast_to(row.mean(axis=-1, keepdims=True), row.shape)


def _first_wave(row: NDArray[np.float64], longitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """A vector component at the pole, seen from each meridian: zonal wavenumber 1 of the row next to it."""
    angle = np.deg2rad(longitudes)
    basis = np.stack([np.cos(angle), np.sin(angle)])
    return (row @ basis.T) * (2.0 / longitudes.size) @ basis
