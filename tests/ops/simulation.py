"""A world of simulated time: feeds that bring cycles, hosts with daemons, workers that take hours, and what goes wrong.

The run history and its leases are real, and so is everything of the daemon but for the processes and the clock. A
worker does with the history what a real one does: it takes the lease, keeps it, publishes under it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

import db
from db import daemons, leases, migrate, runs
from db.leases import Owner
from db.schema import Run
from db.states import RunState
from ingest.errors import Busy
from ops.config import load
from ops.daemon.lookout import Lookout, Sight, Watched
from ops.daemon.plans import Plans
from ops.executors.base import Exit, Job, Kind
from ops.scheduler import Scheduler
from tests.ops.fakes import choices, save_model

START = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class World:
    """Everything there is, and what time it is there."""

    def __init__(self, directory: Path, engine: Engine, start: datetime = START, **options: Any) -> None:
        short = {"lease__seconds": 1800, "daemon__poll_seconds": 300, "worker__run_pause_seconds": 600}
        self.choices = choices(directory, source__name="gfs", **(short | options))
        self.settings = load(options=self.choices)
        save_model(self.settings.paths.models)
        self.engine = engine
        migrate.upgrade_engine(engine)
        event.listen(engine, "begin", self._refuse_when_away)
        self.now, self.seconds = start, 0.0
        self.feed = Feed(self)
        self.step = 10 * MINUTE
        self.hosts: list[Host] = []
        self.database_is_away = False
        self.published: Counter[datetime] = Counter()
        self.started: list[tuple[datetime, datetime]] = []
        self.plan: Callable[[Job], Fate] = lambda job: Fate()

    def _refuse_when_away(self, _connection: Any) -> None:
        if self.database_is_away:
            raise OperationalError("BEGIN", {}, ConnectionError("the database is away"))

    def host(self, name: str, **faults: Any) -> "Host":
        made = Host(self, name, **faults)
        self.hosts.append(made)
        return made

    def pass_time(self, length: timedelta) -> None:
        """Time goes on; workers do what they do meanwhile, then daemons look and tick."""
        self.now += length
        self.seconds += length.total_seconds()
        for host in self.hosts:
            for worker in host.workers:
                worker.work()
        for host in self.hosts:
            host.act()

    def run_until(self, moment: datetime) -> None:
        """Pass time in steps: short ones while anybody works, longer ones while nothing happens."""
        while self.now < moment:
            busy = any(worker.is_alive for host in self.hosts for worker in host.workers)
            longest = self.step if busy else 3 * self.step
            self.pass_time(min(longest, moment - self.now, self.feed.next_arrival() - self.now))

    def is_dead(self, owner: Owner) -> bool:
        """What is known on the owner's own host."""
        return any(worker.owner == owner and not worker.is_alive for host in self.hosts for worker in host.workers)

    def rows(self) -> list[Run]:
        with db.reading(self.engine) as session:
            return list(runs.search(session, limit=10_000))

    def states(self) -> dict[datetime, list[str]]:
        """The states of each cycle's runs."""
        found: dict[datetime, list[str]] = {}
        for row in self.rows():
            found.setdefault(row.init_time, []).append(row.state)
        return found


@dataclass
class Feed:
    """Brings each cycle so long after it, unless told otherwise; does not answer at all while it is out."""

    world: World
    usual: timedelta = 3.5 * HOUR
    late: dict[datetime, timedelta] = field(default_factory=dict)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    looks: Counter[datetime] = field(default_factory=Counter)

    def arrival(self, cycle: datetime) -> datetime:
        """When a cycle is complete: a few minutes earlier or later from day to day."""
        jitter = MINUTE * ((cycle.day * 7 + cycle.hour) % 20)
        return cycle + self.late.get(cycle, self.usual + jitter)

    def next_arrival(self) -> datetime:
        """The next moment at which a cycle comes."""
        midnight = self.world.now.replace(hour=0, minute=0, second=0, microsecond=0)
        near = [midnight + 6 * number * HOUR for number in range(-12, 8)]
        return min(moment for moment in map(self.arrival, near) if moment > self.world.now)

    def look(self, cycle: datetime) -> Sight:
        self.looks[cycle] += 1
        if any(since <= self.world.now < until for since, until in self.outages):
            raise Busy("503 Slow Down")
        complete = self.arrival(cycle) <= self.world.now
        return Sight(complete, complete, None if complete else "all 84 fields")


@dataclass(frozen=True)
class Fate:
    """What becomes of a worker: it ends well after `lasts`, or so much later it fails, dies or stops answering.

    `seals` has it die with everything published but the manifest.
    """

    lasts: timedelta = 90 * MINUTE
    fails_after: timedelta | None = None
    dies_after: timedelta | None = None
    hangs_after: timedelta | None = None
    seals: bool = False


