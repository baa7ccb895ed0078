"""When cycles are wanted and feeds are asked."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.arrivals import Habit
from ops import timetable

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CYCLE = datetime(2026, 11, 21, 6, tzinfo=UTC)
PUNCTUAL = Habit(3.5 * HOUR, 3.7 * HOUR, 4.0 * HOUR, 20)
HABITS = st.none() | st.lists(st.floats(0, 20), min_size=3, max_size=3).map(
    lambda hours: Habit(*(hour * HOUR for hour in sorted(hours)), 10)
)


def looks(habit: Habit | None, comes: timedelta, often=MINUTE) -> list[timedelta]:
    """The times after the cycle at which a feed is asked until its data is there."""
    window, at, found = timetable.window(CYCLE, habit), None, []
    while not found or found[-1] < comes:
        at = timetable.next_look(window, at, often)
        found.append(at - CYCLE)
    return found


def test_wanted_are_the_configured_cycles_of_the_last_hours_newest_first():
    now = CYCLE + HOUR
    assert timetable.wanted((0, 6, 12, 18), 14 * HOUR, now) == [CYCLE, CYCLE - 6 * HOUR, CYCLE - 12 * HOUR]
    assert timetable.wanted((0, 12), 24 * HOUR, now) == [CYCLE - 6 * HOUR, CYCLE - 18 * HOUR]


def test_a_cycle_is_wanted_from_its_very_moment_on():
    assert timetable.wanted((6,), 24 * HOUR, CYCLE) == [CYCLE]
    assert timetable.wanted((6,), 24 * HOUR, CYCLE - MINUTE) == [CYCLE - 24 * HOUR]


def test_upcoming_cycles_are_the_next_ones():
    assert timetable.upcoming((0, 6, 12, 18), CYCLE, 5) == [CYCLE + 6 * number * HOUR for number in range(1, 6)]
    assert timetable.upcoming((6,), CYCLE - MINUTE, 2) == [CYCLE, CYCLE + 24 * HOUR]


@given(HABITS, st.floats(0, 100))
def test_however_late_data_is_it_is_found_soon_after_it_came(habit, hours):
    comes = hours * HOUR
    found = looks(habit, comes)[-1] - comes
    assert found <= max(timetable.QUIET, timetable.SLOWEST)


@pytest.mark.parametrize("delay", [3.1, 3.5, 3.9, 4.4])
def test_data_that_comes_when_it_usually_does_is_found_within_a_minute(delay):
    assert looks(PUNCTUAL, delay * HOUR)[-1] - delay * HOUR <= MINUTE


def test_a_feed_is_asked_a_few_times_only_before_its_data_can_be_there():
    assert len([look for look in looks(PUNCTUAL, 3.6 * HOUR) if look < 3 * HOUR]) <= 4


def test_a_feed_that_is_out_for_two_days_is_not_asked_every_minute():
    assert len(looks(PUNCTUAL, 48 * HOUR)) < 48 * HOUR / (8 * MINUTE)


def test_data_that_comes_earlier_than_ever_was_missing_at_an_earlier_look_and_so_teaches():
    found = looks(PUNCTUAL, 2 * HOUR)
    assert found[-2] < 2 * HOUR <= found[-1] <= 3 * HOUR


def test_a_worse_start_waits_until_the_data_is_later_than_it_usually_is():
    window = timetable.window(CYCLE, PUNCTUAL)
    assert timetable.degraded_from(window, HOUR) == CYCLE + 5 * HOUR
