"""The US Standard Atmosphere 1976 by pressure, and hydrostatic integration."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecast.constants import DRY_AIR_GAS_CONSTANT, STANDARD_GRAVITY

Array = NDArray[Any]

_BASES = np.array(
    [
        (1013.25, 288.15, 0.0),
        (226.321, 216.65, 11_000.0),
        (54.7489, 216.65, 20_000.0),
        (8.68019, 228.65, 32_000.0),
        (1.10906, 270.65, 47_000.0),
        (0.669389, 270.65, 51_000.0),
    ]
)
"""Pressure [hPa], temperature [K] and geopotential height [m] at the layer boundaries (table 4)."""


def standard_temperature(pressure: Array | float) -> Array:
    """Temperature [K] of the standard atmosphere at pressures [hPa].

    Within a layer of constant lapse rate, log T is linear in log p, so this is exact.
    """
    order = slice(None, None, -1)
    return np.exp(np.interp(np.log(pressure), np.log(_BASES[order, 0]), np.log(_BASES[order, 1])))


def standard_geopotential(pressure: float) -> float:
    """Geopotential [m2 s-2] of the standard atmosphere at a pressure [hPa], between 1 and 1013.25 hPa."""
    layer = int(np.clip(np.sum(_BASES[:, 0] >= pressure) - 1, 0, len(_BASES) - 2))
    base_pressure, _, base_height = _BASES[layer]
    steps = np.exp(np.linspace(np.log(base_pressure), np.log(pressure), 200))
    rise = thickness(standard_temperature(steps[:-1]), standard_temperature(steps[1:]), steps[:-1], steps[1:])
    return base_height * STANDARD_GRAVITY + float(np.sum(rise))


def thickness(lower: Array, upper: Array, lower_pressure: Array | float, upper_pressure: Array | float) -> Array:
    """Difference of geopotential [m2 s-2] between two pressures, from the virtual temperatures [K] there.

    The hypsometric equation for virtual temperature linear in log pressure.
    """
    return DRY_AIR_GAS_CONSTANT * 0.5 * (lower + upper) * np.log(lower_pressure / upper_pressure)
