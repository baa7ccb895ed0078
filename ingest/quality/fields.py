"""Checks of single fields: missing values, ranges, spikes, patches without any variation, global means."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from forecast.constants import STANDARD_GRAVITY
from forecast.fields import FIELDS
from ingest.atmosphere import standard_geopotential
from ingest.checks import area_mean
from ingest.limits import SPIKE_BOUNDS, Limit, Limits
from ingest.quality.report import Finding
from ingest.quality.state import State, Subject

Array = NDArray[Any]

_VARYING = ("geopotential", "air_temperature", "eastward_wind", "northward_wind")
_SAME = 2.5e-7
"""Relative difference below which two values count as equal: regridding a constant leaves as much."""

_CLIMATOLOGY = np.array(
    [
        (1, 268.0), (2, 260.0), (3, 252.0), (5, 242.0), (7, 235.0), (10, 230.0), (20, 222.0), (30, 218.0), (50, 212.0),
        (70, 207.0), (100, 206.0), (150, 212.0), (200, 218.0), (250, 225.0), (300, 233.0), (400, 247.0), (500, 258.0),
        (600, 266.0), (700, 273.0), (850, 280.0), (925, 283.0), (1000, 287.0),
    ]
)  # fmt: skip
"""Global mean temperature [K] by pressure [hPa]: that of ERA5 and GFS analyses, to the nearest 2 K."""
_RESOLVED = 6.0
"""Spacing [degrees] up to which the bounds of spikes hold."""
_WATER = 24.0
"""Global mean of the column's water vapour [kg m-2]."""
_LOWEST_GEOPOTENTIAL = 10_000.0
"""Added to a level's geopotential [m2 s-2] before its departure is taken as a share of it."""


def missing(state: State, limits: Limits) -> Iterator[Finding]:
    """Values that are no numbers."""
    for name, level, values in state.slices():
        absent = ~np.isfinite(values)
        if absent.any():
            first = np.argwhere(absent)[0]
            subject = Subject("missing", limits.missing, name, level, state.grid)
            text = f"{absent.sum()} of {absent.size} values are missing, the first"
            yield from subject.finding(float(absent.mean()), text, (int(first[0]), int(first[1])))


def ranges(state: State, limits: Limits) -> Iterator[Finding]:
    """Values outside the valid range of their variable, by the share of its width that they are outside."""
    for name, level, values in state.slices():
        low, high = FIELDS[name].valid_range
        outside = np.maximum(low - values, values - high) / (high - low)
        subject = Subject("range", limits.range, name, level, state.grid)
        text = f"expected between {low:g} and {high:g} {FIELDS[name].units}, found {{:.4g}}"
        yield from subject.worst(np.maximum(np.nan_to_num(outside), 0.0), text, values)


def spikes(state: State, limits: Limits) -> Iterator[Finding]:
    """Values that stand out from their neighbours to the east and west; on coarse grids weather does so too."""
    coarseness = max(1.0, state.spacing / _RESOLVED)
    for name, level, values in state.slices():
        if (bound := SPIKE_BOUNDS.get(name)) is not None:
            neighbours = 0.5 * (np.roll(values, 1, axis=0) + np.roll(values, -1, axis=0))
            subject = Subject("spikes", limits.spikes, name, level, state.grid)
            text = "found {:.4g} between neighbours of {:.4g}"
            yield from subject.worst(
                np.nan_to_num(np.abs(values - neighbours)) / (bound * coarseness), text, values, neighbours
            )


def constant(state: State, limits: Limits) -> Iterator[Finding]:
    """Patches of one value, and levels that repeat the level above, by the share of the globe's area.

    Below the ground some analyses repeat the wind from level to level.
    """
    for name, level, values in state.slices():
        if name in _VARYING:
            share, at = _largest_patch(values, state)
            subject = Subject("constant_area", limits.constant_area, name, level, state.grid)
            text = f"{values[at]:.4g} everywhere on {share:.1%} of the globe, round"
            yield from subject.finding(share, text, at)
    for name in _VARYING:
        yield from _repeated(name, state, limits)


