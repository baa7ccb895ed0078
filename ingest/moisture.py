"""Humidity and cloud in the model's terms, from what files give instead.

Saturation over water and over ice: IFS Documentation Cy47r3, Part IV (Physical Processes), chapter 12: the
Tetens form with the coefficients of Buck (1981) over water and of Alduchov and Eskridge (1996) over ice; the share of
liquid water in mixed-phase cloud is from there too. Relative humidity is what NCEP's post-processing (UPP, CALRH_GFS)
makes of specific humidity: GFS is the source that gives it where it gives no specific humidity.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecast.constants import DRY_AIR_GAS_CONSTANT, WATER_VAPOR_GAS_CONSTANT

Array = NDArray[Any]

EPSILON = DRY_AIR_GAS_CONSTANT / WATER_VAPOR_GAS_CONSTANT
"""Ratio of the gas constants of dry air and water vapour [1]."""

_TRIPLE_POINT = 273.16
_ALL_ICE = 250.16
_ALL_ICE_AT_SATURATION = 253.16
_GREATEST_SHARE = 0.5
"""Saturation pressure never counts for more than this share of the air pressure (upper stratosphere)."""


def liquid_share(temperature: Array) -> Array:
    """Share of liquid water in mixed-phase cloud [1] at a temperature [K]: 1 above 273.16, 0 below 250.16.

    Quadratic between the two (IFS Documentation Cy47r3, Part IV, chapter 12).
    """
    return np.clip((temperature - _ALL_ICE) / (_TRIPLE_POINT - _ALL_ICE), 0.0, 1.0) ** 2


def saturation_pressure(temperature: Array) -> Array:
    """Vapour pressure [Pa] at saturation at a temperature [K].

    Over water above 273.16 K, over ice below 253.16 K, linear between the two as NCEP has it (UFS_UTILS, fpvsnew).
    """
    excess = temperature - _TRIPLE_POINT
    over_water = 611.21 * np.exp(17.502 * excess / (temperature - 32.19))
    over_ice = 611.21 * np.exp(22.587 * excess / (temperature + 0.7))
    share = np.clip((temperature - _ALL_ICE_AT_SATURATION) / (_TRIPLE_POINT - _ALL_ICE_AT_SATURATION), 0.0, 1.0)
    return share * over_water + (1.0 - share) * over_ice


def specific_humidity(relative_humidity: Array, temperature: Array, pressure: float) -> Array:
    """Specific humidity [kg kg-1] from relative humidity [1], temperature [K] and pressure [Pa].

    Relative humidity is the share of the specific humidity of saturated air. Negative values, which packing can
    leave, count as zero.
    """
    greatest = _GREATEST_SHARE * pressure
    saturated = _of_vapour(np.minimum(saturation_pressure(temperature), greatest), pressure)
    return np.minimum(np.maximum(relative_humidity, 0.0) * saturated, _of_vapour(greatest, pressure))


def _of_vapour(vapour: Any, pressure: float) -> Any:
    """Specific humidity from the pressures [Pa] of vapour and air."""
    return EPSILON * vapour / (pressure - (1.0 - EPSILON) * vapour)


def specific_content(mixing_ratio: Array) -> Array:
    """Mass per mass of moist air from mass per mass of dry air [kg kg-1]."""
    return mixing_ratio / (1.0 + mixing_ratio)


def virtual_temperature(temperature: Array, humidity: Array) -> Array:
    """Temperature [K] at which dry air has the density of this moist air."""
    return temperature * (1.0 + (1.0 / EPSILON - 1.0) * humidity)
