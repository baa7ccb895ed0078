"""What charts show: quantities in the units that forecasters speak, computed from published fields."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forecast.constants import STANDARD_GRAVITY

_CELSIUS = -273.15


class Missing(LookupError):
    """The published files do not hold a field that a chart needs."""


class Source(Protocol):
    """Where values of fields come from: of any shape, SI units."""

    def values(self, name: str, level: int | None) -> NDArray[np.float64]:
        """Values of the field on the level [hPa]. Raises Missing."""
        ...


@dataclass(frozen=True)
class Quantity:
    """A quantity for people: its name and unit, and how it is computed from a source; shapes are the source's."""

    title: str
    unit: str
    of: Callable[[Source], NDArray[np.float64]]


def _height(level: int) -> Callable[[Source], NDArray[np.float64]]:
    """Decametres, from the height or else the geopotential."""

    def of(source: Source) -> NDArray[np.float64]:
        try:
            return source.values("geopotential_height", level) / 10.0
        except Missing:
            return source.values("geopotential", level) / STANDARD_GRAVITY / 10.0

    return of


def _wind_speed(level: int) -> Callable[[Source], NDArray[np.float64]]:
    return lambda source: np.hypot(source.values("eastward_wind", level), source.values("northward_wind", level))


HEIGHT_500 = Quantity("Geopotential height at 500 hPa", "dam", _height(500))
HEIGHT_250 = Quantity("Geopotential height at 250 hPa", "dam", _height(250))
TEMPERATURE_850 = Quantity(
    "Temperature at 850 hPa", "°C", lambda source: source.values("air_temperature", 850) + _CELSIUS
)
SEA_LEVEL_PRESSURE = Quantity(
    "Mean sea level pressure", "hPa", lambda source: source.values("air_pressure_at_mean_sea_level", None) / 100.0
)
WATER_VAPOUR = Quantity(
    "Total column water vapour",
    "kg m⁻²",
    lambda source: source.values("atmosphere_mass_content_of_water_vapor", None),
)
WIND_850 = Quantity("Wind speed at 850 hPa", "m s⁻¹", _wind_speed(850))
WIND_250 = Quantity("Wind speed at 250 hPa", "m s⁻¹", _wind_speed(250))
