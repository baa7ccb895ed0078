"""A service in operation: a history of cycles as daemons and workers would have left it, for the pages to show."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

import db
from db import alerts, arrivals, daemons, leases, migrate, products, runs, stages, workers
from db.leases import Owner
from db.products import NewInput, NewLoss, NewProduct
from db.runs import Identity, NewRun
from db.states import AttemptState, RunState
from ops.config import Settings, load

NOW = datetime(2026, 11, 21, 13, 31, 20, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
DAY = timedelta(days=1)
FEEDS = {"ecmwf": 7.1, "gfs": 3.7}
"""Usual arrival of each feed [h after the cycle]."""
MODEL, MEMBERS, REACH = "ng28-2025", 50, 360
KINDS = {"grib2": 21_400_000, "netcdf": 18_900_000, "index": 61_000}
STAGES = {"fetch": 0.09, "integrate": 0.86, "finish": 0.05}
"""The stages of a run and the share of its time that each takes."""


@dataclass
class Course:
    """How a run went: how long it took, and what went wrong."""

    minutes: float = 38.0
    lost: int = 0
    failure: str | None = None
    killed: bool = False
    purpose: str = "forecast"


class Operation:
    """The history of a service that forecasts every six hours, seen at a moment."""

    def __init__(self, directory: Path, now: datetime = NOW, **options: object) -> None:
        self.directory, self.now = directory, now
        chosen = {
            "database.url": f"sqlite:///{directory}/history.db",
            "store.url": str(directory / "products"),
            "paths.models": directory / "models",
            "paths.work": directory / "work",
            "source.name": "ecmwf",
            "ingest.cache": directory / "cache",
            "alerts.objective_hours": 9.0,
            "alerts.disk_free_gib": 0.1,
        }
        self.settings: Settings = load(options=chosen | options)
        self.engine = db.engine(self.settings.database.url.get_secret_value())
        migrate.upgrade_engine(self.engine)
        self._pid = 4000
        self._open: Session | None = None

    def clock(self) -> datetime:
        """The moment at which all is seen."""
        return self.now

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read of the history."""
        with db.reading(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction; within `at_once` the one that is open."""
        if self._open is not None:
            yield self._open
            return
        with db.writing(self.engine) as session:
            yield session

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Everything in the block in one transaction, which is faster."""
        with db.writing(self.engine) as self._open:
            yield
        self._open = None

    def arrive(self, cycle: datetime, feed: str, hours: float) -> datetime:
        """A feed's cycle that was watched until it was complete; when that was."""
        at = cycle + hours * HOUR
        with self.writing() as session:
            arrivals.saw(session, feed, cycle, False, at - MINUTE, "2 of 84 fields")
            arrivals.saw(session, feed, cycle, True, at)
        return at

    def look(self, cycle: datetime, feed: str, at: datetime, missing: str) -> None:
        """A look at a feed that was in vain."""
        with self.writing() as session:
            arrivals.saw(session, feed, cycle, False, at, missing)

    def daemon(self, host: str, started: datetime, seen: datetime) -> None:
        """A daemon and its last sign of life."""
        who = daemons.Identity(f"{host}-1", host, 812, "0.1.0")
        with self.writing() as session:
            daemons.seen(session, who, started)
            daemons.seen(session, who, seen)

    def alert(self, kind: str, subject: str, message: str, at: datetime, run_id: str | None = None) -> None:
        """An alert that is open."""
        with self.writing() as session:
            alerts.raise_(session, kind, subject, message, at, run_id)

    def run(self, cycle: datetime, begun: datetime, course: Course | None = None, mark: str = "7f3a21") -> str:
        """A run that is over, or at work when its time is not over yet; its name."""
        course = course or Course()
        name = self._create(cycle, begun, course, mark)
        end = begun + course.minutes * MINUTE
        if course.killed:
            self._work(name, begun, begun + 0.3 * course.minutes * MINUTE, "killed")
            begun += 0.3 * course.minutes * MINUTE + 2 * MINUTE
            end += 2 * MINUTE
        if end > self.now:
            self._at_work(name, begun, end)
        else:
            self._work(name, begun, end, "failed" if course.failure else "published", course)
        return name

    def _create(self, cycle: datetime, begun: datetime, course: Course, mark: str) -> str:
        name = f"{cycle:%Y%m%dT%H}-{MODEL}-{mark}"
        spec = {"duration_hours": 360.0, "interval_hours": 6.0, "window_hours": 24.0, "quorum": 0.9}
        spec |= {"members": MEMBERS, "product": MODEL}
        config = hashlib.sha256(mark.encode()).hexdigest()
        identity = Identity("5e" * 32, cycle, config)
        software = {"sigmacast": "0.1.0", "jax": "0.10.2", "python": "3.11.2"}
        seeds = {"rule": "random keys are folded from the cycle and the member's number, and from nothing else"}
        new = NewRun(name, identity, MODEL, "ecmwf", str(self.directory / "products"), MEMBERS, spec, seeds, software)
        with self.writing() as session:
            runs.create(session, new, begun - 5 * SECOND)
            runs.amend(session, name, purpose=course.purpose, device="1 x NVIDIA H100 80GB HBM3")
        return name

    def _begin(self, session, name: str, at: datetime) -> tuple[leases.Lease, int]:
        self._pid += 17
        owner = Owner("fc-a1", self._pid, "boot:1")
        lease = leases.acquire(session, name, owner, at, lambda _owner: True, MINUTE)
        stages.interrupt_open(session, name, at)
        if runs.get(session, name).state == RunState.RUNNING:
            gone = "the process that ran it is gone"
            runs.transition(session, name, RunState.INTERRUPTED, at, message=gone, token=lease.token)
        runs.transition(session, name, RunState.RUNNING, at, message="started", token=lease.token)
        return lease, workers.begin(session, name, owner.host, owner.pid, at)

    def _work(self, name: str, begun: datetime, end: datetime, outcome: str, course: Course | None = None) -> None:
        """One process that works on a run until it is done, fails or is killed."""
        course = course or Course()
        with self.writing() as session:
            lease, number = self._begin(session, name, begun)
            self._stages(session, lease, begun, end, outcome, course.failure)
            done = {"published": (0, "published", "published"), "failed": (1, "failed", course.failure or "")}
            code, kind, reason = done.get(outcome, (-9, "failed", "killed by SIGKILL"))
            memory, cpu = int(18.3e9), 0.8 * (end - begun).total_seconds()
            workers.end(
                session, number, end, code=code, kind=kind, reason=reason, peak_memory_bytes=memory, cpu_seconds=cpu
            )
            if outcome == "published":
                self._publish(session, name, end, course)
                members = MEMBERS - course.lost
                told = f"published with {members} members"
                token = lease.token
                runs.transition(
                    session, name, RunState.PUBLISHED, end, message=told, token=token, members_published=members
                )
            elif outcome == "failed":
                why = course.failure
                runs.transition(session, name, RunState.FAILED, end, message=str(why), token=lease.token, error=why)
                runs.amend(session, name, failures=3)

    def _stages(self, session, lease, begun: datetime, end: datetime, outcome: str, failure: str | None) -> None:
        at, open_until = begun, {"published": "", "failed": "integrate"}.get(outcome, "integrate")
        for stage, share in STAGES.items():
            if stages.is_done(session, lease.run_id, stage):
                continue
            attempt = stages.begin(session, lease.run_id, stage, lease.owner, at)
            if stage == open_until:
                if outcome == "failed":
                    stages.end(session, attempt, AttemptState.FAILED, end, failure)
                return
            at += share * (end - begun)
            stages.end(session, attempt, AttemptState.DONE, min(at, end))

    def _at_work(self, name: str, begun: datetime, end: datetime) -> None:
        with self.writing() as session:
            lease, number = self._begin(session, name, begun)
            share = (self.now - begun) / (end - begun)
            fetched = begun + STAGES["fetch"] * (end - begun)
            fetch = stages.begin(session, name, "fetch", lease.owner, begun)
            stages.end(session, fetch, AttemptState.DONE, fetched)
            self._inputs(session, name, begun)
            stages.begin(session, name, "integrate", lease.owner, fetched)
            reached = int(share * REACH) // 6 * 6
            self._lead_times(session, name, range(0, reached + 1, 6), self.now)
            leases.renew(session, lease, self.now - 4 * SECOND, MINUTE)
            workers.note(session, number, batch_size=25)
            progress = {
                "stage": "integrate",
                "lead_hours": reached,
                "of_lead_hours": REACH,
                "member_hours": share * REACH * MEMBERS,
                "of_member_hours": REACH * MEMBERS,
                "members": MEMBERS,
                "seconds_left": (end - self.now).total_seconds(),
                "at": (self.now - 2 * SECOND).isoformat(),
            }
            runs.amend(session, name, progress=progress)

    def _publish(self, session, name: str, at: datetime, course: Course) -> None:
        self._inputs(session, name, at)
        losses = [NewLoss(40 + member, 66 + 6 * member, "wind above 150 m/s") for member in range(course.lost)]
        products.record_losses(session, name, losses, at)
        if at > self.now - 12 * HOUR:
            self._lead_times(session, name, range(0, REACH + 1, 6), at)
        whole = [
            NewProduct(f"{self._prefix(name)}/manifest.json", "manifest", None, 812_000, "d" * 64),
            NewProduct(f"{self._prefix(name)}/enfo-places.json", "places", None, 96_000, "e" * 64),
        ]
        products.record(session, name, whole, at)

    def _prefix(self, name: str) -> str:
        return f"{name[:8]}/{name[9:11]}z/{MODEL}/0p25"

    def draw(self, name: str, pictures: Sequence[Path]) -> None:
        """Charts of a run, in the history and in the store."""
        with self.writing() as session:
            url = str(self.directory / "products")
            runs.amend(session, name, store_url=url)
            products.record(session, name, self._charts(name, pictures), self.now)

    def _charts(self, name: str, pictures: Sequence[Path]) -> list[NewProduct]:
        found = []
        for picture in pictures:
            key = f"{self._prefix(name)}/charts/{picture.name}"
            path = self.directory / "products" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, path)
            digest = hashlib.sha256(picture.read_bytes()).hexdigest()
            found.append(NewProduct(key, "chart", None, picture.stat().st_size, digest))
        return found

    def _inputs(self, session, name: str, at: datetime) -> None:
        cycle = runs.get(session, name).init_time
        rows = [
            NewInput(f"https://data.example/{cycle:%Y%m%d}/{cycle:%H}z/ifs/0p25/oper-{part}.grib2", "ecmwf", "a" * 64,
                     31_000_000, cycle)
            for part in ("pl", "sfc", "sst")
        ]  # fmt: skip
        products.record_inputs(session, name, rows)

    def _lead_times(self, session, name: str, hours: Sequence[int], at: datetime) -> None:
        made = [
            NewProduct(f"{self._prefix(name)}/{lead}h-enfo.{kind}", kind, lead, size + 1000 * lead, "b" * 64)
            for lead in hours
            for kind, size in KINDS.items()
        ]
        products.record(session, name, made, at)


