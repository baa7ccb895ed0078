"""Pressure reduced to the sea level, on the model's own grid."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.constants import DRY_AIR_GAS_CONSTANT, STANDARD_GRAVITY, WATER_VAPOR_GAS_CONSTANT

STANDARD_LAPSE_RATE = 6.5e-3
"""Decrease of temperature with height in the ICAO standard atmosphere [K m-1]."""

_WARM_LIMIT = 290.5
_COLD_LIMIT = 255.0
_AT_SEA_LEVEL = 1e-3


def virtual_temperature(temperature: NDArray, specific_humidity: NDArray) -> NDArray:
    """Temperature [K] at which dry air has the density of the moist air; any common shape.

    T (1 + (Rv/Rd - 1) q), Wallace and Hobbs 2006, equation 3.16.
    """
    return temperature * (1.0 + (WATER_VAPOR_GAS_CONSTANT / DRY_AIR_GAS_CONSTANT - 1.0) * specific_humidity)


def mean_sea_level_pressure(data: xr.Dataset) -> NDArray[np.float32]:
    """Mean sea level pressure [Pa] of a frame's data, shape [member, longitude, latitude].

    The pressure of the lowest level above the ground is reduced hydrostatically to geopotential zero
    through a column that begins with the virtual temperature there. Method of ECMWF: Trenberth, Berry
    and Buja 1993, NCAR/TN-396+STR, section 3.1.b, equations 11 to 15, which begin at the surface. Here
    the surface pressure only says which levels are above the ground: it belongs to the orography that
    the model has at its truncation, which a surface geopotential on the grid matches to some hundred
    metres only, whereas pressure, geopotential and temperature of a level belong together.
    """
    pressure, geopotential, temperature = _lowest_above_ground(data)
    return reduce_to_sea_level(pressure, geopotential, temperature).astype(np.float32)


def reduce_to_sea_level(
    pressure: NDArray[np.float64], geopotential: NDArray[np.float64], temperature: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pressure [Pa] at geopotential zero below (or above) a point with these values; any common shape.

    Equations 13 to 15 of Trenberth et al. 1993. The column warms downward at the standard lapse rate,
    except that it never exceeds 290.5 K at sea level, and that cold columns (below 255 K) are warmed
    half-way to 255 K.
    """
    temperature, lapse = _column_below(geopotential, temperature)
    scaled = geopotential / (DRY_AIR_GAS_CONSTANT * temperature)
    bend = lapse * geopotential / (STANDARD_GRAVITY * temperature)
    return pressure * np.exp(scaled * (1.0 - bend / 2.0 + bend**2 / 3.0))


def _column_below(
    geopotential: NDArray[np.float64], temperature: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Temperature where the column begins [K] and lapse rate below [K m-1] (Trenberth et al. 1993, equation 14)."""
    lapse = np.full(temperature.shape, STANDARD_LAPSE_RATE)
    at_sea_level = temperature + STANDARD_LAPSE_RATE * geopotential / STANDARD_GRAVITY
    height = np.where(np.abs(geopotential) < _AT_SEA_LEVEL, _AT_SEA_LEVEL, geopotential) / STANDARD_GRAVITY
    too_warm_below = (at_sea_level > _WARM_LIMIT) & (temperature <= _WARM_LIMIT)
    lapse = np.where(too_warm_below, (_WARM_LIMIT - temperature) / height, lapse)
    hot = (at_sea_level > _WARM_LIMIT) & (temperature > _WARM_LIMIT)
    lapse = np.where(hot, 0.0, lapse)
    adjusted = np.where(hot, 0.5 * (_WARM_LIMIT + temperature), temperature)
    return np.where(temperature < _COLD_LIMIT, 0.5 * (_COLD_LIMIT + temperature), adjusted), lapse


def _lowest_above_ground(data: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pressure [Pa], geopotential [m2 s-2] and virtual temperature [K], each [member, longitude, latitude].

    The pressure is not a number where all levels are below the ground.
    """
    surface_pressure = data["surface_air_pressure"].transpose("member", "longitude", "latitude").values
    surface_pressure, levels = surface_pressure.astype(np.float64), data["level"].values
    downward = np.argsort(levels)
    lowest = downward[np.maximum(np.searchsorted(levels[downward] * 100.0, surface_pressure, side="right") - 1, 0)]

    def there(name: str) -> NDArray[np.float64]:
        on_levels = data[name].transpose("member", "level", "longitude", "latitude").values
        return np.take_along_axis(on_levels, lowest[:, np.newaxis], axis=1)[:, 0].astype(np.float64)

    pressure = np.where(levels[lowest] * 100.0 <= surface_pressure, levels[lowest] * 100.0, np.nan)
    return pressure, there("geopotential"), virtual_temperature(there("air_temperature"), there("specific_humidity"))
