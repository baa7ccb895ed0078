"""Levels that the model needs and the file lacks, each filled by a stated method.

Between given levels every field is linear in log pressure, and geopotential is integrated
hydrostatically from virtual temperature and tied to the given levels. Above the highest given level
nothing is extrapolated linearly: temperature relaxes to the standard atmosphere, winds and humidity
are held, cloud is zero, and geopotential follows hydrostatically.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.analysis import Origin
from ingest.atmosphere import standard_temperature, thickness
from ingest.moisture import virtual_temperature

Array = NDArray[Any]

FILLED = "filled in by ingest"
"""The source named in the provenance of levels that no file holds."""


@dataclass(frozen=True, eq=False)
class Column:
    """A field on all levels of the model [level, longitude, latitude], top first, and how each came to be."""

    values: Array
    origins: list[Origin]


def fill_temperature(given: Mapping[int, Array], levels: tuple[int, ...], origins: list[Origin]) -> Column:
    """Temperature [K]; above the top the anomaly there decays in proportion to pressure."""
    top = min(given)
    anomaly = given[top] - standard_temperature(top)
    above = {level: standard_temperature(level) + anomaly * (level / top) for level in levels if level < top}
    return _fill(given, levels, origins, above, relaxed_method)


def fill_held(given: Mapping[int, Array], levels: tuple[int, ...], origins: list[Origin]) -> Column:
    """Wind or humidity; above the top held at the value there."""
    top = min(given)
    above = {level: given[top] for level in levels if level < top}
    return _fill(given, levels, origins, above, held_method)


def fill_cloud(
    given: Mapping[int, Array], levels: tuple[int, ...], origins: list[Origin], shape: tuple[int, ...]
) -> Column:
    """Cloud condensate; zero above the top and below the bottom of what is given, or everywhere if nothing is."""
    zero = np.zeros(shape, dtype=np.float32)
    if not given:
        absent: Origin = {"levels": list(levels), "method": no_cloud_method((), levels[0]), "source": FILLED}
        return Column(np.stack([zero] * len(levels)), [absent])
    outside = {level: zero for level in levels if not min(given) <= level <= max(given)}
    return _fill(given, levels, origins, outside, no_cloud_method)


def fill_geopotential(
    given: Mapping[int, Array], levels: tuple[int, ...], origins: list[Origin], temperature: Array, humidity: Array
) -> Column:
    """Geopotential [m2 s-2] from what is given and the filled temperature [K] and humidity [kg kg-1]."""
    virtual = dict(zip(levels, virtual_temperature(temperature, humidity), strict=True))
    ordered, known = sorted(given), dict(given)
    for upper, lower in pairwise(ordered):
        known |= _between(given, virtual, upper, lower, levels)
    for level in sorted((level for level in levels if level < ordered[0]), reverse=True):
        below = min(known)
        known[level] = known[below] + thickness(virtual[below], virtual[level], below, level)
    filled = [_origin(level, hydrostatic_method(given, level)) for level in levels if level not in given]
    return Column(np.stack([known[level] for level in levels]), _merged(levels, origins, filled))


Method = Callable[[Collection[int], int], str]
"""Tells, from the levels given [hPa], by which method another level is filled."""


def relaxed_method(given: Collection[int], level: int) -> str:
    """How temperature is filled at a level."""
    if level < min(given):
        return f"standard atmosphere 1976 plus the anomaly at {min(given)} hPa, damped in proportion to pressure"
    return f"linear in log pressure{_between_text(level, sorted(given))}"


def held_method(given: Collection[int], level: int) -> str:
    """How a wind or humidity is filled at a level."""
    if level < min(given):
        return f"held from {min(given)} hPa"
    return f"linear in log pressure{_between_text(level, sorted(given))}"


def no_cloud_method(given: Collection[int], level: int) -> str:
    """How cloud is filled at a level."""
    if not given:
        return "zero: the files hold no cloud"
    if not min(given) <= level <= max(given):
        return "zero: the files hold no cloud here"
    return f"linear in log pressure{_between_text(level, sorted(given))}"


def hydrostatic_method(given: Collection[int], level: int) -> str:
    """How geopotential is filled at a level."""
    return f"hydrostatic with virtual temperature{_between_text(level, sorted(given))}"


def _between(
    given: Mapping[int, Array], virtual: Mapping[int, Array], upper: int, lower: int, levels: tuple[int, ...]
) -> dict[int, Array]:
    """Geopotential within a gap: integrated upward, the misfit at the top spread in log pressure."""
    path = [lower, *sorted((level for level in levels if upper < level < lower), reverse=True), upper]
    if len(path) == 2:
        return {}
    rise = [np.zeros_like(given[lower])]
    for below, above in pairwise(path):
        rise.append(rise[-1] + thickness(virtual[below], virtual[above], below, above))
    misfit = given[upper] - given[lower] - rise[-1]
    share = [np.log(lower / level) / np.log(lower / upper) for level in path]
    return {level: given[lower] + rise[k] + share[k] * misfit for k, level in enumerate(path[1:-1], start=1)}


def _fill(
    given: Mapping[int, Array],
    levels: tuple[int, ...],
    origins: list[Origin],
    outside: Mapping[int, Array],
    method: Method,
) -> Column:
    ordered = sorted(given)
    values = []
    for level in levels:
        if level in given:
            values.append(given[level])
        else:
            values.append(outside[level] if level in outside else _interpolated(given, ordered, level))
    filled = [_origin(level, method(ordered, level)) for level in levels if level not in given]
    return Column(np.stack(values), _merged(levels, origins, filled))


def _interpolated(given: Mapping[int, Array], ordered: list[int], level: int) -> Array:
    upper, lower = _neighbours(level, ordered)
    share = np.log(level / upper) / np.log(lower / upper)
    return (1.0 - share) * given[upper] + share * given[lower]


def _neighbours(level: int, ordered: list[int]) -> tuple[int, int]:
    return max(p for p in ordered if p < level), min(p for p in ordered if p > level)


def _between_text(level: int, ordered: list[int]) -> str:
    if level < ordered[0]:
        return f" above {ordered[0]} hPa"
    upper, lower = _neighbours(level, ordered)
    return f" between {upper} and {lower} hPa"


def _origin(level: int, method: str) -> Origin:
    return {"levels": [level], "method": method, "source": FILLED}


def _merged(levels: tuple[int, ...], given: list[Origin], filled: list[Origin]) -> list[Origin]:
    """One entry for each method and source, in the order of its first level."""
    by_key: dict[tuple[str, str], list[int]] = {}
    for origin in (*given, *filled):
        wanted = [level for level in origin["levels"] if level in levels]
        by_key.setdefault((origin["method"], origin["source"]), []).extend(wanted)
    merged: list[Origin] = [
        {"levels": sorted(found), "method": method, "source": source}
        for (method, source), found in by_key.items()
        if found
    ]
    return sorted(merged, key=lambda origin: origin["levels"][0])
