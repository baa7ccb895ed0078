"""The time, as something that is handed in."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present moment, aware and in UTC."""


def utc_now() -> datetime:
    """The system's time."""
    return datetime.now(UTC)


Monotonic = Callable[[], float]
"""Gives seconds [s] that only ever go forward, however the clock is set; its zero means nothing."""
