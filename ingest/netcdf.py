"""NetCDF files with CF names, or those of the Climate Data Store, through xarray.

Files of that store have the times in `valid_time`, and `expver`, which tells final from preliminary ERA5, beside each
time. In older ones `expver` is a dimension, and each time has values at one of its entries only.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
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
_EXPERIMENT = "expver"
_PRESSURE_UNITS = {"hPa": 1.0, "millibars": 1.0, "millibar": 1.0, "mbar": 1.0, "mb": 1.0, "Pa": 0.01}


def read_fields(path: Path, wanted: Callable[[Header], bool]) -> Iterator[RawField]:
    """The wanted fields of a file, one at a time; only those are read.

    To be closed when it is not read to its end: a file that the collection of garbage closes, while another is
    read, waits for ever for the lock of the NetCDF library. Raises Broken when the file is damaged and Refused
    when units, dimensions or grid are not as needed.
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


@dataclass(frozen=True)
class _Axis:
    """Coordinate values along a dimension, or the one value of a variable that has no such dimension."""

    dim: Hashable | None
    values: list[Any]

    def at(self, selection: Mapping[Hashable, int]) -> Any:
        """The value that belongs to an index of each dimension."""
        return self.values[0 if self.dim is None else selection[self.dim]]


def _headers(dataset: xr.Dataset, name: str) -> Iterator[tuple[xr.DataArray, Header, dict[Hashable, int]]]:
    """Each field of each variable of ours, with the indices that select it."""
    for variable in dataset.data_vars.values():
        levels = _dimension(variable, _LEVELS)
        quantity = netcdf_quantity(str(variable.name), variable.attrs.get("standard_name"), levels is not None)
        if quantity is None or _dimension(variable, _LONGITUDES) is None:
            continue
        label = f"{name}, variable {variable.name}"
        level_axis, time_axis = _levels(variable, levels, label), _times(variable, dataset, label)
        member_axis, experiments = _members(variable), _experiments(variable, time_axis)
        for selection in _selections(variable, (level_axis, time_axis, member_axis), label):
            pressure = level_axis.at(selection)
            if pressure is None or pressure == round(pressure):
                level = None if pressure is None else round(pressure)
                told = time_axis.at(selection), member_axis.at(selection), experiments.at(selection)
                yield variable, Header(quantity, level, *told), selection


def _levels(variable: xr.DataArray, name: str | None, label: str) -> _Axis:
    """Pressures [hPa]; None at the surface."""
    if name is None:
        return _Axis(None, [None])
    return _Axis(name if name in variable.dims else None, list(_pressures(variable[name], label)))


def _times(variable: xr.DataArray, dataset: xr.Dataset, label: str) -> _Axis:
    """Valid times; a variable without any takes the only one of the file."""
    for holder in (variable, dataset):
        name = next((name for name in _TIMES if name in holder.coords), None)
        if name is not None and (holder is variable or holder[name].size == 1):
            times = holder.coords[name]
            dim = times.dims[0] if times.dims and holder is variable else None
            return _Axis(dim, [_moment(value, label) for value in np.atleast_1d(times.values)])
    raise Refused(f"{label}: expected a coordinate time or valid_time, found {sorted(map(str, variable.coords))}")


def _members(variable: xr.DataArray) -> _Axis:
    """Member numbers; 0 where there is but one analysis."""
    dim = _dimension(variable, _MEMBERS)
    return _Axis(dim, [0] if dim is None else [int(value) for value in variable[dim].values])


def _experiments(variable: xr.DataArray, times: _Axis) -> _Axis:
    """Which expver the values of each time are of; None where that is not said beside the times."""
    if _EXPERIMENT not in variable.coords or variable[_EXPERIMENT].dims not in ((), (times.dim,)):
        return _Axis(None, [None])
    named = variable[_EXPERIMENT]
    return _Axis(times.dim if named.dims else None, [str(value).zfill(4) for value in np.atleast_1d(named.values)])


def _selections(variable: xr.DataArray, axes: tuple[_Axis, ...], label: str) -> Iterator[dict[Hashable, int]]:
    """Indices over all dimensions but the horizontal ones; others must have length one."""
    horizontal = {_dimension(variable, _LONGITUDES), _dimension(variable, _LATITUDES)}
    outer = [dim for dim in variable.dims if dim not in horizontal]
    for dim in outer:
        if dim not in {_EXPERIMENT, *(axis.dim for axis in axes)} and variable.sizes[dim] > 1:
            raise Refused(
                f"{label}: expected dimensions time, level, latitude and longitude, found also "
                f"{dim} with {variable.sizes[dim]} entries; select one"
            )
    outer = [dim for dim in outer if dim != _EXPERIMENT]
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
        values = _of_one_experiment(variable.isel(selection), label).transpose(*horizontal).values
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise Broken(f"{label}: cannot be read: {error}; fetch the file again") from error
    return without_sentinels(values, quantity) * np.float32(quantity.units[unit])


def _of_one_experiment(variable: xr.DataArray, label: str) -> xr.DataArray:
    """Without the dimension `expver`: its entry that has values, the first when none has."""
    if _EXPERIMENT not in variable.dims:
        return variable
    given = variable.notnull().any([dim for dim in variable.dims if dim != _EXPERIMENT]).values
    if given.sum() > 1:
        raise Refused(f"{label}: expected values at one entry of expver, found them at {given.sum()}; select one")
    return variable.isel({_EXPERIMENT: int(np.argmax(given))})


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
