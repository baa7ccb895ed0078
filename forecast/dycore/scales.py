"""Nondimensionalisation: the one place where SI values become the model's numbers and back.

The model computes with the Earth's radius as the unit of length, half its inverse rotation rate as the
unit of time, the mass of the dry atmosphere as the unit of mass and the kelvin as the unit of
temperature (Kochkov et al. 2024, appendix B), so that its fields are of order one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from forecast import constants

_UNIT = re.compile(r"(?P<name>[A-Za-z]+)(?P<power>-?\d+)?")

# Base units as (SI factor, exponents of length, time, mass, temperature).
_BASE: Mapping[str, tuple[float, tuple[int, int, int, int]]] = {
    "m": (1.0, (1, 0, 0, 0)),
    "meter": (1.0, (1, 0, 0, 0)),
    "km": (1e3, (1, 0, 0, 0)),
    "s": (1.0, (0, 1, 0, 0)),
    "second": (1.0, (0, 1, 0, 0)),
    "minute": (60.0, (0, 1, 0, 0)),
    "hour": (3600.0, (0, 1, 0, 0)),
    "day": (86400.0, (0, 1, 0, 0)),
    "kg": (1.0, (0, 0, 1, 0)),
    "K": (1.0, (0, 0, 0, 1)),
    "Pa": (1.0, (-1, -2, 1, 0)),
    "J": (1.0, (2, -2, 1, 0)),
    "W": (1.0, (2, -3, 1, 0)),
}


@dataclass(frozen=True)
class Scales:
    """The model's units in SI: `length` [m], `time` [s], `mass` [kg] and `temperature` [K]."""

    length: float = constants.EARTH_RADIUS
    time: float = 0.5 / constants.EARTH_ANGULAR_VELOCITY
    mass: float = constants.DRY_ATMOSPHERE_MASS
    temperature: float = 1.0

    def unit(self, units: str) -> float:
        """The nondimensional value of one `units`, written as "m2 s-2", "K", "hour" or "1"."""
        factor = 1.0
        for word in units.split():
            if word == "1":
                continue
            si_factor, exponents, power = _parse_unit(word)
            scale = 1.0
            for unit_scale, exponent in zip(
                (self.length, self.time, self.mass, self.temperature), exponents, strict=True
            ):
                scale *= unit_scale**exponent
            factor *= (si_factor / scale) ** power
        return factor

    def nondimensionalize(self, value: Any, units: str) -> Any:
        """A value in `units` as the model's number; numbers and arrays alike."""
        return value * self.unit(units)

    def dimensionalize(self, value: Any, units: str) -> Any:
        """The model's number as a value in `units`."""
        return value / self.unit(units)

    def quantity(self, text: str) -> float:
        """The model's number for a quantity such as "120 minutes" or "84 km"."""
        number, _, units = text.strip().partition(" ")
        return float(number) * self.unit(units.strip())

    @cached_property
    def gas_constant(self) -> float:
        """Gas constant of dry air."""
        return self.nondimensionalize(constants.DRY_AIR_GAS_CONSTANT, "J kg-1 K-1")

    @cached_property
    def vapor_gas_constant(self) -> float:
        """Gas constant of water vapour."""
        return self.nondimensionalize(constants.WATER_VAPOR_GAS_CONSTANT, "J kg-1 K-1")

    @cached_property
    def vapor_heat_capacity_ratio(self) -> float:
        """cp of water vapour over cp of dry air, the latter as R / kappa."""
        return constants.WATER_VAPOR_HEAT_CAPACITY * constants.DRY_AIR_KAPPA / constants.DRY_AIR_GAS_CONSTANT

    @cached_property
    def gravity(self) -> float:
        """Acceleration of gravity."""
        return self.nondimensionalize(constants.GRAVITY, "m s-2")

    @cached_property
    def angular_velocity(self) -> float:
        """Rotation rate of the Earth."""
        return self.nondimensionalize(constants.EARTH_ANGULAR_VELOCITY, "s-1")


def _parse_unit(word: str) -> tuple[float, tuple[int, int, int, int], int]:
    match = _UNIT.fullmatch(word)
    name = match["name"] if match else ""
    entry = _BASE.get(name) or _BASE.get(name.removesuffix("s"))
    if match is None or entry is None:
        raise ValueError(f"unknown unit {word!r}; known units are {', '.join(_BASE)} and their powers such as s-2")
    return entry[0], entry[1], int(match["power"] or 1)
