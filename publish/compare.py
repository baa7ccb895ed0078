"""In what two files of the same product differ, and by how much: GRIB messages and NetCDF variables by their values."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import eccodes
import netCDF4
import numpy as np


@dataclass(frozen=True)
class _Field:
    """Values and their name for people."""

    name: str
    values: Any


def difference(expected: Path, got: Path) -> str:
    """What tells two files that are not the same byte for byte apart, in one phrase."""
    try:
        if expected.suffix == ".grib2":
            return _of_fields(list(_messages(expected)), list(_messages(got)), "messages", "headers alone differ")
        if expected.suffix == ".nc":
            attributes = _attributes(expected, got)
            alone = f"attributes alone differ: {', '.join(attributes)}" if attributes else "values and attributes agree"
            return _of_fields(list(_variables(expected)), list(_variables(got)), "variables", alone)
    except (eccodes.CodesInternalError, OSError, RuntimeError, ValueError) as error:
        return f"it cannot be compared: {error}"
    return f"other content, {got.stat().st_size} bytes, recorded {expected.stat().st_size}"


def _of_fields(expected: list[_Field], got: list[_Field], what: str, if_same: str) -> str:
    names = [one.name for one in expected]
    if names != [one.name for one in got]:
        return f"{len(got)} {what}, recorded {len(expected)}, not the same ones"
    apart = [(_distance(one.values, other.values), one.name) for one, other in zip(expected, got, strict=True)]
    differing = [(distance, name) for distance, name in apart if distance != 0.0]
    if not differing:
        return if_same
    largest, name = max(differing)
    return f"{len(differing)} of {len(apart)} {what} differ, most of all {name}, by up to {largest:.3g}"


def _distance(expected: Any, got: Any) -> float:
    """The largest absolute difference; infinite for another shape, or where one alone has a value."""
    if np.shape(expected) != np.shape(got):
        return float("inf")
    if not np.issubdtype(np.asarray(expected).dtype, np.number):
        return 0.0 if np.array_equal(expected, got) else float("inf")
    first, second = (np.ma.filled(np.ma.asarray(one, dtype=np.float64), np.nan) for one in (expected, got))
    if not np.array_equal(np.isnan(first), np.isnan(second)):
        return float("inf")
    apart = np.abs(first - second)[~np.isnan(first)]
    return float(apart.max()) if apart.size else 0.0


def _messages(path: Path) -> Iterator[_Field]:
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            try:
                keys = ("shortName", "level", "typeOfLevel", "stepRange")
                name = "{} at {} {}, {} h".format(*(eccodes.codes_get_string(handle, key) for key in keys))
                if eccodes.codes_is_defined(handle, "number"):
                    name += f" member {eccodes.codes_get_long(handle, 'number')}"
                yield _Field(name, eccodes.codes_get_values(handle))
            finally:
                eccodes.codes_release(handle)


def _variables(path: Path) -> Iterator[_Field]:
    with netCDF4.Dataset(path) as dataset:
        for name in sorted(dataset.variables):
            yield _Field(name, dataset.variables[name][...])


def _attributes(expected: Path, got: Path) -> list[str]:
    """The attributes that differ, those of a variable with its name before."""
    first, second = _all_attributes(expected), _all_attributes(got)
    return sorted(name for name in first | second if not _same(first.get(name), second.get(name)))


def _same(first: Any, second: Any) -> bool:
    return type(first) is type(second) and bool(np.array_equal(first, second))


def _all_attributes(path: Path) -> dict[str, Any]:
    with netCDF4.Dataset(path) as dataset:
        found = {name: dataset.getncattr(name) for name in dataset.ncattrs()}
        for name, variable in dataset.variables.items():
            found |= {f"{name}:{one}": variable.getncattr(one) for one in variable.ncattrs()}
    return found
