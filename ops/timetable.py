"""Which cycles are wanted, and when a feed is to be asked for them. Pure functions: all that they know is handed in.

A cycle is due when its data is there, and a feed is asked more often the likelier an answer is: now and then from the
cycle on, at short intervals from a while before the earliest arrival that was seen until the latest, then less and
less often.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.arrivals import Habit

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
QUIET = timedelta(hours=1)
"""Between looks while nobody expects the data yet."""
SLOWEST = timedelta(minutes=15)
"""Between looks at a cycle that is long overdue."""
MARGIN = timedelta(minutes=30)
"""The window opens so long before the earliest arrival that is known, and closes so long after the latest."""
UNLEARNED = 5
"""So much longer are the pauses when nothing is known of a source, since the window is wide then."""
PATIENCE = 10
"""Overdue data is asked for at a tenth of the time that it is overdue."""
UNKNOWN = Habit(early=timedelta(0), median=4 * HOUR, late=7 * HOUR, count=0)
"""What is assumed of a source that nothing is known of: global analyses are complete within seven hours."""


@dataclass(frozen=True)
class Window:
    """When the data of a cycle should come: not before `opens`, about `expected`, hardly after `closes`."""

    cycle: datetime
    opens: datetime
    expected: datetime
    closes: datetime
    learned: bool


def cycles(hours: Sequence[int], since: datetime, until: datetime) -> list[datetime]:
    """The cycles after `since` up to `until`, the newest first."""
    midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
    days = range((until - midnight) // DAY + 1)
    every = [midnight + day * DAY + hour * HOUR for day in days for hour in hours]
    return sorted((cycle for cycle in every if since < cycle <= until), reverse=True)


def wanted(hours: Sequence[int], catch_up: timedelta, now: datetime) -> list[datetime]:
    """The cycles that should be forecast if they are not yet, the newest first; older ones are given up."""
    return cycles(hours, now - catch_up, now)


def upcoming(hours: Sequence[int], now: datetime, count: int) -> list[datetime]:
    """The next cycles, the nearest first."""
    return cycles(hours, now, now + DAY * (count // len(hours) + 1))[::-1][:count]


def window(cycle: datetime, habit: Habit | None) -> Window:
    """When a cycle's data should come, by what was learned of its hour, None for nothing."""
    known = habit or UNKNOWN
    opens = max(cycle, cycle + known.early - MARGIN)
    return Window(cycle, opens, cycle + known.median, cycle + known.late + MARGIN, habit is not None)


def next_look(expected: Window, looked_at: datetime | None, often: timedelta) -> datetime:
    """When to ask for a cycle again that was not complete when it was last asked for, None for never yet."""
    if looked_at is None:
        return expected.cycle
    if looked_at < expected.opens:
        return min(looked_at + QUIET, expected.opens)
    pause = often if expected.learned else often * UNLEARNED
    overdue = max(looked_at - expected.closes, timedelta(0))
    return looked_at + max(pause, min(SLOWEST, overdue / PATIENCE))


def degraded_from(expected: Window, patience: timedelta) -> datetime:
    """From when on a start that is worse than planned is better than more waiting."""
    return expected.closes - MARGIN + patience