def _largest_patch(values: Array, state: State) -> tuple[float, tuple[int, int]]:
    """The area of the largest connected patch of equal values, as a share of the globe, and a place within it."""
    near = _SAME * np.abs(values)
    east = np.abs(np.roll(values, -1, axis=0) - values) <= near
    north = np.abs(np.diff(values, axis=1, append=np.inf)) <= near
    labels = np.empty(values.shape, dtype=np.int32)
    ndimage.label(east & north, output=labels)
    count = int(labels.max())
    if count == 0:
        return 0.0, (0, 0)
    weights = np.cos(np.deg2rad(state.grid.latitudes)).clip(0.0)
    areas = ndimage.sum_labels(np.broadcast_to(weights, values.shape), labels, np.arange(1, count + 1))
    largest = int(np.argmax(areas))
    places = np.argwhere(labels == largest + 1)
    middle = places[len(places) // 2]
    return float(areas[largest] / (weights.sum() * values.shape[0])), (int(middle[0]), int(middle[1]))


def _repeated(name: str, state: State, limits: Limits) -> Iterator[Finding]:
    fields, filled = state.fields[name], state.filled.get(name, frozenset())
    for index, level in enumerate(state.levels[1:], start=1):
        if {level, state.levels[index - 1]} & filled:
            continue
        same = np.broadcast_to(fields[index] == fields[index - 1], fields[index].shape)
        share = area_mean(same.astype(float), state.grid)
        subject = Subject("repeated_levels", limits.repeated_levels, name, level, state.grid)
        text = f"equal to {state.levels[index - 1]} hPa on {share:.1%} of the globe, first"
        first = np.unravel_index(int(np.argmax(same)), same.shape)
        yield from subject.finding(share, text, (int(first[0]), int(first[1])))


def means(state: State, limits: Limits) -> Iterator[Finding]:
    """Global means against what the Earth has in any season."""
    yield from _mean_temperatures(state, limits)
    yield from _mean_geopotentials(state, limits)
    for name, limit in (("eastward_wind", limits.mean_eastward_wind), ("northward_wind", limits.mean_northward_wind)):
        for level, values in zip(state.levels, state.fields[name], strict=True):
            found = area_mean(values, state.grid)
            text = f"global mean {found:.3g} m s-1, expected near 0"
            yield from _of_level(name, level, f"mean_{name}", limit, abs(found), text, state)
    yield from _mean_water(state, limits)


def _of_level(
    name: str, level: int | None, check: str, limit: Limit, measure: float, text: str, state: State
) -> Iterator[Finding]:
    """A finding of a level as a whole; without a number it is a matter of the check of missing values."""
    if np.isfinite(measure):
        yield from Subject(check, limit, name, level, state.grid).finding(measure, text)


def _mean_temperatures(state: State, limits: Limits) -> Iterator[Finding]:
    for level, values in zip(state.levels, state.fields["air_temperature"], strict=True):
        found = area_mean(values, state.grid)
        expected = float(np.interp(np.log(level), np.log(_CLIMATOLOGY[:, 0]), _CLIMATOLOGY[:, 1]))
        text = f"global mean {found:.4g} K, expected near {expected:.4g}"
        measure, limit = abs(found - expected), limits.mean_temperature
        yield from _of_level("air_temperature", level, "mean_temperature", limit, measure, text, state)


def _mean_geopotentials(state: State, limits: Limits) -> Iterator[Finding]:
    for level, values in zip(state.levels, state.fields["geopotential"], strict=True):
        found, expected = area_mean(values, state.grid), standard_geopotential(level)
        measure, limit = float(abs(found - expected) / (_LOWEST_GEOPOTENTIAL + abs(expected))), limits.mean_geopotential
        text = f"global mean {found:.6g} m2 s-2, expected near {expected:.6g}"
        yield from _of_level("geopotential", level, "mean_geopotential", limit, measure, text, state)


def _mean_water(state: State, limits: Limits) -> Iterator[Finding]:
    pressures = 100.0 * np.array(state.levels, dtype=float)
    column = np.trapezoid(state.fields["specific_humidity"], pressures, axis=0) / STANDARD_GRAVITY
    found = area_mean(column, state.grid)
    text = f"global mean of the column {found:.3g} kg m-2 of vapour, expected near {_WATER:g}"
    measure = abs(found - _WATER)
    yield from _of_level("specific_humidity", None, "mean_water", limits.mean_water, measure, text, state)
