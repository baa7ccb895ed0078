"""Checks of levels against each other, which show damage that no single field shows."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecast.grids import Grid
from ingest.atmosphere import thickness
from ingest.checks import area_mean, place
from ingest.errors import Broken
from ingest.moisture import virtual_temperature

Array = NDArray[Any]

_THICKNESS_LIMIT, _THICKNESS_LIMIT_ALOFT, _ALOFT = 0.08, 0.05, 500
"""Greatest misfit of a layer's thickness to its temperature anywhere, as a share, below and above 500 hPa.

Analyses reach 0.05 where they extrapolate below the ground, and 0.03 in the stratosphere.
"""
_THICKNESS_FLOOR = 300.0
"""Misfit [m2 s-2] that packing and extrapolation below the ground can leave in a thin layer."""
_THICKNESS_LIMIT_MEAN = 0.015
"""Greatest misfit of the global mean, as a share; analyses stay below 0.006."""

_WIND_LIMITS = ((400, 5.0, 8.0), (100, 12.0, 20.0), (0, 25.0, 40.0))
"""From this level [hPa] down: greatest root-mean-square distance [m s-1] of a wind component from the
levels around it, and of the first or last level from the next; analyses have less than half of it."""


def check_hydrostatic(
    levels: tuple[int, ...], geopotential: Array, temperature: Array, humidity: Array, grid: Grid, where: str
) -> None:
    """Check that thickness agrees with temperature in every layer and place; levels [hPa] top first.

    Raises Broken: a field is damaged, or belongs to another level or time.
    """
    virtual = virtual_temperature(temperature, humidity)
    for upper, lower in pairwise(range(len(levels))):
        rise = geopotential[upper] - geopotential[lower]
        expected = thickness(virtual[lower], virtual[upper], levels[lower], levels[upper])
        share = _THICKNESS_LIMIT_ALOFT if levels[lower] <= _ALOFT else _THICKNESS_LIMIT
        wrong = np.abs(rise - expected) > _THICKNESS_FLOOR + share * expected
        if not wrong.any() and abs(area_mean(rise / expected, grid) - 1.0) > _THICKNESS_LIMIT_MEAN:
            wrong = np.ones_like(wrong)
        if wrong.any():
            raise Broken(
                f"{where}: expected {expected[wrong][0]:.6g} m2 s-2 between {levels[lower]} and {levels[upper]} hPa "
                f"from the temperature at {place(grid, wrong)}, found {rise[wrong][0]:.6g} and {wrong.sum()} such "
                "places in all; a field of geopotential or temperature is damaged or belongs to another level or "
                "time: fetch the file again"
            )


def check_winds(name: str, levels: tuple[int, ...], wind: Array, grid: Grid, where: str) -> None:
    """Check that each level of a wind component lies near its neighbours; levels [hPa] top first.

    Raises Broken: a field is damaged, or belongs to another level or time.
    """
    excess = {}
    for index, level in enumerate(levels):
        _, inner, outer = next(row for row in _WIND_LIMITS if level >= row[0])
        at_end = index in (0, len(levels) - 1)
        distance = float(np.sqrt(area_mean((wind[index] - _expected(levels, wind, index)) ** 2, grid)))
        excess[level] = distance, outer if at_end else inner
    worst = max(excess, key=lambda level: excess[level][0] / excess[level][1])
    distance, limit = excess[worst]
    if distance > limit:
        raise Broken(
            f"{where}: expected {name} at {worst} hPa within {limit:g} m s-1 (root mean square) of the levels around "
            f"it, found {distance:.3g}; it is damaged or belongs to another level or time: fetch the file again"
        )


def _expected(levels: tuple[int, ...], wind: Array, index: int) -> Array:
    """The wind at a level by its neighbours: linear in log pressure, or the one there is."""
    if index in (0, len(levels) - 1):
        return wind[1] if index == 0 else wind[-2]
    upper, level, lower = levels[index - 1 : index + 2]
    share = np.log(level / upper) / np.log(lower / upper)
    return (1.0 - share) * wind[index - 1] + share * wind[index + 1]
