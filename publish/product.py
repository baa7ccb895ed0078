"""What is published: which fields, on which levels and grid, in which formats; and frames cut into slabs.

A slab is one field on one level, all members, on the product grid. Frames are regridded and written
slab by slab, so that working memory does not grow with the number of fields, levels or formats.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.fields import LEVEL_FIELDS, SURFACE_FIELDS, Field, GribParameter
from forecast.frame import Frame
from forecast.grids import GaussianGrid, LatLonGrid, Regridder
from publish import derive
from publish.places import DEFAULT_PLACES, Place, require_distinct

GEOPOTENTIAL_HEIGHT = Field(
    "geopotential_height",
    "gh",
    "Geopotential height",
    "m",
    "geopotential_height",
    GribParameter(0, 3, 5),
    (-1_300.0, 53_000.0),
)
"""Geopotential divided by standard gravity; derived, so no field of the model's table."""

PUBLISHABLE = LEVEL_FIELDS | {GEOPOTENTIAL_HEIGHT.name: GEOPOTENTIAL_HEIGHT} | SURFACE_FIELDS
"""Every field that can be published, by name."""

STANDARD_LEVELS = (1000, 925, 850, 700, 600, 500, 400, 300, 250, 200, 150, 100, 50)
"""The 13 levels [hPa] common to ECMWF's open data and to forecast benchmarks (WeatherBench 2)."""

STANDARD_FIELDS = (
    "geopotential",
    "air_temperature",
    "eastward_wind",
    "northward_wind",
    "specific_humidity",
    "air_pressure_at_mean_sea_level",
    "surface_air_pressure",
    "atmosphere_mass_content_of_water_vapor",
)

FORMATS = ("grib2", "netcdf")

_SPACINGS = (5.0, 2.5, 1.5, 1.0, 0.5, 0.25)
_WIND_COMPONENTS = frozenset({"eastward_wind", "northward_wind"})


class ProductError(ValueError):
    """This product cannot be made from this model's output; change the product settings."""


@dataclass(frozen=True)
class ProductSettings:
    """What to publish of every lead time.

    `product` names the product line in object keys. `grid_spacing` [degrees] of the published grid;
    None takes the widest usual spacing that is no coarser than the model's grid. `levels` [hPa]. `centre`,
    `subcentre`, `production_status` and `generating_process` are the GRIB2 identity of the issuer:
    centre 255 claims none (WMO common code table C-11), status 0 is operational, 1 test, 2 research.
    `chart_lead_hours` are the panels of maps, `places` those with values and plumes of their own, and no chart
    is begun later than `chart_seconds` after the first. Raises ProductError when invalid.
    """

    product: str = "sigmacast"
    grid_spacing: float | None = None
    levels: tuple[int, ...] = STANDARD_LEVELS
    fields: tuple[str, ...] = STANDARD_FIELDS
    formats: tuple[str, ...] = FORMATS
    centre: int = 255
    subcentre: int = 0
    production_status: int = 2
    generating_process: int = 1
    bits_per_value: int = 16
    chart_lead_hours: tuple[int, ...] = (72, 120, 168, 240)
    chart_seconds: float = 300.0
    places: tuple[Place, ...] = DEFAULT_PLACES

    def __post_init__(self) -> None:
        _require_known("fields", self.fields, tuple(PUBLISHABLE))
        _require_known("formats", self.formats, FORMATS)
        if not self.fields or not self.formats:
            raise ProductError("a product needs at least one field and one format, got none")
        if not self.product.replace("-", "").isalnum() or not self.product.isascii():
            raise ProductError(f"a product name has letters, digits and hyphens only, got {self.product!r}")
        if not 8 <= self.bits_per_value <= 24:
            raise ProductError(f"expected 8 to 24 bits per value, got {self.bits_per_value}")
        try:
            require_distinct(self.places)
        except ValueError as error:
            raise ProductError(str(error)) from None

    def grid(self, data: xr.Dataset) -> LatLonGrid:
        """The grid to publish the frame data on."""
        return LatLonGrid(self.grid_spacing or default_spacing(data.sizes["longitude"]))


def _require_known(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) != len(names):
        raise ProductError(f"expected {what} out of {', '.join(known)}, each once, got {', '.join(names)}")


def default_spacing(longitude_count: int) -> float:
    """The widest usual spacing [degrees] no coarser than a model grid of so many longitudes."""
    model_spacing = 360.0 / longitude_count
    return next((spacing for spacing in _SPACINGS if spacing <= model_spacing), _SPACINGS[-1])


@dataclass(frozen=True)
class Slab:
    """One field on one level for all members present, on the product grid.

    `values` is float32 [member, latitude, longitude], 90 N and 0 E first, in the field's units.
    `level` is in hPa, None for a single-level field.
    """

    field: Field
    level: int | None
    members: tuple[int, ...]
    values: NDArray[np.float32]


def slabs(frame: Frame, settings: ProductSettings) -> Iterator[Slab]:
    """The frame as slabs, in the order of the settings' fields and levels.

    Raises ProductError when the frame lacks what the settings ask for, or holds values that are not finite.
    """
    _require_levels(frame.data, settings)
    regrid = _regridder(frame.data.sizes["longitude"], frame.data.sizes["latitude"], settings.grid(frame.data))
    for name in settings.fields:
        field = PUBLISHABLE[name]
        for level, values in _model_values(frame.data, field, settings.levels):
            regridded = regrid(values, vector=name in _WIND_COMPONENTS)
            yield _checked(Slab(field, level, frame.members, np.ascontiguousarray(np.swapaxes(regridded, -1, -2))))


@lru_cache(maxsize=4)
def _regridder(longitude_count: int, latitude_count: int, target: LatLonGrid) -> Regridder:
    return Regridder(GaussianGrid(longitude_count, latitude_count), target, method="bilinear")


def _require_levels(data: xr.Dataset, settings: ProductSettings) -> None:
    available = [int(level) for level in data["level"].values]
    missing = [level for level in settings.levels if level not in available]
    if missing:
        raise ProductError(
            f"the product asks for levels {missing} hPa that the model does not have; it has {available} hPa"
        )


def _model_values(
    data: xr.Dataset, field: Field, levels: tuple[int, ...]
) -> Iterator[tuple[int | None, NDArray[np.float32]]]:
    """Pairs of level and values [member, longitude, latitude] on the model's grid."""
    if field.name == "air_pressure_at_mean_sea_level":
        yield None, derive.mean_sea_level_pressure(data)
    elif field.name in SURFACE_FIELDS:
        yield None, _array(data, field.name)
    elif field.name == "geopotential_height":
        for level in levels:
            yield level, derive.geopotential_height(_array(data.sel(level=level), "geopotential"))
    else:
        for level in levels:
            yield level, _array(data.sel(level=level), field.name)


def _array(data: xr.Dataset, name: str) -> NDArray[np.float32]:
    if name not in data:
        raise ProductError(f"the product asks for {name}, which the frame lacks; it has {', '.join(map(str, data))}")
    return data[name].transpose("member", "longitude", "latitude").values.astype(np.float32, copy=False)


def _checked(slab: Slab) -> Slab:
    wrong = [m for m, values in zip(slab.members, slab.values, strict=True) if not np.isfinite(values).all()]
    if wrong:
        raise ProductError(f"{describe(slab)} is not finite in members {wrong}; such members must be dropped first")
    return slab


def describe(slab: Slab) -> str:
    """Short text for messages: t at 500 hPa."""
    return slab.field.short_name + (f" at {slab.level} hPa" if slab.level is not None else "")
