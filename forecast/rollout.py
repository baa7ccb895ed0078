"""The windows of a forecast: which lead times each has, and where to go on from."""

from collections.abc import Iterator
from dataclasses import dataclass

from forecast.spec import ForecastSpec
from forecast.times import lead_hours


@dataclass(frozen=True)
class Window:
    """A stretch of a forecast from `start` to `end` [h], with the output lead times after its start [h].

    The first window also has lead time zero.
    """

    start: int
    end: int
    outputs: tuple[int, ...]


def windows(spec: ForecastSpec, start: int = 0) -> Iterator[Window]:
    """The windows of a forecast from lead time `start` [h], the end of one of them, on."""
    outputs = [lead_hours(lead) for lead in spec.lead_times]
    length = lead_hours(spec.window)
    while start < outputs[-1]:
        end = min(start + length, outputs[-1])
        inside = tuple(hour for hour in outputs if start < hour <= end)
        yield Window(start, end, (0, *inside) if start == 0 else inside)
        start = end
