"""Section 4: the product definition, templates 4.1, 4.2, 4.5 and 4.6, and 4.11, 4.12, 4.9 and 4.10 for intervals."""

from dataclasses import dataclass

from publish.events import Event, Window
from publish.product import Item
from publish.quantities import ACCUMULATED, LAYERS, NET_PRECIPITATION, TOTAL_WATER
from publish.statistics import Statistic
from publish.writers.base import CONTROL, FrameHeader
from publish.writers.grib2.octets import MISSING, Row

_MEMBER, _DERIVED, _PROBABILITY, _PERCENTILE = 1, 2, 5, 6
_OVER_INTERVAL = {_MEMBER: 11, _DERIVED: 12, _PROBABILITY: 9, _PERCENTILE: 10}

FORECAST, ENSEMBLE, EVENT_PROBABILITY = 1, 5, 8
"""Type of data (code table 1.4): a forecast, a product of control and perturbed ones, a probability."""

_ENSEMBLE_FORECAST = 4
_UNPERTURBED, _PERTURBED = 1, 3
_DERIVED_FORECASTS = {"mean": 0, "spread": 4, "min": 8, "max": 9}
"""Code table 4.7; 4 is the spread of all members, unlike 2, which is that of a cluster."""
_BELOW_LOWER, _ABOVE_LOWER = 0, 3

_STATISTICAL_PROCESSES = {"mean": 0, "sum": 1, "max": 2, "min": 3}
"""Code table 4.10."""
_SAME_START = 2
_HOUR = 1

_ISOBARIC = 100
SURFACES = {
    "surface_air_pressure": (1, MISSING, "surface"),
    "air_pressure_at_mean_sea_level": (101, MISSING, "meanSea"),
    "atmosphere_mass_content_of_water_vapor": (1, 8, "entireAtmosphere"),
    TOTAL_WATER.name: (1, 8, "entireAtmosphere"),
    NET_PRECIPITATION.name: (1, MISSING, "surface"),
}
"""First and second fixed surface (code table 4.5) of single-level fields, and ecCodes' name for the pair."""


@dataclass(frozen=True)
class Message:
    """What one message holds: an item of a member, or of a statistic of all.

    `increment_hours` is the time between the values that an interval's come from, 0 for a continuous process.
    """

    item: Item
    member: int | None = None
    statistic: Statistic | None = None
    increment_hours: int = 0

    @property
    def data_type(self) -> int:
        """Code table 1.4."""
        if self.statistic is None:
            return FORECAST
        return EVENT_PROBABILITY if self.statistic.event else ENSEMBLE

    @property
    def window(self) -> Window | None:
        """The interval of the item, save that of a field accumulated since the beginning."""
        return self.item.window


def interval_hours(item: Item, header: FrameHeader) -> int | None:
    """Length of the interval that the item is over, None for a momentary one."""
    if item.window is not None:
        return item.window.hours
    return header.lead_hours if item.field.name in ACCUMULATED else None


def product_definition(message: Message, header: FrameHeader, process: int) -> tuple[Row, ...]:
    """Section 4 of a message; `process` is our number of the model."""
    item, length = message.item, interval_hours(message.item, header)
    template, own = template_of(message, header)
    return (
        Row("NV", 2, 0),
        Row("productDefinitionTemplateNumber", 2, template if length is None else _OVER_INTERVAL[template]),
        Row("parameterCategory", 1, item.field.grib.category),
        Row("parameterNumber", 1, item.field.grib.number),
        Row("typeOfGeneratingProcess", 1, _ENSEMBLE_FORECAST),
        Row("backgroundProcess", 1, MISSING),
        Row("generatingProcessIdentifier", 1, process),
        Row("hoursAfterDataCutoff", 2, MISSING),
        Row("minutesAfterDataCutoff", 1, MISSING),
        Row("indicatorOfUnitForForecastTime", 1, _HOUR),
        Row("forecastTime", 4, header.lead_hours - (length or 0)),
        *surfaces(item),
        *own,
        *(() if length is None else _interval(message, header, length)),
    )