class Host:
    """A machine with a daemon, or without while that is down; `skew` is how wrong its clock is."""

    def __init__(self, world: World, name: str, skew: timedelta = timedelta(0)) -> None:
        self.world, self.name, self.skew = world, name, skew
        self.workers: list[Worker] = []
        self.scheduler: Scheduler | None = None
        self.lookout: Lookout | None = None
        self.trouble = 0
        self.pids = 1000
        self.boot()

    def clock(self) -> datetime:
        return self.world.now + self.skew

    def boot(self) -> None:
        """Start a daemon."""
        world = self.world
        plans = Plans(world.settings, options=world.choices)
        self.pids += 1
        who = daemons.Identity(f"{self.name}-{self.pids}", self.name, self.pids, "0.1.0")
        monotonic = lambda: world.seconds  # noqa: E731
        self.scheduler = Scheduler(world.engine, plans, self, who, self.clock, monotonic, self._is_dead)
        watched = Watched("gfs", world.feed.look)
        self.lookout = Lookout(world.engine, plans, watched, self.clock, monotonic)

    def _is_dead(self, owner: Owner) -> bool:
        return owner.host == self.name and self.world.is_dead(owner)

    def act(self) -> None:
        """A look and a tick; a database that is away is borne."""
        if self.scheduler is None or self.lookout is None:
            return
        for call in (self.lookout.look, self.scheduler.tick):
            try:
                call()
            except OperationalError:
                self.trouble += 1

    def start(self, job: Job) -> "Worker":
        """The launcher's side."""
        self.pids += 1
        worker = Worker(self, job, self.world.plan(job), self.pids)
        self.workers.append(worker)
        self.world.started.append((job.cycle, self.world.now))
        return worker

    def crash(self) -> None:
        """The power fails: daemon and workers are gone, and nobody has noted anything."""
        self.scheduler = self.lookout = None
        for worker in self.workers:
            worker.kill()

    def drain(self) -> None:
        """SIGTERM to the daemon."""
        assert self.scheduler is not None
        self.scheduler.drain()
        for worker in self.workers:
            worker.work()
            worker.end(143, Kind.INTERRUPTED, "killed: it did not end in time after SIGTERM")
        self.scheduler.drain()
        assert self.scheduler.is_settled
        self.scheduler.leave()
        self.scheduler = self.lookout = None


class Worker:
    """A worker process as the history sees it, and its handle."""

    def __init__(self, host: Host, job: Job, fate: Fate, pid: int) -> None:
        self.host, self.job, self.fate, self.pid = host, job, fate, pid
        self.run_id = job.run_id
        self.owner = Owner(host.name, pid, f"boot/{pid}")
        self.done = timedelta(0)
        self.since = host.world.now
        self.lease: leases.Lease | None = None
        self.exit: Exit | None = None
        self.asked = False

    @property
    def is_alive(self) -> bool:
        return self.exit is None

    def poll(self) -> Exit | None:
        return self.exit

    def terminate(self) -> None:
        self.asked = True

    def kill(self) -> None:
        self.end(-9, Kind.INTERRUPTED, "killed by its launcher")

    def work(self) -> None:
        """Do what was to be done since the last step."""
        if self.exit is not None:
            return
        try:
            with db.writing(self.host.world.engine) as session:
                self._live(session)
        except OperationalError:
            return
        except (db.LeaseHeld, db.LeaseLost, db.IllegalTransition) as error:
            self.end(5, Kind.TAKEN, str(error))

    def _live(self, session) -> None:
        now, long = self.host.clock(), timedelta(seconds=self.host.world.settings.lease.seconds)
        age = self.host.world.now - self.since
        if self.fate.hangs_after is not None and age >= self.fate.hangs_after:
            return
        if self.lease is None:
            self.lease = leases.acquire(session, self.run_id, self.owner, now, self.host._is_dead, long)
            runs.transition(session, self.run_id, RunState.RUNNING, now, token=self.lease.token)
        leases.renew(session, self.lease, now, long)
        if self.fate.dies_after is not None and age >= self.fate.dies_after:
            if self.fate.seals:
                runs.seal(session, self.run_id, now)
            self.end(-9, Kind.FAILED, "killed by SIGKILL from outside")
        elif self.fate.fails_after is not None and age >= self.fate.fails_after:
            self._finish(session, RunState.FAILED, 1, Kind.FAILED, error="no analysis looks like this")
        elif age >= self.fate.lasts:
            self._finish(session, RunState.PUBLISHED, 0, Kind.PUBLISHED)
            self.host.world.published[self.job.cycle] += 1
        elif self.asked:
            self._finish(session, RunState.INTERRUPTED, 143, Kind.INTERRUPTED)

    def _finish(self, session, state: RunState, code: int, kind: Kind, **values: Any) -> None:
        assert self.lease is not None
        leases.fence(session, self.lease)
        runs.transition(session, self.run_id, state, self.host.clock(), token=self.lease.token, **values)
        leases.release(session, self.lease)
        self.end(code, kind, kind.value)

    def end(self, code: int, kind: Kind, reason: str) -> None:
        """The process ends, unless it has."""
        self.exit = self.exit or Exit(code, reason, kind)


def fast(engine: Engine) -> Engine:
    """SQLite without its waits for the disk: no power fails in a test."""
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous = OFF"))
    return engine
