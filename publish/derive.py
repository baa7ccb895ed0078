"""Fields that the model does not forecast but users expect, computed on the model's own grid."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.constants import DRY_AIR_GAS_CONSTANT, STANDARD_GRAVITY, WATER_VAPOR_GAS_CONSTANT

STANDARD_LAPSE_RATE = 6.5e-3
"""Decrease of temperature with height in the ICAO standard atmosphere [K m-1]."""

_WARM_LIMIT = 290.5
_COLD_LIMIT = 255.0
_NO_OROGRAPHY = 1e-3


def geopotential_height(geopotential: NDArray[np.float32]) -> NDArray[np.float32]:
    """Geopotential [m2 s-2] over standard gravity: height [m], shape unchanged (WMO-No. 8, part I, 12.6)."""
    return (geopotential / STANDARD_GRAVITY).astype(np.float32)


def virtual_temperature(temperature: NDArray, specific_humidity: NDArray) -> NDArray:
    """Temperature [K] at which dry air has the density of the moist air; any common shape.

    T (1 + (Rv/Rd - 1) q), Wallace and Hobbs 2006, equation 3.16.
    """
    return temperature * (1.0 + (WATER_VAPOR_GAS_CONSTANT / DRY_AIR_GAS_CONSTANT - 1.0) * specific_humidity)


def mean_sea_level_pressure(data: xr.Dataset) -> NDArray[np.float32]:
    """Mean sea level pressure [Pa] of a frame's data, shape [member, longitude, latitude].

    The surface pressure is reduced hydrostatically to geopotential zero through a column that begins
    at the surface with virtual temperature T*. T* is that of the lowest pressure level above the
    ground, taken down to the surface with the standard lapse rate; levels under the ground are not
    used. Method of ECMWF: Trenberth, Berry and Buja 1993, NCAR/TN-396+STR, section 3.1.b, equations
    11 to 15; there T* comes from the lowest model layer and is not virtual.
    """
    order = ("member", "longitude", "latitude")
    surface_pressure = data["surface_air_pressure"].transpose(*order).values.astype(np.float64)
    surface_geopotential = data["surface_geopotential"].transpose("longitude", "latitude").values.astype(np.float64)
    surface_temperature = _surface_virtual_temperature(data, surface_pressure)
    return reduce_to_sea_level(surface_pressure, surface_geopotential, surface_temperature).astype(np.float32)


def reduce_to_sea_level(
    surface_pressure: NDArray[np.float64],
    surface_geopotential: NDArray[np.float64],
    surface_temperature: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Pressure [Pa] at geopotential zero, by equations 13 to 15 of Trenberth et al. 1993; shapes broadcast.

    The column below the ground warms downward at the standard lapse rate, except that it never
    exceeds 290.5 K at sea level, and that cold surfaces (below 255 K) are warmed half-way to 255 K.
    """
    geopotential = np.broadcast_to(surface_geopotential, surface_pressure.shape)
    temperature, lapse = _column_below_ground(geopotential, surface_temperature)
    scaled = geopotential / (DRY_AIR_GAS_CONSTANT * temperature)
    bend = lapse * geopotential / (STANDARD_GRAVITY * temperature)
    reduced = surface_pressure * np.exp(scaled * (1.0 - bend / 2.0 + bend**2 / 3.0))
    return np.where(np.abs(geopotential) < _NO_OROGRAPHY, surface_pressure, reduced)


def _column_below_ground(
    geopotential: NDArray[np.float64], temperature: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Temperature at the surface [K] and lapse rate below it [K m-1] (Trenberth et al. 1993, equation 14)."""
    lapse = np.full(temperature.shape, STANDARD_LAPSE_RATE)
    at_sea_level = temperature + STANDARD_LAPSE_RATE * geopotential / STANDARD_GRAVITY
    height = np.where(np.abs(geopotential) < _NO_OROGRAPHY, 1.0, geopotential) / STANDARD_GRAVITY
    too_warm_below = (at_sea_level > _WARM_LIMIT) & (temperature <= _WARM_LIMIT)
    lapse = np.where(too_warm_below, (_WARM_LIMIT - temperature) / height, lapse)
    hot = (at_sea_level > _WARM_LIMIT) & (temperature > _WARM_LIMIT)
    lapse = np.where(hot, 0.0, lapse)
    adjusted = np.where(hot, 0.5 * (_WARM_LIMIT + temperature), temperature)
    return np.where(temperature < _COLD_LIMIT, 0.5 * (_COLD_LIMIT + temperature), adjusted), lapse


def _surface_virtual_temperature(data: xr.Dataset, surface_pressure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Virtual temperature [K] at the surface, shape [member, longitude, latitude]."""
    pressures = data["level"].values.astype(np.float64) * 100.0
    lowest = np.full(surface_pressure.shape, np.nan)
    temperature = np.full(surface_pressure.shape, np.nan)
    for pressure in np.sort(pressures):
        layer = data.isel(level=int(np.flatnonzero(pressures == pressure)[0]))
        above_ground = pressure <= surface_pressure
        lowest = np.where(above_ground, pressure, lowest)
        temperature = np.where(above_ground, _layer_virtual_temperature(layer), temperature)
    exponent = DRY_AIR_GAS_CONSTANT * STANDARD_LAPSE_RATE / STANDARD_GRAVITY
    return temperature * (surface_pressure / lowest) ** exponent


def _layer_virtual_temperature(layer: xr.Dataset) -> NDArray[np.float64]:
    order = ("member", "longitude", "latitude")
    temperature = layer["air_temperature"].transpose(*order).values.astype(np.float64)
    return virtual_temperature(temperature, layer["specific_humidity"].transpose(*order).values)
