"""GRIB editions 1 and 2, message by message, through ecCodes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import eccodes
import numpy as np
from numpy.typing import NDArray

from forecast.grids import GaussianGrid, GridError, RegularGrid
from ingest.ahead import ahead
from ingest.canonical import Quantity, RawField, grib_quantity, without_sentinels
from ingest.errors import Broken, Refused
from ingest.framing import Message, read_messages

_MISSING = -1.0e30
"""Stands for a missing value while decoding: `without_sentinels` knows it by its size."""


@dataclass(frozen=True)
class Header:
    """What a message says it holds; `experiment` is ECMWF's expver, such as 0001 for ERA5 and 0005 for ERA5T."""

    quantity: Quantity
    level: int | None
    valid_time: datetime
    member: int
    experiment: str | None = None


def read_fields(path: Path, wanted: Callable[[Header], bool]) -> Iterator[RawField]:
    """The wanted fields of a file in their order; only those are decoded, some messages at the same time.

    `wanted` is called in the threads that decode. Raises Broken when the file is damaged and Refused when a
    wanted field is on no global regular grid.
    """

    def field(message: Message) -> RawField | None:
        label = f"{path.name}, message {message.number}"
        with _handle(message, label) as handle, _decoding(label):
            header = _header(handle, label)
            if header is None or not wanted(header):
                return None
            grid = _grid(handle, label)
            values = _values(handle, header.quantity, grid, label)
        return RawField(header.quantity, header.level, header.valid_time, header.member, grid, values, label, path.name)

    with open(path, "rb") as file:
        yield from (one for one in ahead(field, read_messages(file, path.name)) if one is not None)


def read_headers(path: Path) -> Iterator[Header]:
    """What the file holds of our quantities, without decoding values; raises Broken when it is damaged."""
    with open(path, "rb") as file:
        for message in read_messages(file, path.name):
            label = f"{path.name}, message {message.number}"
            with _handle(message, label) as handle, _decoding(label):
                header = _header(handle, label)
            if header is not None:
                yield header


@contextmanager
def _handle(message: Message, label: str) -> Iterator[int]:
    with _decoding(label):
        handle = eccodes.codes_new_from_message(message.content)
    try:
        yield handle
    finally:
        eccodes.codes_release(handle)


@contextmanager
def _decoding(label: str) -> Iterator[None]:
    try:
        yield
    except eccodes.CodesInternalError as error:
        raise Broken(f"{label}: cannot be decoded, ecCodes says: {error}; fetch the file again") from error


def _text(handle: int, key: str) -> str:
    return str(eccodes.codes_get(handle, key, str))


def _integer(handle: int, key: str) -> int:
    return int(eccodes.codes_get(handle, key, int) or 0)


def _number(handle: int, key: str) -> float:
    return float(eccodes.codes_get(handle, key, float) or 0.0)


def _header(handle: int, label: str) -> Header | None:
    """None when the message is none of ours, or no instantaneous field."""
    kind = _text(handle, "typeOfLevel")
    quantity = grib_quantity(_text(handle, "shortName"), kind)
    if quantity is None or _text(handle, "stepType") != "instant":
        return None
    level = None
    if quantity.on_levels:
        pressure = _number(handle, "level") / (100.0 if kind == "isobaricInPa" else 1.0)
        if pressure != round(pressure):
            return None
        level = round(pressure)
    member = _integer(handle, "number") if eccodes.codes_is_defined(handle, "number") else 0
    experiment = _text(handle, "expver") if eccodes.codes_is_defined(handle, "expver") else None
    return Header(quantity, level, _valid_time(handle, label), member, experiment)


def _valid_time(handle: int, label: str) -> datetime:
    date, time = (_integer(handle, key) for key in ("validityDate", "validityTime"))
    try:
        return datetime(date // 10000, date // 100 % 100, date % 100, time // 100, time % 100, tzinfo=UTC)
    except ValueError as error:
        raise Broken(f"{label}: expected a date and time, found {date} {time:04d}; fetch the file again") from error


def _values(handle: int, quantity: Quantity, grid: RegularGrid, label: str) -> NDArray[np.float32]:
    """Values [longitude, latitude] in SI units, NaN where missing."""
    eccodes.codes_set(handle, "missingValue", _MISSING)
    flat = np.asarray(eccodes.codes_get_array(handle, "values", np.float32))
    shape = grid.latitudes.size, grid.longitudes.size
    if flat.size != shape[0] * shape[1]:
        raise Broken(f"{label}: expected {shape[0]} x {shape[1]} values, found {flat.size}; fetch the file again")
    if _integer(handle, "jPointsAreConsecutive"):
        by_longitude = flat.reshape(shape[1], shape[0])
    else:
        by_longitude = flat.reshape(shape).T
    if _integer(handle, "alternativeRowScanning"):
        raise Refused(f"{label}: rows that run in alternating directions are not supported; regrid the file")
    values = without_sentinels(by_longitude, quantity)
    return values if quantity.grib_factor == 1.0 else values * np.float32(quantity.grib_factor)


_CORNERS = tuple(f"{axis}Of{end}GridPointInDegrees" for axis in ("latitude", "longitude") for end in ("First", "Last"))


def _grid(handle: int, label: str) -> RegularGrid:
    kind = _text(handle, "gridType")
    if kind not in ("regular_ll", "regular_gg"):
        raise Refused(
            f"{label}: expected a regular latitude-longitude or regular Gaussian grid, found {kind}; "
            "interpolate the file to one of these first"
        )
    try:
        return _grid_from_keys(
            kind,
            _integer(handle, "Ni"),
            _integer(handle, "Nj"),
            *(_number(handle, key) for key in _CORNERS),
            westward=bool(_integer(handle, "iScansNegatively")),
        )
    except GridError as error:
        raise Refused(f"{label}: {error}; give a global file") from error


@lru_cache(maxsize=8)
def _grid_from_keys(
    kind: str, columns: int, rows: int, north: float, south: float, west: float, east: float, westward: bool
) -> RegularGrid:
    if columns < 4 or rows < 4:
        raise GridError(f"expected at least 4 x 4 points, got {columns} x {rows}")
    span = (west - east if westward else east - west) % 360.0
    longitudes = west + (-1.0 if westward else 1.0) * np.linspace(0.0, span, columns)
    latitudes = np.linspace(north, south, rows)
    if kind == "regular_gg":
        gaussian: NDArray[Any] = GaussianGrid(columns, rows).latitudes
        gaussian = gaussian if south > north else gaussian[::-1]
        if abs(gaussian[0] - north) > 0.01 or abs(gaussian[-1] - south) > 0.01:
            raise GridError(
                f"expected Gaussian latitudes from {gaussian[0]:.4f}, got {north} to {south}: a regional grid"
            )
        latitudes = gaussian
    return RegularGrid(longitudes, latitudes)