def week(operation: Operation) -> str:
    """Nine days of operation, the last cycle at work; the name of the newest published run."""
    now, newest = operation.now, ""
    cycles = [datetime(2026, 11, 12, 6, tzinfo=UTC) + count * 6 * HOUR for count in range(40)]
    for index, cycle in enumerate(cycles):
        if cycle + FEEDS["ecmwf"] * HOUR > now:
            break
        wave = ((index * 37) % 11 - 5) / 40
        for feed, usual in FEEDS.items():
            late = 3.4 if index == 27 and feed == "ecmwf" else 0.0
            at = operation.arrive(cycle, feed, usual + wave + late)
        data = cycle + (FEEDS["ecmwf"] + wave + (3.4 if index == 27 else 0.0)) * HOUR
        at = max(at, data) + 40 * SECOND
        course = Course(minutes=36 + (index * 13) % 7, lost=1 if index == 31 else 0, killed=index == 22)
        if index == 17:
            course = Course(minutes=21, failure="the device does not answer any more: CUDA_ERROR_ECC_UNCORRECTABLE")
        if index == 12:
            continue
        name = operation.run(cycle, at, course)
        newest = name if at + 45 * MINUTE < now and not course.failure else newest
    return newest


def service(directory: Path, **options: object) -> tuple[Operation, str]:
    """A week of operation with everything that pages show: a run at work, feeds that are waited for, an alert."""
    operation = Operation(directory, **options)
    now = operation.now
    with operation.at_once():
        newest = week(operation)
        operation.look(datetime(2026, 11, 21, 12, tzinfo=UTC), "ecmwf", now - 40 * SECOND, "all 84 fields")
        operation.daemon("fc-a1", now - 9 * DAY, now - 4 * SECOND)
        operation.daemon("fc-b1", now - 2 * DAY, now - 11 * SECOND)
    return operation, newest
