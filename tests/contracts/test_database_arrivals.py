"""What is learned of sources' arrivals; SQLite and PostgreSQL pass the same suite."""

from datetime import timedelta

import pytest

import db
from db import arrivals, migrate
from db.schema import Arrival
from tests.contracts.histories import CYCLE

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def came(history, delay: timedelta, cycle=CYCLE, source="gfs", watched=True):
    with db.writing(history) as session:
        if watched:
            arrivals.saw(session, source, cycle, False, cycle + delay - timedelta(minutes=5))
        arrivals.saw(session, source, cycle, True, cycle + delay)


def habit(history, hour=CYCLE.hour, source="gfs"):
    with db.reading(history) as session:
        return arrivals.habit(session, source, hour)


def test_the_median_and_the_late_arrivals_of_an_hour_are_learned(history):
    for day in range(11):
        came(history, (3 + 0.1 * day) * HOUR, CYCLE - day * DAY)
    learned = habit(history)
    assert learned.median == pytest.approx(3.5 * HOUR, abs=timedelta(seconds=1))
    assert learned.late == pytest.approx(3.9 * HOUR, abs=timedelta(seconds=1))
    assert learned.count == 11


def test_only_the_last_thirty_count(history):
    for day in range(40):
        came(history, (4 if day < 30 else 9) * HOUR, CYCLE - day * DAY)
    assert habit(history).late == 4 * HOUR


def test_another_hour_and_another_source_teach_nothing(history):
    for day in range(10):
        came(history, 4 * HOUR, CYCLE - day * DAY)
    assert habit(history, (CYCLE.hour + 6) % 24) is None
    assert habit(history, source="ecmwf") is None


def test_a_cycle_that_was_complete_when_first_looked_at_teaches_nothing(history):
    for day in range(10):
        came(history, 40 * HOUR, CYCLE - day * DAY, watched=False)
    assert habit(history) is None


def test_the_first_time_that_it_was_complete_stays(history):
    came(history, 4 * HOUR)
    came(history, 5 * HOUR)
    with db.reading(history) as session:
        (row,) = arrivals.arrivals(session, "gfs", CYCLE.hour)
    assert row.complete_at == CYCLE + 4 * HOUR
    assert row.incomplete_at == CYCLE + 4 * HOUR - timedelta(minutes=5)


def test_a_history_of_the_first_revision_is_brought_up(empty):
    migrate.upgrade_engine(empty, "0001")
    assert migrate.upgrade_engine(empty) == migrate.head()
    came(empty, 4 * HOUR)


def test_what_was_missing_is_told_until_the_cycle_is_complete(history):
    def row():
        with db.reading(history) as session:
            return session.get(Arrival, ("gfs", CYCLE))

    with db.writing(history) as session:
        arrivals.saw(session, "gfs", CYCLE, False, CYCLE + 3 * HOUR, "12 of 84 fields")
    assert row().missing == "12 of 84 fields"
    with db.writing(history) as session:
        arrivals.saw(session, "gfs", CYCLE, True, CYCLE + 4 * HOUR)
    assert row().missing is None
