"""Fields as the model has them, and those that users expect besides, computed on the model's own grid."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.constants import GRAVITY, STANDARD_GRAVITY
from publish.events import ProductError
from publish.quantities import (
    DIVERGENCE,
    GEOPOTENTIAL_HEIGHT,
    LAYERS,
    ON_LEVELS,
    TOTAL_WATER,
    VORTICITY,
    WIND_SPEED,
)
from publish.sea_level import mean_sea_level_pressure
from publish.spherical import wind_derivatives

Values = NDArray[np.float32]
_CLOUDS = ("mass_fraction_of_cloud_liquid_water_in_air", "mass_fraction_of_cloud_ice_in_air")


def values(data: xr.Dataset, name: str, level: int | None) -> Values:
    """A publishable field of a frame's data, float32 [member, longitude, latitude].

    `level` [hPa] for fields on levels. Raises ProductError when the data has not what the field is made of.
    """
    if name in _ON_LEVEL:
        return _ON_LEVEL[name](data, level)
    if name in ON_LEVELS:
        return _variable(data, name, level)
    if name in LAYERS:
        return thickness(data, *LAYERS[name])
    return _OF_COLUMN[name](data) if name in _OF_COLUMN else _variable(data, name)


def geopotential_height(geopotential: Values) -> Values:
    """Geopotential [m2 s-2] over standard gravity: height [m], shape unchanged (WMO-No. 8, part I, 12.6)."""
    return (geopotential / STANDARD_GRAVITY).astype(np.float32)


def thickness(data: xr.Dataset, lower: int, upper: int) -> Values:
    """Height of the upper level over the lower [m], levels in hPa (WMO-No. 182, thickness)."""
    require_levels(data, (lower, upper))
    top, bottom = (_variable(data, "geopotential", level) for level in (upper, lower))
    return geopotential_height(top - bottom)


def wind_speed(data: xr.Dataset, level: int | None) -> Values:
    """Length of the wind vector [m s-1]."""
    return np.hypot(*_wind(data, level))


def vorticity(data: xr.Dataset, level: int | None) -> Values:
    """Relative vorticity [s-1]."""
    wind = _wind(data, level)
    return wind_derivatives(*wind[0].shape[-2:]).vorticity(*wind)


def divergence(data: xr.Dataset, level: int | None) -> Values:
    """Divergence of the wind [s-1]."""
    wind = _wind(data, level)
    return wind_derivatives(*wind[0].shape[-2:]).divergence(*wind)


def total_column_water(data: xr.Dataset) -> Values:
    """Vapour of the column, as the model has it, and the cloud water and ice above the ground [kg m-2].

    Cloud on a level stands for the layer between the pressures half-way to the neighbouring levels; the
    lowest layer ends at the ground. The mass of a layer is its difference of pressure over gravity.
    """
    levels = np.sort(data["level"].values.astype(np.float64))
    surface = _variable(data, "surface_air_pressure").astype(np.float64)
    cloud = np.zeros_like(surface)
    bounds = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [np.inf]]) * 100.0
    for level, top, bottom in zip(levels, bounds[:-1], bounds[1:], strict=True):
        mass = np.maximum(np.minimum(surface, bottom) - top, 0.0) / GRAVITY
        cloud += mass * sum(_variable(data, name, level) for name in _CLOUDS)
    return (_variable(data, "atmosphere_mass_content_of_water_vapor") + cloud).astype(np.float32)


_ON_LEVEL: dict[str, Callable[[xr.Dataset, int | None], Values]] = {
    GEOPOTENTIAL_HEIGHT.name: lambda data, level: geopotential_height(_variable(data, "geopotential", level)),
    WIND_SPEED.name: wind_speed,
    VORTICITY.name: vorticity,
    DIVERGENCE.name: divergence,
}

_OF_COLUMN: dict[str, Callable[[xr.Dataset], Values]] = {
    "air_pressure_at_mean_sea_level": mean_sea_level_pressure,
    TOTAL_WATER.name: total_column_water,
}


def _wind(data: xr.Dataset, level: int | None) -> tuple[Values, Values]:
    return _variable(data, "eastward_wind", level), _variable(data, "northward_wind", level)


def _variable(data: xr.Dataset, name: str, level: float | None = None) -> Values:
    """A field as the model has it, on a level if it has levels: float32 [member, longitude, latitude].

    Takes the array as it lies: `sel` would give every variable of the data, for each level of each field.
    """
    if name not in data:
        raise ProductError(f"the product asks for {name}, which the frame lacks; it has {', '.join(map(str, data))}")
    found = data.variables[name]
    if level is not None:
        found = found.isel(level=data.indexes["level"].get_loc(level))
    return found.transpose("member", "longitude", "latitude").values.astype(np.float32, copy=False)


def require_levels(data: xr.Dataset, levels: tuple[int, ...]) -> None:
    """Raises ProductError when the data lacks one of the levels [hPa]."""
    available = [int(level) for level in data["level"].values]
    if missing := [level for level in levels if level not in available]:
        raise ProductError(
            f"the product asks for levels {missing} hPa that the model does not have; it has {available} hPa"
        )
