"""Humidity and cloud in the model's terms, from what files give instead.

Saturation: IFS Documentation Cy47r3, Part IV (Physical Processes), chapter 12: the
Tetens form with the coefficients of Buck (1981) over water and of Alduchov and Eskridge (1996) over
ice, and the share of liquid water in mixed phase.
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
_GREATEST_SHARE = 0.5
"""Saturation pressure never counts for more than this share of the air pressure (upper stratosphere)."""


def liquid_share(temperature: Array) -> Array:
    """Share of liquid water in mixed-phase cloud [1] at a temperature [K]: 1 above 273.16, 0 below 250.16.

    Quadratic between the two (IFS Documentation Cy47r3, Part IV, chapter 12).
    """
    return np.clip((temperature - _ALL_ICE) / (_TRIPLE_POINT - _ALL_ICE), 0.0, 1.0) ** 2


def saturation_pressure(temperature: Array) -> Array:
    """Vapour pressure [Pa] at saturation over mixed phase at a temperature [K]."""
    excess = temperature - _TRIPLE_POINT
    over_water = 611.21 * np.exp(17.502 * excess / (temperature - 32.19))
    over_ice = 611.21 * np.exp(22.587 * excess / (temperature + 0.7))
    share = liquid_share(temperature)
    return share * over_water + (1.0 - share) * over_ice


def specific_humidity(relative_humidity: Array, temperature: Array, pressure: float) -> Array:
    """Specific humidity [kg kg-1] from relative humidity [1], temperature [K] and pressure [Pa].

    Negative relative humidity, which packing can leave, counts as zero.
    """
    saturated = np.minimum(saturation_pressure(temperature), _GREATEST_SHARE * pressure)
    vapour = np.maximum(relative_humidity, 0.0) * saturated
    vapour = np.minimum(vapour, _GREATEST_SHARE * pressure)
    return EPSILON * vapour / (pressure - (1.0 - EPSILON) * vapour)


def specific_content(mixing_ratio: Array) -> Array:
    """Mass per mass of moist air from mass per mass of dry air [kg kg-1]."""
    return mixing_ratio / (1.0 + mixing_ratio)


def virtual_temperature(temperature: Array, humidity: Array) -> Array:
    """Temperature [K] at which dry air has the density of this moist air."""
    return temperature * (1.0 + (1.0 / EPSILON - 1.0) * humidity)
