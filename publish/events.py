"""Intervals of lead time, and events whose probability is published; both are read from short texts."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from publish.quantities import ACCUMULATED, ON_LEVELS, PUBLISHABLE

Method = Literal["mean", "min", "max", "sum"]
METHODS: dict[str, Method] = {name: name for name in get_args(Method)}
"""By name."""

_MOST = 2**31 - 1
_MOST_DECIMALS = 127
"""What a scaled value and a scale factor of GRIB2 can hold."""

_QUANTITY = r"(?P<field>[a-z0-9_]+)(?:@(?P<level>\d+))?"
_WINDOW = r"/\s*(?P<hours>\d+)h\s+(?P<method>[a-z]+)"
_WINDOWED = re.compile(rf"{_QUANTITY}\s*{_WINDOW}")
_EVENT = re.compile(rf"{_QUANTITY}\s*(?P<operator>[<>])\s*(?P<threshold>[-+0-9.eE]+)\s*(?:{_WINDOW})?")


class ProductError(ValueError):
    """This product cannot be made from this model's output; change the product settings."""


@dataclass(frozen=True)
class Window:
    """The `hours` up to a lead time, and what is taken over them.

    Mean, min and max are over the lead times of the model inside the interval, its end included and its
    beginning not. A sum is what an accumulated field gained in the interval.
    """

    hours: int
    method: Method

    @property
    def name(self) -> str:
        """Short name, such as 24h_max."""
        return f"{self.hours}h_{self.method}"


@dataclass(frozen=True)
class Windowed:
    """A field, on a level [hPa] if it has levels, over an interval."""

    field: str
    level: int | None
    window: Window

    @classmethod
    def parse(cls, text: str) -> "Windowed":
        """From text such as `wind_speed@850/24h max`. Raises ProductError."""
        found = _WINDOWED.fullmatch(text.strip())
        if found is None:
            raise ProductError(f"expected a field over an interval, such as 'wind_speed@850/24h max', got {text!r}")
        field, level = _quantity(found, text)
        return cls(field, level, _window(found, field, text))


@dataclass(frozen=True)
class Event:
    """A field, on a level [hPa] if it has levels, below or above a threshold in the field's units."""

    field: str
    level: int | None
    operator: Literal["<", ">"]
    threshold: float
    window: Window | None = None

    def __post_init__(self) -> None:
        if abs(self.scaled_threshold[1]) >= _MOST:
            raise ProductError(f"expected a threshold of nine digits at most, got {self.threshold} for {self.field}")

    @property
    def scaled_threshold(self) -> tuple[int, int]:
        """The threshold as F and V, where it is V times ten to the power of -F, exactly."""
        exact = Decimal(repr(self.threshold)).normalize()
        exponent = exact.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -_MOST_DECIMALS:
            return _MOST_DECIMALS, _MOST
        factor = max(-exponent, 0)
        return factor, int(exact.scaleb(factor))

    @classmethod
    def parse(cls, text: str) -> "Event":
        """From text such as `air_temperature@850<273.15` or `wind_speed@850>15/24h max`. Raises ProductError."""
        found = _EVENT.fullmatch(text.strip())
        if found is None:
            raise ProductError(f"expected an event such as 'air_temperature@850<273.15', got {text!r}")
        field, level = _quantity(found, text)
        window = _window(found, field, text) if found["hours"] else None
        try:
            threshold = float(found["threshold"])
        except ValueError:
            raise ProductError(f"expected a number as the threshold of {text!r}, got {found['threshold']!r}") from None
        return cls(field, level, "<" if found["operator"] == "<" else ">", threshold, window)

    @property
    def name(self) -> str:
        """Short name without the field, such as below_273p15; letters, digits and underscores only."""
        threshold = f"{self.threshold:.10g}".replace(".", "p").replace("-", "minus").replace("+", "")
        return f"{'below' if self.operator == '<' else 'above'}_{threshold}"


def _quantity(found: re.Match[str], text: str) -> tuple[str, int | None]:
    field, level = found["field"], int(found["level"]) if found["level"] else None
    if field not in PUBLISHABLE:
        raise ProductError(f"expected one of the fields {', '.join(PUBLISHABLE)} in {text!r}, got {field!r}")
    if (level is not None) != (field in ON_LEVELS):
        wanted = f"a level, as in {field}@850," if field in ON_LEVELS else f"no level, {field} has none,"
        raise ProductError(f"expected {wanted} in {text!r}")
    return field, level


def _window(found: re.Match[str], field: str, text: str) -> Window:
    hours = int(found["hours"])
    method = METHODS.get(found["method"])
    if method is None or hours < 1:
        raise ProductError(f"expected an interval such as '24h max' with one of {', '.join(METHODS)}, got {text!r}")
    if (method == "sum") != (field in ACCUMULATED):
        wanted = "sum" if field in ACCUMULATED else "mean, min or max"
        raise ProductError(f"expected {wanted} over an interval of {field}, got {text!r}")
    return Window(hours, method)
