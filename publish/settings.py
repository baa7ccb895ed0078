"""The settings of a product, checked: nothing that cannot be made can be built."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import xarray as xr

from forecast.grids import LatLonGrid
from publish.events import Event, ProductError, Windowed
from publish.places import DEFAULT_PLACES, Place, require_distinct
from publish.quantities import ON_LEVELS, PUBLISHABLE

STANDARD_LEVELS = (1000, 925, 850, 700, 600, 500, 400, 300, 250, 200, 150, 100, 50)
"""The 13 levels [hPa] common to ECMWF's open data and to forecast benchmarks (WeatherBench 2)."""

STANDARD_FIELDS = (
    "geopotential_height",
    "air_temperature",
    "eastward_wind",
    "northward_wind",
    "specific_humidity",
    "wind_speed",
    "air_pressure_at_mean_sea_level",
    "surface_air_pressure",
    "atmosphere_mass_content_of_water_vapor",
    "thickness_1000_500",
    "precipitation_minus_evaporation",
)

STATISTICS = ("mean", "spread", "min", "max", "p10", "p25", "p50", "p75", "p90")
"""Ensemble statistics by name: mean, standard deviation, extremes, and percentiles."""

STANDARD_STATISTICS = ("mean", "spread", "p10", "p50", "p90")

STANDARD_WINDOWS = ("precipitation_minus_evaporation/24h sum",)

STANDARD_EVENTS = (
    "air_temperature@850<273.15",
    "wind_speed@850>15",
    "wind_speed@850>25",
    "atmosphere_mass_content_of_water_vapor>40",
)

FORMATS = ("grib2", "netcdf", "zarr")

_SPACINGS = (5.0, 2.5, 1.5, 1.0, 0.5, 0.25)
_Parsed = TypeVar("_Parsed", Event, Windowed)


