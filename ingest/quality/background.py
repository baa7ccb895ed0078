"""The analysis against a short forecast for the same time, made from an earlier cycle."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.grids import Regridder, RegularGrid
from ingest.checks import area_mean
from ingest.limits import Limits
from ingest.quality.report import Finding
from ingest.quality.state import State, Subject

Array = NDArray[Any]

_ALOFT = 100
"""Level [hPa] above which forecasts and analyses differ twice as much."""
_CLEAR_OF_GROUND = 500
"""Levels [hPa] that lie below the ground in places, where values are extrapolated, are not judged place by place."""
_WINDS = ("eastward_wind", "northward_wind")
COMPARED = ("geopotential", "air_temperature", *_WINDS, "specific_humidity")
"""The level fields that are compared."""


def background(state: State, limits: Limits, previous: xr.Dataset) -> Iterator[Finding]:
    """The difference from a forecast with dimensions (level, longitude, latitude), on the grid of that.

    Compared are the level fields and the levels [hPa] that both have; measured is the difference as a
    multiple of what a good forecast of some hours has.
    """
    grid = RegularGrid(previous["longitude"].values, previous["latitude"].values)
    regrid = Regridder(state.grid, grid, "bilinear")
    for name in COMPARED:
        if name not in previous or name not in state.fields:
            continue
        for level in sorted(set(state.levels) & set(map(int, previous["level"].values))):
            forecast = previous[name].sel(level=level).transpose("longitude", "latitude").values
            analysed = regrid(state.fields[name][state.levels.index(level)], vector=name in _WINDS)
            yield from _of_level(name, level, analysed, forecast, grid, limits)


def _of_level(
    name: str, level: int, analysed: Array, forecast: Array, grid: RegularGrid, limits: Limits
) -> Iterator[Finding]:
    difference = np.abs(np.nan_to_num(analysed - forecast))
    usual = _usual(name, level, abs(area_mean(np.nan_to_num(forecast), grid)))
    rms = float(np.sqrt(area_mean(difference**2, grid)))
    at = np.unravel_index(int(np.argmax(difference)), difference.shape)
    text = f"differs from the previous forecast by {rms:.3g} (root mean square), most"
    subject = Subject("background_rms", limits.background_rms, name, level, grid)
    yield from subject.finding(rms / usual, text, (int(at[0]), int(at[1])))
    if level <= _CLEAR_OF_GROUND:
        greatest = Subject("background_greatest", limits.background_greatest, name, level, grid)
        yield from greatest.worst(difference / usual, "{:.5g}, the previous forecast has {:.5g}", analysed, forecast)


def _usual(name: str, level: int, mean: float) -> float:
    """The root mean square difference of a good forecast of some hours, in the variable's unit."""
    if name == "geopotential":
        return 150.0 + 0.003 * mean
    if name == "specific_humidity":
        return 1e-5 + 0.25 * mean
    usual = 1.5 if name == "air_temperature" else 4.0
    return usual * (2.0 if level < _ALOFT else 1.0)
