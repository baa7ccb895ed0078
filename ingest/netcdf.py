"""NetCDF files with CF names, or those of the Climate Data Store, through xarray."""

from collections.abc import Callable, Hashable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from forecast.grids import GridError, RegularGrid
from ingest.canonical import Quantity, RawField, netcdf_quantity, without_sentinels
from ingest.errors import Broken, Refused
from ingest.grib import Header

_LONGITUDES = ("longitude", "lon")
_LATITUDES = ("latitude", "lat")
_LEVELS = ("level", "pressure_level", "isobaricInhPa", "plev", "lev", "air_pressure")
_TIMES = ("valid_time", "time")
_MEMBERS = ("number", "realization", "member")
_PRESSURE_UNITS = {"hPa": 1.0, "millibars": 1.0, "millibar": 1.0, "mbar": 1.0, "mb": 1.0, "Pa": 0.01}


def read_fields(path: Path, wanted: Callable[[Header], bool]) -> Iterator[RawField]:
    """The wanted fields of a file, one at a time; only those are read.

    Raises Broken when the file is damaged and Refused when units, dimensions or grid are not as needed.
    """
    with _opened(path) as dataset:
        grid = _grid(dataset, path.name)
        for variable, header, selection in _headers(dataset, path.name):
            if wanted(header):
                label = f"{path.name}, variable {variable.name}"
                values = _values(variable, selection, header.quantity, label)
                yield RawField(
                    header.quantity, header.level, header.valid_time, header.member, grid, values, label, path.name
                )


def read_headers(path: Path) -> Iterator[Header]:
    """What the file holds of our quantities, without reading values; raises Broken when it is damaged."""
    with _opened(path) as dataset:
        for _, header, _ in _headers(dataset, path.name):
            yield header


def _opened(path: Path) -> xr.Dataset:
    try:
        return xr.open_dataset(path, engine="netcdf4", decode_timedelta=False, cache=False)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise Broken(f"{path.name}: cannot be opened as NetCDF: {error}; fetch the file again") from error


def _headers(dataset: xr.Dataset, name: str) -> Iterator[tuple[xr.DataArray, Header, dict[Hashable, int]]]:
    """Each field of each variable of ours, with the indices that select it."""
    for variable in dataset.data_vars.values():
        level_dim = _dimension(variable, _LEVELS)
        quantity = netcdf_quantity(str(variable.name), variable.attrs.get("standard_name"), level_dim is not None)
        if quantity is None or _dimension(variable, _LONGITUDES) is None:
            continue
        label = f"{name}, variable {variable.name}"
        axes = _axes(variable, level_dim, label)
        for selection in _selections(variable, axes, label):
            index = [selection.get(dim) for dim in axes]
            level, moment, member = (
                values[0 if i is None else i] for (values, i) in zip(axes.values(), index, strict=True)
            )
            if level is None or level == round(level):
                yield variable, Header(quantity, None if level is None else round(level), moment, member), selection


def _axes(variable: xr.DataArray, level_dim: str | None, label: str) -> dict[Hashable, list[Any]]:
    """Levels [hPa], times and members of a variable, by dimension (or by name when it has no such dimension)."""
    levels: list[float | None] = [None]
    if level_dim is not None:
        levels = list(_pressures(variable[level_dim], label))
    time_name = next((name for name in _TIMES if name in variable.coords), None)
    if time_name is None:
        raise Refused(f"{label}: expected a coordinate time or valid_time, found {sorted(map(str, variable.coords))}")
    times = variable.coords[time_name]
    member_dim = _dimension(variable, _MEMBERS)
    members = [0] if member_dim is None else [int(value) for value in np.atleast_1d(variable[member_dim].values)]
    return {
        level_dim or "no level": levels,
        times.dims[0] if times.dims else "no time": [_moment(value, label) for value in np.atleast_1d(times.values)],
        member_dim or "no member": members,
    }


def _selections(variable: xr.DataArray, axes: dict[Hashable, list[Any]], label: str) -> Iterator[dict[Hashable, int]]:
    """Indices over all dimensions but the horizontal ones; others must have length one."""
    horizontal = {_dimension(variable, _LONGITUDES), _dimension(variable, _LATITUDES)}
    outer = [dim for dim in variable.dims if dim not in horizontal]
    for dim in outer:
        if dim not in axes and variable.sizes[dim] > 1:
            raise Refused(
                f"{label}: expected dimensions time, level, latitude and longitude, found also "
                f"{dim} with {variable.sizes[dim]} entries; select one"
            )
    for indices in np.ndindex(*(variable.sizes[dim] for dim in outer)):
        yield dict(zip(outer, indices, strict=True))


def _dimension(variable: xr.DataArray, names: tuple[str, ...]) -> str | None:
    return next(
        (name for name in names if name in variable.dims or (names is _LEVELS and name in variable.coords)), None
    )


def _pressures(axis: xr.DataArray, label: str) -> Iterator[float]:
    unit = str(axis.attrs.get("units", "hPa"))
    if unit not in _PRESSURE_UNITS:
        raise Refused(f"{label}: expected levels in hPa or Pa, found {axis.name} in {unit!r}; give pressure levels")
    for value in np.atleast_1d(axis.values):
        yield round(float(value) * _PRESSURE_UNITS[unit], 6)


def _moment(value: Any, label: str) -> datetime:
    if not np.issubdtype(type(value), np.datetime64) or np.isnat(value):
        raise Refused(f"{label}: expected times on the standard calendar, found {value!r}")
    seconds = (value - np.datetime64(0, "s")) / np.timedelta64(1, "s")
    return datetime.fromtimestamp(float(seconds), UTC)


def _values(variable: xr.DataArray, selection: dict[Hashable, int], quantity: Quantity, label: str) -> Any:
    """Values [longitude, latitude] in SI units, NaN where missing."""
    unit = str(variable.attrs.get("units", "")).strip()
    if unit not in quantity.units:
        raise Refused(
            f"{label}: expected {quantity.name} in {' or '.join(map(repr, quantity.units))}, "
            f"found units {unit!r}; convert the file"
        )
    horizontal = _dimension(variable, _LONGITUDES), _dimension(variable, _LATITUDES)
    try:
        values = variable.isel(selection).transpose(*horizontal).values
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise Broken(f"{label}: cannot be read: {error}; fetch the file again") from error
    return without_sentinels(values, quantity) * np.float32(quantity.units[unit])


def _grid(dataset: xr.Dataset, name: str) -> RegularGrid:
    axes = []
    for names in (_LONGITUDES, _LATITUDES):
        found = next((candidate for candidate in names if candidate in dataset.dims), None)
        if found is None or found not in dataset.coords:
            raise Refused(
                f"{name}: expected a coordinate {names[0]}, found dimensions {sorted(map(str, dataset.dims))}"
            )
        axes.append(dataset[found].values)
    try:
        return RegularGrid(*axes)
    except GridError as error:
        raise Refused(f"{name}: {error}; give a global file") from error