def template_of(message: Message, header: FrameHeader) -> tuple[int, tuple[Row, ...]]:
    """Number of the template for a point in time, and the rows that it has and others have not."""
    statistic = message.statistic
    if statistic is None:
        return _MEMBER, (
            Row("typeOfEnsembleForecast", 1, _UNPERTURBED if message.member == CONTROL else _PERTURBED),
            Row("perturbationNumber", 1, message.member),
            Row("numberOfForecastsInEnsemble", 1, header.ensemble_size),
        )
    if statistic.event is not None:
        return _PROBABILITY, _limits(statistic.event)
    if statistic.percentile is not None:
        return _PERCENTILE, (Row("percentileValue", 1, statistic.percentile),)
    return _DERIVED, (
        Row("derivedForecast", 1, _DERIVED_FORECASTS[statistic.name]),
        Row("numberOfForecastsInEnsemble", 1, len(header.members)),
    )


def _limits(event: Event) -> tuple[Row, ...]:
    factor, scaled = event.scaled_threshold
    return (
        Row("forecastProbabilityNumber", 1, 0),
        Row("totalNumberOfForecastProbabilities", 1, 1),
        Row("probabilityType", 1, _BELOW_LOWER if event.operator == "<" else _ABOVE_LOWER),
        Row("scaleFactorOfLowerLimit", 1, factor),
        Row("scaledValueOfLowerLimit", 4, scaled),
        Row("scaleFactorOfUpperLimit", 1, MISSING),
        Row("scaledValueOfUpperLimit", 4, MISSING),
    )


def surfaces(item: Item) -> tuple[Row, ...]:
    """First and second fixed surface: the level, the layer, or what the field is of."""
    if item.level is not None:
        return _surface("First", _ISOBARIC, item.level * 100) + _surface("Second", MISSING, MISSING)
    if item.field.name in LAYERS:
        lower, upper = LAYERS[item.field.name]
        return _surface("First", _ISOBARIC, upper * 100) + _surface("Second", _ISOBARIC, lower * 100)
    first, second, _ = SURFACES[item.field.name]
    return _surface("First", first, MISSING) + _surface("Second", second, MISSING)


def _surface(which: str, kind: int | None, value: int | None) -> tuple[Row, ...]:
    return (
        Row(f"typeOf{which}FixedSurface", 1, kind),
        Row(f"scaleFactorOf{which}FixedSurface", 1, MISSING if value is MISSING else 0),
        Row(f"scaledValueOf{which}FixedSurface", 4, value),
    )


def _interval(message: Message, header: FrameHeader, length: int) -> tuple[Row, ...]:
    end, method = header.valid_time, message.window.method if message.window else "sum"
    return (
        Row("yearOfEndOfOverallTimeInterval", 2, end.year),
        Row("monthOfEndOfOverallTimeInterval", 1, end.month),
        Row("dayOfEndOfOverallTimeInterval", 1, end.day),
        Row("hourOfEndOfOverallTimeInterval", 1, end.hour),
        Row("minuteOfEndOfOverallTimeInterval", 1, end.minute),
        Row("secondOfEndOfOverallTimeInterval", 1, end.second),
        Row("numberOfTimeRanges", 1, 1),
        Row("numberOfMissingInStatisticalProcess", 4, 0),
        Row("typeOfStatisticalProcessing", 1, _STATISTICAL_PROCESSES[method]),
        Row("typeOfTimeIncrement", 1, _SAME_START),
        Row("indicatorOfUnitForTimeRange", 1, _HOUR),
        Row("lengthOfTimeRange", 4, length),
        Row("indicatorOfUnitForTimeIncrement", 1, _HOUR if message.increment_hours else MISSING),
        Row("timeIncrement", 4, message.increment_hours),
    )
