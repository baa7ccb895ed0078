"""What a quantity will be, from what it was at other sizes: a robust line, and how far values lay from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

ALIKE = 1.01
"""Sizes that differ by less than this factor are one size."""


@dataclass(frozen=True)
class Spread:
    """A quantity: the middle of what is expected, and the bounds between which nine of ten values lay so far."""

    low: float
    middle: float
    high: float

    def __add__(self, other: "Spread") -> "Spread":
        return Spread(self.low + other.low, self.middle + other.middle, self.high + other.high)

    def times(self, factor: float) -> "Spread":
        """The quantity times a factor above zero."""
        return Spread(self.low * factor, self.middle * factor, self.high * factor)


def expected(sizes: Sequence[float], values: Sequence[float], size: float) -> Spread | None:
    """What to expect at a size, all above zero; None without values.

    Values of one size grow in proportion to it. Those of several give a constant part and one that grows, by the
    median of the slopes between pairs (Sen 1968, J. Am. Stat. Assoc. 63, 1379), neither below zero. With fewer than
    twenty values the bounds are the least and the largest.
    """
    if not values:
        return None
    constant, slope = _line(sizes, values)
    ratios = sorted(value / (constant + slope * one) for one, value in zip(sizes, values, strict=True))
    middle = constant + slope * size
    margin = round(0.05 * len(ratios))
    return Spread(middle * min(1.0, ratios[margin]), middle, middle * max(1.0, ratios[-1 - margin]))


def _line(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """The constant part and the slope."""
    pairs = list(combinations(zip(sizes, values, strict=True), 2))
    slopes = [(v2 - v1) / (s2 - s1) for (s1, v1), (s2, v2) in pairs if max(s1, s2) > ALIKE * min(s1, s2)]
    if not slopes:
        return 0.0, median(value / one for one, value in zip(sizes, values, strict=True))
    slope = max(0.0, median(slopes))
    constant = median(value - slope * one for one, value in zip(sizes, values, strict=True))
    if constant < 0.0:
        return 0.0, median(value / one for one, value in zip(sizes, values, strict=True))
    return constant, slope
