"""Checks that keep what is no global analysis from the model; each error says what was expected and found."""

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.fields import FIELDS, FORCING_FIELDS
from forecast.grids import Grid
from ingest.analysis import Analysis
from ingest.atmosphere import standard_geopotential, standard_temperature
from ingest.canonical import RawField
from ingest.errors import Broken, Incomplete, Refused, WrongTime
from ingest.limits import SPIKE_BOUNDS
from ingest.source import ModelNeeds

Array = NDArray[Any]

REQUIRED_LEVELS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
"""Levels [hPa] that a file must hold of every level field but cloud; what lies between them can be filled."""

_STATE = ("geopotential", "geopotential_height", "air_temperature", "eastward_wind", "northward_wind")

_TEMPERATURE_MEAN_LIMIT = 25.0
_CLOUD_MEAN_LIMIT = 3e-4


def check_field(field: RawField) -> None:
    """Check one field of a file, on the file's own grid.

    Raises Incomplete where values are missing on a pressure level, Refused where they are out of range,
    constant or in other units, and Broken where one stands out from its neighbours as no weather does.
    """
    extremes = _Extremes(float(field.values.min()), float(field.values.max()))
    if field.level is not None and extremes.missing:
        missing = np.isnan(field.values)
        raise Incomplete(
            f"{field.label}: expected a value at every grid point, found {missing.sum()} of {missing.size} missing, "
            f"the first at {place(field.grid, missing)}; give a file without gaps"
        )
    _check_range(field, extremes)
    if field.level is not None:
        _check_variation(field, extremes)
        _check_unit_by_level(field, field.level, extremes)
        _check_spikes(field, extremes)


class _Extremes(NamedTuple):
    """The least and the greatest value of a field, which settle most questions; NaN where a value is missing."""

    least: float
    greatest: float

    @property
    def missing(self) -> bool:
        return math.isnan(self.least)


def _check_range(field: RawField, extremes: _Extremes) -> None:
    low, high = field.quantity.valid_range
    if low <= extremes.least and extremes.greatest <= high:
        return
    outside = (field.values < low) | (field.values > high)
    if outside.any():
        found = field.values[outside][0]
        raise Refused(
            f"{field.label}: expected values between {low:g} and {high:g} in SI units, found {found:g} at "
            f"{place(field.grid, outside)} and {outside.sum()} points outside in all; check the units of the file"
        )


def _check_variation(field: RawField, extremes: _Extremes) -> None:
    if field.quantity.name in _STATE and extremes.least == extremes.greatest:
        raise Refused(f"{field.label}: expected a field that varies, found {field.values.flat[0]:g} everywhere")


def _check_unit_by_level(field: RawField, level: int, extremes: _Extremes) -> None:
    """A level's mean betrays another unit, or another level, where the range does not."""
    mean, greatest = area_mean(field.values, field.grid), extremes.greatest
    name = field.quantity.name
    if name == "air_temperature":
        _require_near(field, mean, float(standard_temperature(level)), _TEMPERATURE_MEAN_LIMIT, "K")
    if name in ("geopotential", "geopotential_height"):
        expected = standard_geopotential(level)
        _require_near(field, mean, expected, 5_000.0 + 0.08 * abs(expected), "m2 s-2")
    if "cloud" in name:
        _require_near(field, mean, 0.0, _CLOUD_MEAN_LIMIT, "kg kg-1")
    if name == "relative_humidity" and level >= 300 and greatest < 0.3:
        raise Refused(
            f"{field.label}: expected per cent up to about 100, found at most {100 * greatest:g}; "
            "it may be a fraction: convert the file"
        )
    if name == "specific_humidity" and level >= 850 and greatest <= 0.004:
        raise Refused(f"{field.label}: expected kg kg-1 up to about 0.02, found at most {greatest:g}; convert the file")


def _require_near(field: RawField, mean: float, expected: float, limit: float, unit: str) -> None:
    if abs(mean - expected) > limit:
        raise Refused(
            f"{field.label}: expected a global mean within {limit:.4g} of {expected:.6g} {unit}, found {mean:.6g}; "
            "check the file's units and levels"
        )


def _check_spikes(field: RawField, extremes: _Extremes) -> None:
    limit = SPIKE_BOUNDS.get(field.quantity.name)
    if limit is None or extremes.greatest - extremes.least <= limit or _greatest_step(field.values) <= limit:
        return
    neighbours = 0.5 * (np.roll(field.values, 1, axis=0) + np.roll(field.values, -1, axis=0))
    spikes = np.abs(field.values - neighbours) > limit
    if spikes.any():
        raise Broken(
            f"{field.label}: expected neighbours within {limit:g}, found {field.values[spikes][0]:g} between values "
            f"near {neighbours[spikes][0]:g} at {place(field.grid, spikes)}; it is damaged, fetch the file again"
        )


