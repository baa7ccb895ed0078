"""Checks of levels and variables against each other: thickness, steps between levels, shear, balance of the wind."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecast.constants import EARTH_ANGULAR_VELOCITY, EARTH_RADIUS, STANDARD_GRAVITY
from ingest.checks import area_mean
from ingest.consistency import layers, temperature_steps, wind_steps
from ingest.limits import TROPOSPHERE, Limits
from ingest.quality.report import Finding
from ingest.quality.state import State, Subject

Array = NDArray[Any]

_BALANCED_LEVELS = (100, 850)
"""Between these levels [hPa] the wind is near geostrophic balance outside the tropics."""
_BALANCED_LATITUDES = (30.0, 75.0)
_REACH = 5.6
"""Slopes are taken over twice this distance [degrees], so that fields from a coarser grid pass."""
_LEAST_WIND = 3.0
"""Standard deviation [m s-1] of the geostrophic wind below which there is no weather to compare."""


def hydrostatic(state: State, limits: Limits) -> Iterator[Finding]:
    """The thickness of each layer against its temperature, place by place and on the global mean."""
    fields = state.fields
    columns = fields["geopotential"], fields["air_temperature"], fields["specific_humidity"]
    for layer in layers(state.levels, *columns):
        between = f"between {layer.lower} and {layer.upper} hPa"
        subject = Subject("hydrostatic", limits.hydrostatic, "geopotential", layer.upper, state.grid)
        text = f"thickness {{:.6g}} m2 s-2 {between}, expected {{:.6g}} from the temperature"
        yield from subject.worst(np.nan_to_num(layer.misfit), text, layer.rise, layer.expected)
        departure = abs(area_mean(layer.rise / layer.expected, state.grid) - 1.0)
        mean = Subject("hydrostatic_mean", limits.hydrostatic_mean, "geopotential", layer.upper, state.grid)
        text = f"mean thickness {between} departs by {departure:.2%} from the one that the temperature gives"
        yield from mean.finding(departure, text)


def steps(state: State, limits: Limits) -> Iterator[Finding]:
    """Each level against the levels around it."""
    for name in ("eastward_wind", "northward_wind"):
        for step in wind_steps(state.levels, state.fields[name], state.grid):
            subject = Subject("wind_steps", limits.wind_steps, name, step.level, state.grid)
            text = f"{step.rms:.3g} m s-1 (root mean square) from the levels around it, most"
            yield from subject.finding(step.rms / step.bound, text, _greatest(step.distance))
    for step in temperature_steps(state.levels, state.fields["air_temperature"], state.grid):
        subject = Subject("temperature_steps", limits.temperature_steps, "air_temperature", step.level, state.grid)
        text = f"{step.rms:.3g} K (root mean square) from the levels around it, most"
        yield from subject.finding(step.rms / step.bound, text, _greatest(step.distance))
    yield from _humidity_steps(state, limits)


def _humidity_steps(state: State, limits: Limits) -> Iterator[Finding]:
    """The logarithm of the global mean of humidity, against the line through the levels around it."""
    means = [max(area_mean(values, state.grid), 1e-12) for values in state.fields["specific_humidity"]]
    logarithms, heights = np.log(means), np.log(state.levels)
    for index in range(1, len(state.levels) - 1):
        around = [index - 1, index + 1]
        expected = np.interp(heights[index], heights[around], logarithms[around])
        level, measure = state.levels[index], abs(float(logarithms[index] - expected))
        subject = Subject("humidity_steps", limits.humidity_steps, "specific_humidity", level, state.grid)
        text = f"global mean {means[index]:.3g} kg kg-1, expected near {np.exp(expected):.3g} from the levels around it"
        yield from subject.finding(measure, text)


def winds(state: State, limits: Limits) -> Iterator[Finding]:
    """Wind speed, and the change of the wind with height."""
    eastward, northward, height = (state.fields[name] for name in ("eastward_wind", "northward_wind", "geopotential"))
    for index, level in enumerate(state.levels):
        kind = "wind_speed" if level >= TROPOSPHERE else "wind_speed_aloft"
        speed = np.hypot(eastward[index], northward[index])
        larger = _larger(eastward[index], northward[index], speed)
        subject = Subject(kind, getattr(limits, kind), larger, level, state.grid)
        yield from subject.worst(np.nan_to_num(speed), "wind of {:.4g} m s-1", speed)
        if index + 1 < len(state.levels):
            below = state.levels[index + 1]
            across = np.hypot(eastward[index] - eastward[index + 1], northward[index] - northward[index + 1])
            rise = np.maximum(height[index] - height[index + 1], 1.0) / (1000.0 * STANDARD_GRAVITY)
            text = f"wind changes by {{:.4g}} m s-1 from {below} hPa, over {{:.3g}} km"
            subject = Subject("wind_shear", limits.wind_shear, "eastward_wind", level, state.grid)
            yield from subject.worst(np.nan_to_num(across / rise), text, across, rise)


def _larger(eastward: Array, northward: Array, speed: Array) -> str:
    """The component that makes most of the greatest speed."""
    at = _greatest(speed)
    return "eastward_wind" if abs(eastward[at]) >= abs(northward[at]) else "northward_wind"


def balance(state: State, limits: Limits) -> Iterator[Finding]:
    """The wind against the geostrophic one outside the tropics: what of it the slope of geopotential leaves open.

    The geostrophic wind is (-dz/dy, dz/dx) / f (Holton and Hakim 2013, equation 2.23); measured is 1 less
    the correlation. Fields that are upside down, of another time or another place stand out. Grids that do not
    resolve the waves of the mid-latitudes are not judged.
    """
    if state.spacing > 2.0 * _REACH:
        return
    latitudes = state.grid.latitudes
    low, high = _BALANCED_LATITUDES
    rows = np.flatnonzero((np.abs(latitudes) > low) & (np.abs(latitudes) < high))
    for index, level in enumerate(state.levels):
        if not _BALANCED_LEVELS[0] <= level <= _BALANCED_LEVELS[1]:
            continue
        geostrophic = _geostrophic(state.fields["geopotential"][index], state)
        for name, expected in zip(("eastward_wind", "northward_wind"), geostrophic, strict=True):
            found, wanted = state.fields[name][index][:, rows], expected[:, rows]
            if not np.nanstd(wanted) > _LEAST_WIND:
                continue
            open_share = 1.0 - _correlation(found, wanted)
            column, row = _greatest(found - wanted)
            subject = Subject("geostrophic", limits.geostrophic, name, level, state.grid)
            text = f"correlation {1.0 - open_share:.2f} with the geostrophic wind, worst"
            yield from subject.finding(open_share, text, (column, int(rows[row])))


def _geostrophic(geopotential: Array, state: State) -> tuple[Array, Array]:
    """Eastward and northward geostrophic wind [m s-1] from geopotential [longitude, latitude]; not near the poles."""
    latitude, longitude = np.deg2rad(state.grid.latitudes), np.deg2rad(state.grid.longitudes)
    reach = max(1, round(_REACH / state.spacing))
    across = 2.0 * reach * (longitude[1] - longitude[0])
    eastward_slope = (np.roll(geopotential, -reach, axis=0) - np.roll(geopotential, reach, axis=0)) / across
    rise = np.roll(geopotential, -reach, axis=1) - np.roll(geopotential, reach, axis=1)
    northward_slope = rise / (np.roll(latitude, -reach) - np.roll(latitude, reach))
    radius = EARTH_RADIUS * 2.0 * EARTH_ANGULAR_VELOCITY * np.sin(latitude)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -northward_slope / radius, eastward_slope / (radius * np.cos(latitude))


def _correlation(one: Array, other: Array) -> float:
    """Zero when one of them does not vary."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nan_to_num(np.corrcoef(one.ravel(), other.ravel())[0, 1]))


def _greatest(field: Array) -> tuple[int, int]:
    at = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(field), np.abs(field), -1.0))), field.shape)
    return int(at[0]), int(at[1])
