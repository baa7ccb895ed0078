"""Levels against each other, which shows damage that no single field shows.

The measures serve the readers, which refuse damaged files, and the quality gate.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecast.grids import Grid
from ingest.atmosphere import thickness
from ingest.checks import area_mean, place
from ingest.errors import Broken
from ingest.limits import (
    ALOFT,
    DEFAULT_LIMITS,
    TEMPERATURE_STEP_BOUNDS,
    THICKNESS_FLOOR,
    THICKNESS_SHARE,
    THICKNESS_SHARE_ALOFT,
    WIND_STEP_BOUNDS,
)
from ingest.moisture import virtual_temperature

Array = NDArray[Any]


class Layer(NamedTuple):
    """A layer's thickness [m2 s-2] by geopotential and by temperature; misfit as a multiple of what is admitted."""

    upper: int
    lower: int
    rise: Array
    expected: Array
    misfit: Array


def layers(levels: tuple[int, ...], geopotential: Array, temperature: Array, humidity: Array) -> Iterator[Layer]:
    """The layers between neighbouring levels [hPa], top first, from fields [level, longitude, latitude]."""
    virtual = virtual_temperature(temperature, humidity)
    for upper, lower in pairwise(range(len(levels))):
        rise = geopotential[upper] - geopotential[lower]
        expected = thickness(virtual[lower], virtual[upper], levels[lower], levels[upper])
        share = THICKNESS_SHARE_ALOFT if levels[lower] <= ALOFT else THICKNESS_SHARE
        misfit = np.abs(rise - expected) / (THICKNESS_FLOOR + share * expected)
        yield Layer(levels[upper], levels[lower], rise, expected, misfit)


def check_hydrostatic(
    levels: tuple[int, ...], geopotential: Array, temperature: Array, humidity: Array, grid: Grid, where: str
) -> None:
    """Check that thickness agrees with temperature in every layer and place; levels [hPa] top first.

    Raises Broken: a field is damaged, or belongs to another level or time.
    """
    for layer in layers(levels, geopotential, temperature, humidity):
        wrong = ~(layer.misfit <= DEFAULT_LIMITS.hydrostatic.block)
        departure = abs(area_mean(layer.rise / layer.expected, grid) - 1.0)
        if not wrong.any() and departure > DEFAULT_LIMITS.hydrostatic_mean.block:
            wrong = np.ones_like(wrong)
        if wrong.any():
            raise Broken(
                f"{where}: expected {layer.expected[wrong][0]:.6g} m2 s-2 between {layer.lower} and {layer.upper} hPa "
                f"from the temperature at {place(grid, wrong)}, found {layer.rise[wrong][0]:.6g} and {wrong.sum()} "
                "such places in all; a field of geopotential or temperature is damaged or belongs to another level or "
                "time: fetch the file again"
            )


class Step(NamedTuple):
    """A level's distance from the levels around it, and the bound of its root mean square [the field's unit]."""

    level: int
    distance: Array
    rms: float
    bound: float


def wind_steps(levels: tuple[int, ...], wind: Array, grid: Grid) -> Iterator[Step]:
    """Each level of a wind component [level, longitude, latitude] against its neighbours; levels [hPa] top first."""
    for index, level in enumerate(levels):
        _, inner, outer = next(row for row in WIND_STEP_BOUNDS if level >= row[0])
        bound = outer if index in (0, len(levels) - 1) else inner
        yield _step(level, wind[index] - _expected(levels, wind, index), bound, grid)


def temperature_steps(levels: tuple[int, ...], temperature: Array, grid: Grid) -> Iterator[Step]:
    """Each level of temperature but the first and the last against its neighbours; levels [hPa] top first."""
    for index, level in enumerate(levels[1:-1], start=1):
        bound = next(row[1] for row in TEMPERATURE_STEP_BOUNDS if level >= row[0])
        yield _step(level, temperature[index] - _expected(levels, temperature, index), bound, grid)


def _step(level: int, distance: Array, bound: float, grid: Grid) -> Step:
    return Step(level, distance, float(np.sqrt(area_mean(distance**2, grid))), bound)


def check_winds(name: str, levels: tuple[int, ...], wind: Array, grid: Grid, where: str) -> None:
    """Check that each level of a wind component lies near its neighbours; levels [hPa] top first.

    Raises Broken: a field is damaged, or belongs to another level or time.
    """
    worst = max(wind_steps(levels, wind, grid), key=lambda step: step.rms / step.bound)
    if worst.rms > DEFAULT_LIMITS.wind_steps.block * worst.bound:
        raise Broken(
            f"{where}: expected {name} at {worst.level} hPa within {worst.bound:g} m s-1 (root mean square) of the "
            f"levels around it, found {worst.rms:.3g}; it is damaged or belongs to another level or time: fetch the "
            "file again"
        )


def _expected(levels: tuple[int, ...], field: Array, index: int) -> Array:
    """A field at a level by its neighbours: linear in log pressure, or the one there is."""
    if index in (0, len(levels) - 1):
        return field[1] if index == 0 else field[-2]
    upper, level, lower = levels[index - 1 : index + 2]
    share = np.log(level / upper) / np.log(lower / upper)
    return (1.0 - share) * field[index - 1] + share * field[index + 1]
