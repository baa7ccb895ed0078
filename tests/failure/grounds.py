"""The grounds of a crash campaign: a real daemon with real workers, a database and a store; each can be killed.

What is started here carries a mark in its environment, so that nothing else is killed, and all ends with the test.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine

import db
from db import migrate, orders
from db.schema import Order
from ops.config import Settings, load
from tests.ops.fakes import choices, save_model
from tests.servers import PostgresServer, S3Server

CYCLE = datetime(1959, 1, 2, tzinfo=UTC)
MARK = "CAMPAIGN_MARK"
DAEMON = "tests.failure.daemon"
HASTE = {
    "lease.seconds": 4,
    "daemon.tick_seconds": 0.2,
    "worker.drain_seconds": 20.0,
    "worker.nice": 0,
    "worker.runs": 1000,
    "worker.run_pause_seconds": 0.1,
    "worker.run_longest_pause_seconds": 0.2,
    "worker.pause_seconds": 0.2,
}
"""Times on the scale of the test; nothing is ever given up because it was killed too often."""

RESULT = {"forecast.members": 2, "forecast.days": 2.0}
"""What is forecast."""


def named(number: int) -> dict[str, Any]:
    """The settings by which one ordered run differs from the others."""
    return {"products.institution": f"campaign, run {number}", "products.product": f"tiny-{number}"}


@dataclass
class Servers:
    """What runs beside the daemon: a database server and a store server, None where files do."""

    database: PostgresServer | None
    store: S3Server | None

    @property
    def there(self) -> dict[str, PostgresServer | S3Server]:
        """Those that can be killed, by name."""
        named = {"database": self.database, "store": self.store}
        return {name: server for name, server in named.items() if server is not None}


class Grounds:
    """A daemon over one history and one store, below a directory."""

    def __init__(self, directory: Path, servers: Servers) -> None:
        self.directory = directory
        self.servers = servers
        self.mark = uuid4().hex
        self.config = directory / "sigmacast.toml"
        self.daemon: subprocess.Popen[bytes] | None = None
        self._environment = os.environ | {MARK: self.mark, "MISHAP": json.dumps({"seconds": 0.2})}
        self.choices = choices(directory) | HASTE | RESULT | self._addresses()
        self.config.write_text(_toml(self.choices))
        save_model(directory / "models")
        with self.engine() as engine:
            migrate.upgrade_engine(engine)

    def _addresses(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.servers.database is not None:
            found["database.url"] = self.servers.database.url
        if self.servers.store is not None:
            self._environment |= self.servers.store.credentials
            found["store.url"] = f"s3://{self.servers.store.new_bucket()}/forecasts"
            found["store.endpoint_url"] = self.servers.store.endpoint_url
        return found

    @property
    def settings(self) -> Settings:
        """What the daemon is configured with."""
        return load(self.config)

    def engine(self) -> "_Engine":
        """An engine of the history, for the length of a block."""
        return _Engine(str(self.choices["database.url"]))

    def order(self, number: int) -> None:
        """Order one more run of the one cycle there is, which differs from all others."""
        with self.engine() as engine, db.writing(engine) as session:
            orders.place(session, [CYCLE], "hindcast", named(number), datetime.now(UTC))

    def orders(self) -> list[Order]:
        """All that was ordered."""
        with self.engine() as engine, db.reading(engine) as session:
            return list(session.query(Order).order_by(Order.id).all())

    def start(self) -> None:
        """Start the daemon."""
        with (self.directory / "daemon.log").open("ab") as log:
            command = [sys.executable, "-m", DAEMON, str(self.config)]
            self.daemon = subprocess.Popen(
                command, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )

    def kill_daemon(self) -> None:
        """SIGKILL; its workers live on for as long as they want to."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()

    def workers(self) -> list[int]:
        """The worker processes there are."""
        daemon = self.daemon.pid if self.daemon is not None else None
        return [pid for pid in self._processes() if pid != daemon]

    def kill_workers(self) -> int:
        """SIGKILL for every worker; how many there were."""
        return sum(_killed(pid) for pid in self.workers())

    def log_lines(self) -> int:
        """How many lines all logs of workers have."""
        return sum(path.read_bytes().count(b"\n") for path in (self.directory / "work").glob("logs/*/*"))

    def end(self) -> None:
        """End everything that was started here."""
        self.kill_daemon()
        for pid in self._processes():
            _killed(pid)

    def _processes(self) -> Iterator[int]:
        """Processes that carry the mark of these grounds."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and f"{MARK}={self.mark}" in _words(entry / "environ"):
                yield int(entry.name)


@dataclass
class _Engine:
    url: str
    bound: Engine | None = None

    def __enter__(self) -> Engine:
        self.bound = db.engine(self.url)
        return self.bound

    def __exit__(self, *_: object) -> None:
        if self.bound is not None:
            self.bound.dispose()


def _words(path: Path) -> list[str]:
    try:
        return path.read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _toml(choices: Mapping[str, Any]) -> str:
    """The choices as a configuration file."""
    sections: dict[str, list[str]] = {}
    for key, value in choices.items():
        section, name = key.split(".")
        plain = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        sections.setdefault(section, []).append(f"{name} = {json.dumps(plain)}")
    return "\n".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true within a time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
