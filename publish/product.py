"""What is published: which fields, levels, lead times, statistics and formats; and frames cut into slabs.

A slab is one field on one level, all members, on the product grid. Frames are regridded and written
slab by slab, so that working memory does not grow with the number of fields, levels or formats.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.fields import Field
from forecast.frame import Frame
from forecast.grids import GaussianGrid, LatLonGrid, Regridder
from forecast.times import lead_hours
from publish import derive
from publish.events import ProductError, Window
from publish.quantities import GEOPOTENTIAL_HEIGHT, LAYERS, ON_LEVELS, OPTIONAL, PUBLISHABLE
from publish.settings import FORMATS, STANDARD_FIELDS, STANDARD_LEVELS, ProductSettings, default_spacing

__all__ = [
    "FORMATS",
    "GEOPOTENTIAL_HEIGHT",
    "PUBLISHABLE",
    "STANDARD_FIELDS",
    "STANDARD_LEVELS",
    "Item",
    "ProductError",
    "ProductSettings",
    "Slab",
    "default_spacing",
    "describe",
    "items",
    "possible_items",
    "slabs",
]

_WIND_COMPONENTS = frozenset({"eastward_wind", "northward_wind"})


@dataclass(frozen=True)
class Item:
    """What one slab is of: a field, on a level [hPa] if it has levels, over an interval if it is no momentary one."""

    field: Field
    level: int | None = None
    window: Window | None = None

    @property
    def variable(self) -> str:
        """Name that tells the item's variable apart from all others of a product.

        Levels of a momentary field share one variable; over an interval each level has its own.
        """
        if self.window is None:
            return self.field.short_name
        return f"{self.field.short_name}{self.level or ''}_{self.window.name}"


@dataclass(frozen=True)
class Slab:
    """One item for all members present, on the product grid.

    `values` is float32 [member, latitude, longitude], 90 N and 0 E first, in the field's units; `native`
    likewise on the model's Gaussian grid, north first, where the settings ask for it. `level` is in
    hPa, None for a single-level field. `increment_hours` is the time between the lead times that values
    over an interval come from, 0 for those of a continuous process.
    """

    field: Field
    level: int | None
    members: tuple[int, ...]
    values: NDArray[np.float32]
    window: Window | None = None
    native: NDArray[np.float32] | None = None
    increment_hours: int = 0

    @property
    def item(self) -> Item:
        """What the slab is of."""
        return Item(self.field, self.level, self.window)


class Past(Protocol):
    """Where fields over intervals come from."""

    @property
    def increment_hours(self) -> int:
        """Time between the model's lead times."""
        ...

    def over(self, item: Item, frame: Frame) -> NDArray[np.float32]:
        """Values [member, longitude, latitude] on the model's grid over the interval that ends at the frame."""
        ...


def items(frame: Frame, settings: ProductSettings) -> tuple[Item, ...]:
    """What is published of the frame, in order; without optional fields that the frame lacks."""
    possible = possible_items(settings, lead_hours(frame.lead_time))
    return tuple(each for each in possible if _is_there(frame.data, each.field.name))


def possible_items(settings: ProductSettings, hours: int) -> tuple[Item, ...]:
    """What can be published at a lead time: fields by the settings' order and levels, then intervals.

    An interval that begins before the forecast is left out.
    """
    fields = [PUBLISHABLE[name] for name in settings.fields]
    momentary = [Item(field, level) for field in fields for level in _levels(field, settings)]
    over = [each for each in settings.windowed if each.window.hours <= hours]
    return (*momentary, *(Item(PUBLISHABLE[each.field], each.level, each.window) for each in over))


def slabs(frame: Frame, settings: ProductSettings, past: Past | None = None) -> Iterator[Slab]:
    """The frame as slabs, one for each of its items and in their order.

    `past` is needed for items over intervals. Raises ProductError when the frame lacks what the settings
    ask for, or holds values that are not finite.
    """
    _require_levels(frame.data, settings)
    regrid = _regridder(frame.data.sizes["longitude"], frame.data.sizes["latitude"], settings.grid(frame.data))
    for item in items(frame, settings):
        on_model_grid = _values(item, frame, past)
        regridded = regrid(on_model_grid, vector=item.field.name in _WIND_COMPONENTS)
        native = np.swapaxes(on_model_grid[..., ::-1], -1, -2) if settings.native_grid else None
        values = np.ascontiguousarray(np.swapaxes(regridded, -1, -2))
        increment = past.increment_hours if past and item.window and item.window.method != "sum" else 0
        yield _checked(Slab(item.field, item.level, frame.members, values, item.window, native, increment))


@lru_cache(maxsize=4)
def _regridder(longitude_count: int, latitude_count: int, target: LatLonGrid) -> Regridder:
    return Regridder(GaussianGrid(longitude_count, latitude_count), target, method="bilinear")


def _is_there(data: xr.Dataset, name: str) -> bool:
    return name not in OPTIONAL or name in data


def _levels(field: Field, settings: ProductSettings) -> tuple[int | None, ...]:
    return settings.levels if field.name in ON_LEVELS else (None,)


def _require_levels(data: xr.Dataset, settings: ProductSettings) -> None:
    wanted = {*settings.levels, *(each.level for each in settings.windowed if each.level is not None)}
    wanted |= {level for name in settings.fields for level in LAYERS.get(name, ())}
    derive.require_levels(data, tuple(sorted(wanted, reverse=True)))


def _values(item: Item, frame: Frame, past: Past | None) -> NDArray[np.float32]:
    """The item on the model's grid, [member, longitude, latitude]."""
    if item.window is None:
        return derive.values(frame.data, item.field.name, item.level)
    if past is None:
        raise ProductError(f"{item.variable} needs the lead times before {frame.lead_time}, which were not kept")
    return past.over(item, frame)


def _checked(slab: Slab) -> Slab:
    wrong = [m for m, values in zip(slab.members, slab.values, strict=True) if not np.isfinite(values).all()]
    if wrong:
        raise ProductError(f"{describe(slab)} is not finite in members {wrong}; such members must be dropped first")
    return slab


def describe(slab: Slab) -> str:
    """Short text for messages: t at 500 hPa."""
    level = f" at {slab.level} hPa" if slab.level is not None else ""
    return f"{slab.field.short_name}{level}" + (f", {slab.window.name}" if slab.window else "")
