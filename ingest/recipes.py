"""How each variable of the model is made from the quantities that files give: the names of the methods, in one place.

The plan says beforehand which recipe will be used, the assembly of an analysis uses it and says so in its
provenance; both take the words from here.
"""

from collections.abc import Collection
from dataclasses import dataclass

from ingest.feed import Item

LIQUID = "mass_fraction_of_cloud_liquid_water_in_air"
ICE = "mass_fraction_of_cloud_ice_in_air"
CLOUD = (LIQUID, ICE)
STATE = ("geopotential", "air_temperature", "eastward_wind", "northward_wind")
"""Level fields that are given on common levels."""

AS_GIVEN = "as given"
REGRIDDED = "conservative regridding"
FROM_HEIGHT = "height times 9.80665"
FROM_RELATIVE_HUMIDITY = "from relative humidity and temperature, saturation over mixed phase (NCEP)"
FROM_MIXING_RATIO = "from mixing ratio"
SHARE_OF_CLOUD = "share of total cloud mixing ratio by temperature, mixed phase from 250.16 to 273.16 K (IFS)"

LAND = 0.5
"""Land fraction from which on a point counts as land."""
OPEN_WATER = 0.15
"""Ice fraction below which the surface temperature is that of the water."""
FREEZING_SEA = 271.46
"""Temperature [K] of sea water under ice, as in ERA5."""
FROM_SURFACE = (
    f"surface temperature where land fraction < {LAND} and ice fraction < {OPEN_WATER}, {FREEZING_SEA} K under ice"
)


def on_top(seam: int) -> str:
    """Method of a geopotential that is another source's thickness on top of the state's highest level [hPa]."""
    return f"thickness above {seam} hPa placed on the geopotential there"


@dataclass(frozen=True)
class Recipe:
    """A way to make a level field: from which quantities, and whether with the temperature of the level."""

    method: str
    quantity: str
    with_temperature: bool = False


_SAME = {name: Recipe(AS_GIVEN, name) for name in (*STATE, "specific_humidity", *CLOUD)}
_OTHERS: dict[str, tuple[Recipe, ...]] = {
    "geopotential": (Recipe(FROM_HEIGHT, "geopotential_height"),),
    "specific_humidity": (Recipe(FROM_RELATIVE_HUMIDITY, "relative_humidity", with_temperature=True),),
    LIQUID: (Recipe(FROM_MIXING_RATIO, "cloud_mixing_ratio"),),
    ICE: (Recipe(FROM_MIXING_RATIO, "cloud_ice_mixing_ratio"),),
}
_SPLIT = Recipe(SHARE_OF_CLOUD, "cloud_mixing_ratio", with_temperature=True)


def recipes(variable: str, items: Collection[Item]) -> tuple[Recipe, ...]:
    """The ways to a level field from what is offered, the best first.

    A total cloud mixing ratio is split by temperature where no ice is offered at any level.
    """
    ways = (_SAME[variable], *_OTHERS.get(variable, ()))
    if variable in CLOUD and not any(item.quantity in (ICE, "cloud_ice_mixing_ratio") for item in items):
        return (*ways[:1], _SPLIT)
    return ways
