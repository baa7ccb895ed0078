"""Names, dimensions and attributes under the CF conventions, for NetCDF and Zarr alike.

Fields over an interval have a time coordinate of that interval, with bounds, beside the time of the lead
time: a file may hold momentary fields and several intervals, and each says in `cell_methods` which it means.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from forecast.grids import LatLonGrid
from publish.events import Event
from publish.product import Item, ProductSettings
from publish.quantities import ACCUMULATED, ON_LEVELS
from publish.statistics import Statistic, variable, wanted

CONVENTIONS = "CF-1.11"

_EARTH_RADIUS = 6371229.0
_CLOCK = {"units": "hours since 1970-01-01 00:00:00", "calendar": "standard", "units_metadata": "leap_seconds: none"}
_METHODS = {"mean": "mean", "spread": "standard_deviation", "min": "minimum", "max": "maximum", "p50": "median"}
"""The CF cell methods of statistics that have one."""
_OVER_TIME = {"mean": "mean", "min": "minimum", "max": "maximum", "sum": "sum"}
"""The CF cell methods of intervals."""
_COUNT = "realization_count"
_KEPT_BITS = 15


@dataclass(frozen=True)
class Interval:
    """The `hours` up to a lead time, None for all since the beginning of the forecast."""

    hours: int | None

    @property
    def coordinate(self) -> str:
        """Name of its time coordinate."""
        return f"time_{self.hours}h" if self.hours else "time_from_start"


@dataclass(frozen=True)
class Variable:
    """One variable of fields.

    `leading` are dimensions before level, latitude and longitude: realization, percentile or none. `statistic` is
    the name of the statistic, empty for members.
    """

    name: str
    leading: tuple[str, ...]
    on_levels: bool
    interval: Interval | None
    attributes: dict[str, str]
    statistic: str = ""


@dataclass(frozen=True)
class Coordinate:
    """One coordinate variable, or the bounds of one."""

    name: str
    dimensions: tuple[str, ...]
    values: np.ndarray
    attributes: dict[str, Any] = field(default_factory=dict)


def member_variables(items: Iterable[Item]) -> list[Variable]:
    """The variables of the forecasts themselves; levels of a momentary field share one."""
    return [_Maker(item).make(name, ("realization",)) for name, item in _by_variable(items).items()]


def statistics_variables(items: Iterable[Item], settings: ProductSettings) -> list[Variable]:
    """The variables of the statistics of the items."""
    found: dict[str, tuple[Item, Statistic]] = {}
    for item in items:
        found |= {variable(item, each): (item, each) for each in wanted(item, settings)}
    return [_statistic(name, item, statistic) for name, (item, statistic) in found.items()]


def percentile_variables(items: Iterable[Item]) -> list[Variable]:
    """For formats that keep the percentiles of a field in one variable."""
    found = _by_variable(items)
    return [
        _Maker(item).make(percentile_name(item), ("percentile",), f"Ensemble percentile of {_in_text(item)}")
        for item in found.values()
    ]


def percentile_name(item: Item) -> str:
    """Name of the variable of all percentiles of a field."""
    return f"{item.variable}_percentile"


def _by_variable(items: Iterable[Item]) -> dict[str, Item]:
    return {item.variable: item for item in items}


def _in_text(item: Item) -> str:
    name = item.field.long_name
    return name[0].lower() + name[1:]


def _statistic(name: str, item: Item, statistic: Statistic) -> Variable:
    if statistic.event is not None:
        return _Maker(item).probability(name, statistic.event)
    method = _METHODS.get(statistic.name)
    long_name = f"Ensemble {(method or statistic.name).replace('_', ' ')} of {_in_text(item)}"
    return _Maker(item).make(name, (), long_name, f"realization: {method}" if method else "", statistic.name)


@dataclass(frozen=True)
class _Maker:
    """Makes the variables of one item."""

    item: Item

    def make(
        self, name: str, leading: tuple[str, ...], long_name: str = "", method: str = "", statistic: str = ""
    ) -> Variable:
        """The members of the item, or a statistic of them."""
        on_levels = self.item.window is None and self.item.field.name in ON_LEVELS
        quantity = self.item.field
        told = {"standard_name": quantity.standard_name or "", "long_name": long_name or quantity.long_name}
        told |= {"units": quantity.units} | self._common(leading, method)
        if quantity.units == "K":
            meaning = "difference" if method.endswith("deviation") else "on_scale"
            told["units_metadata"] = f"temperature: {meaning}"
        return Variable(name, leading, on_levels, self._interval, _without_empty(told), statistic)

    def probability(self, name: str, event: Event) -> Variable:
        """The probability of an event, in parts of one."""
        level = f" at {self.item.level} hPa" if self.item.level else ""
        side = "below" if event.operator == "<" else "above"
        what = f"Probability of {_in_text(self.item)}{level} {side} {event.threshold:.10g} {self.item.field.units}"
        told = {"long_name": what, "units": "1"} | self._common((), "")
        return Variable(name, (), False, self._interval, _without_empty(told), name)

    def _common(self, leading: tuple[str, ...], method: str) -> dict[str, str]:
        interval = self._interval
        auxiliary = ["forecast_reference_time", "forecast_period"]
        auxiliary += [] if "realization" in leading else [_COUNT]
        auxiliary += [interval.coordinate] if interval else []
        over = self.item.window.method if self.item.window else "sum"
        methods = [f"{interval.coordinate}: {_OVER_TIME[over]}"] if interval else []
        methods += [method] if method else []
        return {"grid_mapping": "crs", "coordinates": " ".join(auxiliary), "cell_methods": " ".join(methods)}

    @property
    def _interval(self) -> Interval | None:
        if self.item.window is not None:
            return Interval(self.item.window.hours)
        return Interval(None) if self.item.field.name in ACCUMULATED else None


def _without_empty(attributes: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in attributes.items() if value}


def space(grid: LatLonGrid, levels: Sequence[int]) -> list[Coordinate]:
    """Levels [hPa], latitudes and longitudes [degrees], and the grid mapping."""
    return [
        _coordinate("level", levels, "air_pressure", "hPa", "Pressure level", axis="Z", positive="down"),
        _coordinate("latitude", grid.latitudes, "latitude", "degrees_north", "Latitude", axis="Y"),
        _coordinate("longitude", grid.longitudes, "longitude", "degrees_east", "Longitude", axis="X"),
        Coordinate(
            "crs",
            (),
            np.asarray(0, np.int32),
            {"grid_mapping_name": "latitude_longitude", "earth_radius": _EARTH_RADIUS},
        ),
    ]


def realization(members: Sequence[int]) -> Coordinate:
    """The numbers of the members."""
    return _coordinate("realization", members, "realization", "1", "Ensemble member; 0 is the control")


def percentile(ranks: Sequence[int]) -> Coordinate:
    """The percentiles; 0 and 100 are the least and the greatest of the members."""
    told = {"long_name": "Percentile of the members; 0 is the minimum, 100 the maximum", "units": "%"}
    return Coordinate("percentile", ("percentile",), np.asarray(ranks, np.int32), told)


def realization_count(counts: np.ndarray | np.integer, dimensions: tuple[str, ...]) -> Coordinate:
    """How many members the statistics are over."""
    return Coordinate(_COUNT, dimensions, np.asarray(counts), {"long_name": "Members in the statistics", "units": "1"})


def times(init_time: datetime, lead_hours: Sequence[int], dimension: str) -> list[Coordinate]:
    """Time, forecast reference time and forecast period, along the dimension `time` or `lead_time`."""
    since = _hours(init_time)
    valid = np.asarray([since + hours for hours in lead_hours], np.int32)
    axis = {"axis": "T"} if dimension == "time" else {}
    reference = {"standard_name": "forecast_reference_time", "long_name": "Time of the analysis", **_CLOCK}
    period = {"standard_name": "forecast_period", "long_name": "Lead time", "units": "hours"}
    name = "forecast_period" if dimension == "time" else dimension
    return [
        Coordinate("time", (dimension,), valid, _time("Time the forecast is for") | axis),
        Coordinate("forecast_reference_time", (), np.asarray(since, np.int32), reference),
        Coordinate(name, (dimension,), np.asarray(lead_hours, np.int32), period),
    ]


def intervals(
    variables: Iterable[Variable], init_time: datetime, lead_hours: Sequence[int], dimension: str
) -> list[Coordinate]:
    """Time coordinates and their bounds for the intervals of the variables, along `time` or `lead_time`."""
    found = []
    since = _hours(init_time)
    ends = np.asarray([since + hours for hours in lead_hours], np.int32)
    for each in dict.fromkeys(one.interval for one in variables if one.interval is not None):
        begins = np.full_like(ends, since) if each.hours is None else ends - np.int32(each.hours)
        words = f"End of the {each.hours} hours" if each.hours else "End of the time since the beginning"
        attributes = _time(words) | {"bounds": f"{each.coordinate}_bounds"}
        found.append(Coordinate(each.coordinate, (dimension,), ends, attributes))
        bounds = np.stack([begins, ends], axis=-1)
        found.append(Coordinate(f"{each.coordinate}_bounds", (dimension, "bounds"), bounds))
    return found


def rounded(values: np.ndarray) -> np.ndarray:
    """float32 values with 15 bits of the mantissa kept, rounded half to even: off by 2^-16 of the value at most.

    The precision of 16-bit GRIB; it saves a third of the size (Klöwer et al. 2021, Nat. Comput. Sci. 1, 713-724).
    """
    dropped = 23 - _KEPT_BITS
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    half = np.uint32((1 << (dropped - 1)) - 1) + ((bits >> np.uint32(dropped)) & np.uint32(1))
    return ((bits + half) & np.uint32(~((1 << dropped) - 1) & 0xFFFFFFFF)).view(np.float32)


def _time(long_name: str) -> dict[str, str]:
    return {"standard_name": "time", "long_name": long_name, **_CLOCK}


def _coordinate(
    name: str, values: ArrayLike, standard_name: str, units: str, long_name: str, **more: str
) -> Coordinate:
    array = np.asarray(values)
    array = array.astype(np.int32 if array.dtype.kind == "i" else np.float64)
    told = {"standard_name": standard_name, "long_name": long_name, "units": units, **more}
    return Coordinate(name, (name,), array, told)


def _hours(moment: datetime) -> int:
    return round(moment.timestamp() / 3600)
