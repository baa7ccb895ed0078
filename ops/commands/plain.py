"""Quantities with their spread, in words: "12 min (10 min to 15 min)"."""

from collections.abc import Callable

from ops.commands.output import size
from ops.expectation import Spread


def seconds_in(spread: Spread) -> str:
    """A time [s] and between what it lies."""
    return _in(spread, _time)


def bytes_in(spread: Spread) -> str:
    """A size [bytes] and between what it lies."""
    return _in(spread, lambda one: size(round(one)))


def amount_in(spread: Spread) -> str:
    """An amount of money and between what it lies."""
    return _in(spread, lambda one: f"{one:.2f}")


def _in(spread: Spread, told: Callable[[float], str]) -> str:
    """The bounds are left out where they read as the middle does."""
    middle, low, high = told(spread.middle), told(spread.low), told(spread.high)
    return middle if low == high == middle else f"{middle} ({low} to {high})"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
