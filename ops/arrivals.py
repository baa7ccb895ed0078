"""Remembers when sources' cycles were seen to come, and expects the next by that."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Engine

import db
from db import arrivals
from db.arrivals import Habit
from ingest.feed import Availability
from ingest.settle import missing_fields
from ops.clock import Clock


class Arrivals:
    """A watch over feeds, see `ingest.settle.Watch`."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def __call__(self, feed: str, answer: Availability) -> Availability:
        """Note the answer; when fields are missing, expect them by what was learned, if anything was."""
        with db.writing(self._engine) as session:
            missing = None if answer.complete else missing_fields(answer)
            arrivals.saw(session, feed, answer.cycle, answer.complete, self._clock(), missing)
            learned = None if answer.complete else arrivals.habit(session, feed, answer.cycle.hour)
        if learned is None:
            return answer
        return replace(answer, expected_at=expected(answer.cycle, learned, self._clock()))


def expected(cycle: datetime, learned: Habit, now: datetime) -> datetime | None:
    """When a cycle comes as a rule; once that has passed, when it comes at the latest but for one in ten; then None."""
    return next((moment for moment in (cycle + learned.median, cycle + learned.late) if moment > now), None)