@dataclass(frozen=True)
class ProductSettings:
    """What to publish of every lead time.

    `product` names the product line in object keys. `grid_spacing` [degrees] of the published grid;
    None takes the widest usual spacing that is no coarser than the model's grid. `native_grid` adds the
    members on the model's Gaussian grid, as GRIB2. `levels` [hPa]. `lead_hours` are the lead times that
    are published, None for all. `publish_members` says whether the forecasts themselves are published
    beside their statistics. `statistics` are names out of STATISTICS; `windows` and `probabilities` are
    texts as `Windowed` and `Event` read them; None takes the usual ones of what is published. `centre`,
    `subcentre`, `production_status` and `generating_process` are the GRIB2 identity of the issuer: centre
    255 claims none (WMO common code table C-11), status 0 is operational, 1 test, 2 research.
    `chart_lead_hours` are the panels of maps, `places` those with values and plumes of their own, and no chart
    is begun later than `chart_seconds` after the first. Raises ProductError when invalid.
    """

    product: str = "sigmacast"
    grid_spacing: float | None = None
    native_grid: bool = False
    levels: tuple[int, ...] = STANDARD_LEVELS
    fields: tuple[str, ...] = STANDARD_FIELDS
    lead_hours: tuple[int, ...] | None = None
    publish_members: bool = True
    statistics: tuple[str, ...] = STANDARD_STATISTICS
    windows: tuple[str, ...] | None = None
    probabilities: tuple[str, ...] | None = None
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
        _require_known("statistics", self.statistics, STATISTICS)
        if not self.fields or not self.formats:
            raise ProductError("a product needs at least one field and one format, got none")
        if not (self.publish_members or self.statistics or self.events):
            raise ProductError("a product needs members, statistics or probabilities, got none of them")
        if not self.product.replace("-", "").isalnum() or not self.product.isascii():
            raise ProductError(f"a product name has letters, digits and hyphens only, got {self.product!r}")
        if not 8 <= self.bits_per_value <= 24:
            raise ProductError(f"expected 8 to 24 bits per value, got {self.bits_per_value}")
        try:
            require_distinct(self.places)
        except ValueError as error:
            raise ProductError(str(error)) from None
        if len(set(self.levels)) != len(self.levels) or not all(0 < level < 2000 for level in self.levels):
            raise ProductError(f"expected levels in hPa, each once, got {list(self.levels)}")
        if not self.levels and (on_levels := [name for name in self.fields if name in ON_LEVELS]):
            raise ProductError(f"expected levels for {', '.join(on_levels)}, got none")
        _require_spacing(self.grid_spacing)
        _require_leads(self.lead_hours)
        _require_one_set_of_levels(self.windowed)
        for event in self.events:
            self._require_published(event)

    @cached_property
    def windowed(self) -> tuple[Windowed, ...]:
        """The fields over intervals."""
        if self.windows is not None:
            return _parsed("windows", self.windows, Windowed.parse)
        return tuple(each for each in map(Windowed.parse, STANDARD_WINDOWS) if each.field in self.fields)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The events whose probabilities are published."""
        if self.probabilities is not None:
            return _parsed("probabilities", self.probabilities, Event.parse)
        return tuple(event for event in map(Event.parse, STANDARD_EVENTS) if self._publishes(event))

    def grid(self, data: xr.Dataset) -> LatLonGrid:
        """The grid to publish the frame data on."""
        return LatLonGrid(self.grid_spacing or default_spacing(data.sizes["longitude"]))

    def _publishes(self, event: Event) -> bool:
        if event.window is not None:
            return Windowed(event.field, event.level, event.window) in self.windowed
        return event.field in self.fields and (event.level is None or event.level in self.levels)

    def _require_published(self, event: Event) -> None:
        if not self._publishes(event):
            level = f" at {event.level} hPa" if event.level is not None else ""
            over = f" over an interval ({event.window.name})" if event.window else ""
            raise ProductError(
                f"a probability of {event.field}{level}{over} is asked for, which is not published; "
                f"add it to the {'windows' if event.window else 'fields and levels'}"
            )


def default_spacing(longitude_count: int) -> float:
    """The widest usual spacing [degrees] no coarser than a model grid of so many longitudes."""
    model_spacing = 360.0 / longitude_count
    return next((spacing for spacing in _SPACINGS if spacing <= model_spacing), _SPACINGS[-1])


def _require_known(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) != len(names):
        raise ProductError(f"expected {what} out of {', '.join(known)}, each once, got {', '.join(names)}")


def _require_spacing(spacing: float | None) -> None:
    if spacing is None:
        return
    steps = 180.0 / spacing if spacing > 0 else 0.0
    if not 0.25 <= spacing <= 5.0 or abs(steps - round(steps)) > 1e-6:
        raise ProductError(f"expected a grid spacing from 0.25 to 5 that divides 180 degrees, got {spacing}")


def _require_leads(hours: tuple[int, ...] | None) -> None:
    if hours is not None and (not hours or min(hours) < 0 or list(hours) != sorted(set(hours))):
        raise ProductError(f"expected lead times in hours, increasing from 0 or later, got {list(hours)}")


def _require_one_set_of_levels(windowed: tuple[Windowed, ...]) -> None:
    """Fields over the same interval share a file, which readers make one cube of: they share their levels too."""
    for window in {each.window for each in windowed}:
        levels: dict[str, set[int]] = {}
        for each in windowed:
            if each.window == window and each.field in ON_LEVELS and each.level is not None:
                levels.setdefault(each.field, set()).add(each.level)
        if len({frozenset(each) for each in levels.values()}) > 1:
            told = "; ".join(f"{name} on {sorted(each)}" for name, each in levels.items())
            raise ProductError(f"expected the same levels for all fields over {window.name}, got {told}")


def _parsed(what: str, texts: tuple[str, ...], parse: Callable[[str], _Parsed]) -> tuple[_Parsed, ...]:
    found = tuple(map(parse, texts))
    if len(set(found)) != len(found):
        raise ProductError(f"expected {what} that are all different, got {', '.join(texts)}")
    return found
