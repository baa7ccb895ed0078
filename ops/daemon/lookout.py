"""Looks at the source for cycles that are wanted, when it is their turn, and makes the runs of those that are there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

import db
from db import arrivals, runs
from db.arrivals import Habit
from db.schema import Arrival, Run
from db.states import RunState
from forecast.times import format_cycle
from ingest.errors import Busy, NotYetAvailable, SourceError
from ingest.sources.chain import ChainSource
from ops import alerts, claim, log, sources, timetable
from ops.clock import Clock, Monotonic
from ops.config import Settings
from ops.daemon.plans import Plans

ALARMING = 3
"""So many looks in a row that the source does not answer are told to people."""
HABIT_SECONDS = 1800.0
"""Habits change slowly: so long what was learned is not asked for again."""


@dataclass(frozen=True)
class Sight:
    """What a look at a cycle found: all that is planned, or at least enough for a start that is worse than planned."""

    complete: bool
    enough: bool
    missing: str | None = None


Look = Callable[[datetime], Sight]
"""Looks at a cycle; raises SourceError when the source does not answer."""


@dataclass(frozen=True)
class Watched:
    """A source that cycles come from, by the name under which its habits are kept.

    `remembers` says that a look notes by itself what it found, as a lone feed's does.
    """

    name: str
    look: Look
    remembers: bool = False


def watched(settings: Settings, engine: Engine, clock: Clock) -> Watched | None:
    """The configured source; None for one that no cycles come from by themselves. Raises ConfigurationError."""
    if not sources.is_chain(settings):
        return None
    chain = sources.chain(settings, engine, clock, lambda feed, had, total: None)
    return Watched("+".join(chain.feeds), lambda cycle: sight(chain, cycle), remembers=len(chain.feeds) == 1)


def sight(chain: ChainSource, cycle: datetime) -> Sight:
    """What the feeds of a chain have of a cycle: first as planned, and then as it may be worse."""
    strict = replace(chain, terms=chain.terms.strict())
    try:
        strict.settled(cycle)
        return Sight(complete=True, enough=True)
    except NotYetAvailable as error:
        missing = str(error)
    if chain.terms == strict.terms:
        return Sight(complete=False, enough=False, missing=missing)
    try:
        chain.settled(cycle)
        return Sight(complete=False, enough=True, missing=missing)
    except NotYetAvailable:
        return Sight(complete=False, enough=False, missing=missing)


def _is_to_be_made(alike: list[Run]) -> bool:
    """Whether there is no run, or one that somebody left; where one was cancelled or retracted, people want none."""
    run = runs.foremost(alike)
    return not alike if run is None else run.state == RunState.INTERRUPTED and run.next_try_at is None


class Lookout:
    """The looks at one source."""

    def __init__(self, engine: Engine, plans: Plans, source: Watched, clock: Clock, monotonic: Monotonic) -> None:
        self._engine = engine
        self._plans = plans
        self._source = source
        self._settings = plans.settings.daemon
        self._clock = clock
        self._monotonic = monotonic
        self._not_before: dict[datetime, float] = {}
        self._habits: dict[int, tuple[Habit | None, float]] = {}
        self._silent = 0

    def look(self) -> int:
        """Look at the cycles whose turn it is, the newest first, and make runs; how many cycles were looked at.

        Raises what the database raises when it is away: the next call goes on.
        """
        now = self._clock()
        cycles = timetable.wanted(self._settings.cycles, timedelta(hours=self._settings.catch_up_hours), now)
        with db.reading(self._engine) as session:
            missing = self._without_run(session, cycles)
            seen = arrivals.looks(session, self._source.name, missing) if missing else {}
        return sum(self._attend(cycle, seen.get(cycle)) for cycle in missing)

    def _without_run(self, session: Session, cycles: list[datetime]) -> list[datetime]:
        """The cycles whose run is to be made, or taken up that somebody left."""
        there: dict[datetime, list[Run]] = {cycle: [] for cycle in cycles}
        for run in runs.of_cycles(session, self._plans.model_hash, cycles):
            if run.config_hash == self._plans.of(run.init_time).plan.identity.config_hash:
                there[run.init_time].append(run)
        return [cycle for cycle in cycles if _is_to_be_made(there[cycle])]

    def _habit(self, hour: int) -> Habit | None:
        """What was learned of an hour, asked of the history now and then."""
        learned = self._habits.get(hour)
        if learned is None or self._monotonic() - learned[1] > HABIT_SECONDS:
            with db.reading(self._engine) as session:
                learned = arrivals.habit(session, self._source.name, hour), self._monotonic()
            self._habits[hour] = learned
        return learned[0]

    def _attend(self, cycle: datetime, seen: Arrival | None) -> bool:
        """Make the run of a cycle that is there, looking first if it is time to; whether a look was needed."""
        if seen is not None and seen.complete_at is not None:
            self._open(cycle, "its data is there")
            return False
        expected, now = timetable.window(cycle, self._habit(cycle.hour)), self._clock()
        if not self._is_time(expected, seen, now):
            return False
        found = self._asked(cycle)
        if found is None:
            return True
        if not self._source.remembers:
            with db.writing(self._engine) as session:
                arrivals.saw(session, self._source.name, cycle, found.complete, self._clock(), found.missing)
        patience = timedelta(minutes=self._settings.degraded_after_minutes)
        if found.complete:
            self._open(cycle, "its data is there")
        elif found.enough and now >= timetable.degraded_from(expected, patience):
            self._open(cycle, "its data is late, and a degraded start is allowed")
        return True

    def _is_time(self, expected: timetable.Window, seen: Arrival | None, now: datetime) -> bool:
        """A look in the future was made before the clock was set back, and does not count."""
        looked_at = seen.incomplete_at if seen is not None else None
        if looked_at is not None and looked_at > now:
            looked_at = None
        often = timedelta(seconds=self._settings.poll_seconds)
        allowed = self._not_before.get(expected.cycle, 0.0) <= self._monotonic()
        return allowed and timetable.next_look(expected, looked_at, often) <= now

    def _asked(self, cycle: datetime) -> Sight | None:
        """What the source says; None, and a while of peace, when it does not answer."""
        try:
            found = self._source.look(cycle)
        except SourceError as error:
            pause = error.retry_after if isinstance(error, Busy) and error.retry_after else 0.0
            self._not_before[cycle] = self._monotonic() + max(pause, self._settings.poll_seconds)
            self._note_silence(error)
            return None
        self._not_before.pop(cycle, None)
        if self._silent >= ALARMING:
            alerts.resolve(self._engine, alerts.Kind.FEED, self._source.name, now=self._clock())
        self._silent = 0
        return found

    def _note_silence(self, error: SourceError) -> None:
        self._silent += 1
        log.get().warning("the source does not answer", source=self._source.name, reason=str(error))
        if self._silent == ALARMING:
            message = f"{self._source.name} did not answer {ALARMING} times in a row: {error}"
            alerts.raise_(self._engine, alerts.Kind.FEED, self._source.name, message, now=self._clock())

    def _open(self, cycle: datetime, why: str) -> None:
        wanted = self._plans.of(cycle)
        with db.writing(self._engine) as session:
            run = claim.ensure(session, wanted.plan, wanted.store_url, self._clock)
        if run is not None:
            log.get().info("a cycle is due", cycle=format_cycle(cycle), run=run.id, why=why)
