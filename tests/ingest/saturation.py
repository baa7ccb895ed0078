"""Saturation over water and over ice after Murphy and Koop (2005), equations 10 and 7: [Pa] from [K]."""

import numpy as np


def over_ice(temperature):
    t = temperature
    return np.exp(9.550426 - 5723.265 / t + 3.53068 * np.log(t) - 0.00728332 * t)


def over_water(temperature):
    t = temperature
    tail = 53.878 - 1331.22 / t - 9.44523 * np.log(t) + 0.014025 * t
    return np.exp(54.842763 - 6763.22 / t - 4.210 * np.log(t) + 0.000367 * t + np.tanh(0.0415 * (t - 218.8)) * tail)


def mixed(temperature):
    """As NCEP mixes them: over ice alone up to 253.16 K, over water from 273.16 K on, linear between."""
    share = np.clip((temperature - 253.16) / 20.0, 0.0, 1.0)
    return share * over_water(temperature) + (1.0 - share) * over_ice(temperature)
