"""A run history with rows that were put there as daemons and workers would, for the tests of alerts and metrics."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import db
from db import alerts, migrate, runs
from db.runs import Identity, NewRun
from db.schema import Arrival, Daemon
from db.states import RunState
from ops.alerting import evaluate
from ops.config import Settings, load

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CYCLE = datetime(2026, 11, 21, 6, tzinfo=UTC)


@cache
def _empty_history() -> bytes:
    """A database file with all tables and no rows: to migrate one takes longer than most tests."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "history.db"
        bound = db.engine(f"sqlite:///{path}")
        migrate.upgrade_engine(bound)
        with bound.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        bound.dispose()
        return path.read_bytes()


class Watched:
    """A history, its settings and its moment, which moves when told to."""

    def __init__(self, directory: Path, **options: object) -> None:
        given = {name.replace("__", "."): value for name, value in options.items()}
        self.settings: Settings = load(
            options={
                "database.url": f"sqlite:///{directory}/history.db",
                "store.url": str(directory / "products"),
                "paths.work": directory / "work",
                "paths.models": directory / "models",
                "ingest.cache": directory / "inputs",
                "forecast.model": "tiny",
                "source.name": "gfs",
                "alerts.objective_hours": 9.0,
                "alerts.disk_free_gib": 0.0,
            }
            | given
        )
        path = directory / "history.db"
        if not path.exists():
            path.write_bytes(_empty_history())
        self.engine = db.engine(f"sqlite:///{path}")
        self.now = CYCLE

    def clock(self) -> datetime:
        return self.now

    def evaluate(self) -> list[tuple[str, str]]:
        """What is open afterwards, as kind and subject."""
        evaluate(self.engine, self.settings, self.clock)
        return self.open()

    def open(self) -> list[tuple[str, str]]:
        with db.reading(self.engine) as session:
            return sorted((one.kind, one.subject) for one in alerts.standing(session))

    def last(self) -> alerts.Alert:
        with db.reading(self.engine) as session:
            return alerts.latest(session)[0]

    def daemon(self, started_at: datetime | None = None) -> None:
        started = started_at or self.now
        with db.writing(self.engine) as session:
            row = Daemon(id=f"daemon-{started:%H%M}", host="host-a", pid=1, version="0", started_at=started)
            row.seen_at = self.now
            session.add(row)

    def begin(self, name: str = "run-1", cycle: datetime = CYCLE, model: str = "tiny", **columns: object) -> str:
        identity = Identity("m" * 64, cycle, name.rjust(64, "c"))
        with db.writing(self.engine) as session:
            runs.create(session, NewRun(name, identity, model, "gfs", "var/products", 4, {"members": 4}), self.now)
            runs.transition(session, name, RunState.RUNNING, self.now, message="started")
            if columns:
                runs.amend(session, name, **columns)
        return name

    def end(self, name: str = "run-1", state: RunState = RunState.PUBLISHED, **columns: object) -> None:
        with db.writing(self.engine) as session:
            values = {"members_published": 4} if state is RunState.PUBLISHED else {}
            runs.transition(session, name, state, self.now, **(values | columns))

    def amend(self, name: str = "run-1", **columns: object) -> None:
        with db.writing(self.engine) as session:
            runs.amend(session, name, **columns)

    def happened(self, kind: str, message: str, name: str = "run-1") -> None:
        with db.writing(self.engine) as session:
            runs.tell(session, name, self.now, kind, message)

    def arrived(self, cycle: datetime, delay: timedelta | None, source: str = "gfs") -> None:
        """A cycle of a feed, complete after the delay; None for one that is still missed."""
        complete = None if delay is None else cycle + delay
        seen = self.now if complete is None else complete - 5 * MINUTE
        with db.writing(self.engine) as session:
            session.merge(Arrival(source=source, init_time=cycle, incomplete_at=seen, complete_at=complete))
