"""Whether what a service needs is there: daemons, database, store, disk, feeds. Looks, and changes nothing."""

import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Slow
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from db import arrivals, daemons, migrate, overview
from db.schema import Arrival, Daemon
from ops import timetable
from ops.clock import Clock
from ops.commands.output import size
from ops.config import Settings
from ops.failures import explained
from ops.web.pages.words import coarse, cycle, moment, plural
from publish.layout import LATEST
from publish.stores import Store

ALIVE = timedelta(minutes=2)
"""A daemon that was not seen for longer is told as silent."""
AGAIN = timedelta(seconds=30)
"""The store is not asked more often than this."""
PATIENCE_SECONDS = 2.0
"""A page waits so long for the store."""
LOW = 1.5
"""The disk is told to be nearly full below so many times the free space at which an alert is raised."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is (ok, attention, bad or unknown), and what was found."""

    subject: str
    state: str
    found: str


class StoreProbe:
    """Asks the store now and then, in a thread, so that a store that does not answer holds up no page."""

    def __init__(self, opened: Callable[[], Store], clock: Clock) -> None:
        self._opened = opened
        self._clock = clock
        self._threads = ThreadPoolExecutor(1, "store-probe")
        self._asked_at: datetime | None = None
        self._answer: Future[Finding] | None = None

    def finding(self, patience: float = PATIENCE_SECONDS) -> Finding:
        """The last answer, or a new one when that is old; waits so long for it [s]."""
        now = self._clock()
        stale = self._asked_at is None or now - self._asked_at >= AGAIN
        if self._answer is None or (self._answer.done() and stale):
            self._asked_at, self._answer = now, self._threads.submit(self._ask)
        try:
            return self._answer.result(patience)
        except Slow:
            return Finding("Store", "bad", f"does not answer; asked {moment(self._asked_at or now)}")

    def _ask(self) -> Finding:
        begun = time.monotonic()
        try:
            store = self._opened()
            pointed = store.head(LATEST) is not None
        except Exception as error:
            known = explained(error)
            return Finding("Store", "bad", str(known) if known else f"unexpected {type(error).__name__}")
        what = "" if pointed else ", no complete run yet"
        return Finding("Store", "ok", f"{store.url}, answered in {1000 * (time.monotonic() - begun):.0f} ms{what}")


def findings(session: Session, settings: Settings, probe: StoreProbe, now: datetime) -> list[Finding]:
    """Everything, in the order in which one would look."""
    return [
        _daemons(daemons.search(session), now),
        _database(session),
        probe.finding(),
        *_disks(settings),
        *(_feed(session, row, settings, now) for row in overview.newest_arrivals(session)),
    ]


def _daemons(known: Sequence[Daemon], now: datetime) -> Finding:
    rows = [one for one in known if one.stopped_at is None]
    alive = [one for one in rows if now - one.seen_at <= ALIVE]
    if alive:
        hosts = ", ".join(sorted({one.host for one in alive}))
        return Finding("Daemon", "ok", f"{plural(len(alive), 'daemon')} alive, on {hosts}")
    if rows:
        last = rows[0]
        return Finding("Daemon", "bad", f"silent: {last.host} was last seen {coarse(now - last.seen_at)} ago")
    return Finding("Daemon", "unknown", "no daemon is running; cycles are forecast only when somebody asks for them")


def _database(session: Session) -> Finding:
    begun = time.monotonic()
    session.execute(text("SELECT 1"))
    took = 1000 * (time.monotonic() - begun)
    engine = session.get_bind()
    name = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}[engine.dialect.name]
    return Finding("Database", "ok", f"{name}, revision {migrate.head()}, answered in {took:.0f} ms")


def _disks(settings: Settings) -> list[Finding]:
    places = {"Work disk": settings.paths.work}
    if "://" not in settings.store.url:
        places["Store disk"] = Path(settings.store.url)
    return [_disk(name, path, settings.alerts.disk_free_gib * 2**30) for name, path in places.items()]


def _disk(name: str, path: Path, least: float) -> Finding:
    there = next((each for each in (path.absolute(), *path.absolute().parents) if each.exists()), Path("/"))
    usage = shutil.disk_usage(there)
    state = "bad" if usage.free < least else "attention" if usage.free < LOW * least else "ok"
    return Finding(name, state, f"{size(usage.free)} free of {size(usage.total)}")


def _feed(session: Session, row: Arrival, settings: Settings, now: datetime) -> Finding:
    name = f"Feed {row.source}"
    if row.complete_at is not None:
        return Finding(
            name, "ok", f"{cycle(row.init_time)} complete, {coarse(row.complete_at - row.init_time)} after it"
        )
    window = timetable.window(row.init_time, arrivals.habit(session, row.source, row.init_time.hour))
    late = window.learned and now > window.closes + timedelta(hours=settings.alerts.feed_margin_hours)
    lacks = f" lacks {row.missing}" if row.missing else " is not complete"
    return Finding(name, "attention" if late else "ok", f"{cycle(row.init_time)}{lacks}")
