"""Requests to the Climate Data Store for fields of ERA5: which items, split so that each stays small."""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from forecast.fields import PRESSURE_LEVELS
from ingest.errors import Incomplete
from ingest.feed import Item
from ingest.index import named

PRESSURE_LEVEL_DATA = "reanalysis-era5-pressure-levels"
SINGLE_LEVEL_DATA = "reanalysis-era5-single-levels"
DATASETS = (PRESSURE_LEVEL_DATA, SINGLE_LEVEL_DATA)

_ON_LEVELS = {
    "geopotential": "geopotential",
    "air_temperature": "temperature",
    "eastward_wind": "u_component_of_wind",
    "northward_wind": "v_component_of_wind",
    "specific_humidity": "specific_humidity",
    "relative_humidity": "relative_humidity",
    "mass_fraction_of_cloud_liquid_water_in_air": "specific_cloud_liquid_water_content",
    "mass_fraction_of_cloud_ice_in_air": "specific_cloud_ice_water_content",
}
_AT_SURFACE = {
    "sea_surface_temperature": "sea_surface_temperature",
    "surface_temperature": "skin_temperature",
    "sea_ice_area_fraction": "sea_ice_cover",
    "land_area_fraction": "land_sea_mask",
}

ITEMS = frozenset(
    [Item(name, level) for name in _ON_LEVELS for level in PRESSURE_LEVELS] + [Item(name) for name in _AT_SURFACE]
)
"""Every item that ERA5 has."""


@dataclass(frozen=True)
class Request:
    """All these quantities on all these levels [hPa], or at the surface when there are none, at one time."""

    quantities: tuple[str, ...]
    levels: tuple[int, ...]
    cycle: datetime

    @property
    def dataset(self) -> str:
        """The name of the dataset in the store."""
        return PRESSURE_LEVEL_DATA if self.levels else SINGLE_LEVEL_DATA

    @property
    def items(self) -> frozenset[Item]:
        """What its answer holds."""
        if not self.levels:
            return frozenset(map(Item, self.quantities))
        return frozenset(Item(name, level) for name in self.quantities for level in self.levels)

    @property
    def inputs(self) -> dict[str, Any]:
        """The request in the store's words."""
        names = _ON_LEVELS if self.levels else _AT_SURFACE
        inputs: dict[str, Any] = {
            "product_type": ["reanalysis"],
            "variable": [names[name] for name in self.quantities],
            "year": [f"{self.cycle:%Y}"],
            "month": [f"{self.cycle:%m}"],
            "day": [f"{self.cycle:%d}"],
            "time": [f"{self.cycle:%H:%M}"],
            "data_format": "grib",
            "download_format": "unarchived",
        }
        return inputs | {"pressure_level": [str(level) for level in self.levels]} if self.levels else inputs

    @property
    def digest(self) -> str:
        """The same for the same request, whoever makes it and when."""
        return hashlib.sha256(json.dumps([self.dataset, self.inputs], sort_keys=True).encode()).hexdigest()[:20]

    def __str__(self) -> str:
        where = f" on {len(self.levels)} levels" if self.levels else ""
        return f"{self.dataset}: {', '.join(self.quantities)}{where} at {self.cycle:%Y-%m-%d %H} UTC"


def requests_for(cycle: datetime, items: Collection[Item], most_fields: int) -> list[Request]:
    """The requests that together ask for these items and no others, none for more than `most_fields` fields.

    Quantities on the same levels share a request. Raises Incomplete for an item that ERA5 does not offer.
    """
    beyond = set(items) - ITEMS
    if beyond:
        raise Incomplete(f"ERA5 does not offer {named(beyond)}; take them from another source")
    levels_of: dict[str, list[int]] = {}
    for item in items:
        levels_of.setdefault(item.quantity, []).extend([] if item.level is None else [item.level])
    sharing: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(levels_of):
        sharing.setdefault(tuple(sorted(set(levels_of[name]))), []).append(name)
    return [
        Request(quantities, part, cycle)
        for levels, names in sorted(sharing.items())
        for part, quantities in _split(levels, names, most_fields)
    ]


def _split(
    levels: tuple[int, ...], names: list[str], most_fields: int
) -> Iterator[tuple[tuple[int, ...], tuple[str, ...]]]:
    for start in range(0, max(len(levels), 1), most_fields):
        part = levels[start : start + most_fields]
        together = max(most_fields // max(len(part), 1), 1)
        for first in range(0, len(names), together):
            yield part, tuple(names[first : first + together])