def _greatest_step(values: Array) -> float:
    """The greatest difference between neighbours along longitude, which no distance from the mean of two exceeds."""
    steps = np.subtract(values[1:], values[:-1])
    return max(float(steps.max()), -float(steps.min()), float(np.abs(values[0] - values[-1]).max()))


def check_levels(levels: Mapping[str, Collection[int]], where: str) -> None:
    """Check that the state is complete; `levels` holds the levels found for each canonical variable.

    Raises Incomplete naming every variable and level that is absent: all of REQUIRED_LEVELS, and any
    level that another variable of the state has.
    """
    state = [name for name in levels if name in _STATE]
    union = set(REQUIRED_LEVELS).union(*(levels[name] for name in state))
    absent = {name: sorted(union - set(levels[name])) for name in state}
    humidity = levels.get("specific_humidity", ())
    absent["specific_humidity"] = sorted(set(REQUIRED_LEVELS) - set(humidity))
    listed = "; ".join(
        f"{name} {'at all levels' if not levels.get(name) else f'at {_listing(gaps)} hPa'}"
        for name, gaps in absent.items()
        if gaps
    )
    if listed:
        raise Incomplete(
            f"{where}: expected geopotential (or its height), temperature, both winds and humidity on common "
            f"pressure levels with at least {_listing(REQUIRED_LEVELS)} hPa; missing are {listed}; "
            "add the files that hold them"
        )


def check_time(found: Collection[datetime], cycle: datetime, where: str) -> None:
    """Raises WrongTime when nothing found is valid at the cycle."""
    if cycle not in found:
        times = ", ".join(f"{moment:%Y-%m-%d %H:%M} UTC" for moment in sorted(found)[:4]) or "none"
        raise WrongTime(
            f"{where}: expected fields valid at the cycle {cycle:%Y-%m-%d %H:%M} UTC, found {times}; "
            "ask for the cycle that the file holds, or give the file of this one"
        )


def check_analysis(analysis: Analysis, cycle: datetime, needs: ModelNeeds) -> Analysis:
    """The analysis itself, after the last check that it is what the model needs.

    Raises WrongTime, Incomplete or Refused; they name variable, level and place.
    """
    check_time([analysis.valid_time], cycle, "the analysis")
    absent = [name for name in needs.variables if name not in analysis.dataset]
    if absent:
        raise Incomplete(f"the analysis: expected {', '.join(needs.variables)}; missing are {', '.join(absent)}")
    for name in needs.variables:
        _check_variable(analysis.dataset[name], needs)
    return analysis


def _check_variable(variable: xr.DataArray, needs: ModelNeeds) -> None:
    name = str(variable.name)
    grid = needs.grid
    shape = grid.shape if name in FORCING_FIELDS else (len(needs.levels), *grid.shape)
    if variable.shape != shape or variable.dtype != np.float32:
        raise Refused(f"{name}: expected float32 of shape {shape}, found {variable.dtype} of shape {variable.shape}")
    low, high = FIELDS[name].valid_range
    values = variable.values.reshape(-1, *grid.shape)
    wrong = ~((values >= low) & (values <= high))
    if wrong.any():
        level = int(np.argmax(wrong.any(axis=(1, 2))))
        at = "" if name in FORCING_FIELDS else f" at {needs.levels[level]} hPa"
        raise Refused(
            f"{name}{at}: expected values between {low:g} and {high:g} {FIELDS[name].units}, found "
            f"{values[level][wrong[level]][0]:g} at {place(grid, wrong[level])}"
        )


def place(grid: Grid, where: Array) -> str:
    """The first place of a mask [longitude, latitude], in words."""
    column, row = np.argwhere(where)[0]
    latitude, longitude = float(grid.latitudes[row]), float(grid.longitudes[column]) % 360.0
    return f"{abs(latitude):.2f} {'N' if latitude >= 0 else 'S'} {longitude:.2f} E"


def area_mean(values: Array, grid: Grid) -> float:
    """Mean over the globe of a field [longitude, latitude]."""
    weights = np.cos(np.deg2rad(grid.latitudes)).clip(0.0)
    return float(np.average(values.mean(axis=0, dtype=np.float64), weights=weights))


def _listing(levels: Collection[int]) -> str:
    return ", ".join(map(str, sorted(levels)))
