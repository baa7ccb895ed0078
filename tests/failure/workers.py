"""Real workers with a forecaster that is none: started, waited for, watched."""

import faulthandler
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

import db
from db import runs
from forecast.checkpoint import registry
from ops import history, work, worker  # noqa: F401 - loaded before the first fork
from ops.claim import _create
from ops.config import Settings
from ops.executors.base import Exit, Job
from ops.executors.local import PROGRAM, LocalHandle, LocalLauncher, Spawn
from ops.plan import plan
from tests.failure.worker import MISHAP, forecaster
from tests.ops.fakes import choices
from tests.ops.histories import History

PATIENCE = 300.0


_PIPES: list[IO[bytes]] = []


class Forked:
    """A worker as a fork of this process, which has loaded everything already: it begins in no time."""

    def __init__(self, program: Sequence[str], log: IO[bytes]) -> None:
        del program
        readable, writable = os.pipe()
        self.returncode = 0
        self.pid = os.fork()
        if self.pid == 0:
            _become_a_worker(readable, writable, log.fileno())
        os.close(readable)
        self.stdin: IO[bytes] | None = os.fdopen(writable, "wb")
        _PIPES.append(self.stdin)


def _become_a_worker(readable: int, writable: int, log: int) -> None:
    """In the child: the job comes in, the log goes out, and no other worker's pipe stays open here."""
    code = 70
    try:
        os.setsid()
        for descriptor in (writable, *(pipe.fileno() for pipe in _PIPES if not pipe.closed)):
            os.close(descriptor)
        for source, target in ((readable, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
        faulthandler.enable(2)
        work.main(forecaster)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


class Yard:
    """A history, a store and a launcher under one directory; the settings go to the workers with their jobs."""

    def __init__(
        self, directory: Path, spawn: Spawn | None = None, program: Sequence[str] = PROGRAM, **options: Any
    ) -> None:
        options = {"worker__nice": 0, **options}
        self.history = History(directory, **options)
        self.choices = choices(directory, **options)
        history.ready(self.history.engine())
        where = (self.history.engine(), self.settings.worker, self.settings.paths)
        self.launcher = LocalLauncher(*where, program=program, spawn=spawn or Forked)

    @property
    def settings(self) -> Settings:
        return self.history.settings

    def job(self, cycle: Any = None, **options: Any) -> Job:
        """A job for the demo's cycle, whose row is made if it is not there."""
        checkpoint = registry.find_model(self.settings.paths.models, self.settings.forecast.model)
        wanted = plan(self.settings, checkpoint, cycle or datetime(1959, 1, 2, tzinfo=UTC))
        return Job(ensured(self, wanted), wanted.cycle, None, self.choices | options)

    def start(self, mishap: dict[str, Any] | None = None, **options: Any) -> LocalHandle:
        """A worker to which this happens."""
        with told(mishap or {}):
            return self.launcher.start(self.job(**options))

    def run(self, mishap: dict[str, Any] | None = None, **options: Any) -> Exit:
        """A worker, to its end."""
        return ended(self.start(mishap, **options))


def ensured(yard: Yard, wanted: Any) -> str:
    """The name of the run of this plan, whose row is made when there is none."""
    with db.writing(yard.history.engine()) as session:
        found = runs.with_identity(session, wanted.identity)
        made = found or _create(session, wanted, yard.settings.store.open().url, lambda: wanted.cycle)
        return made.id


@contextmanager
def told(mishap: dict[str, Any]):
    """The environment in which a worker's forecaster does this wrong."""
    former = os.environ.get(MISHAP)
    os.environ[MISHAP] = json.dumps(mishap, default=str)
    try:
        yield
    finally:
        os.environ.pop(MISHAP)
        if former is not None:
            os.environ[MISHAP] = former


def ended(handle: LocalHandle, seconds: float = PATIENCE) -> Exit:
    """How the worker ends."""
    return until(handle.poll, seconds, lambda: f"the worker goes on:\n{handle.log_path.read_text()}")


Found = TypeVar("Found")


def until(
    look: Callable[[], Found | None], seconds: float = PATIENCE, complaint: Callable[[], str] = lambda: "nothing came"
) -> Found:
    """What a look finds, as soon as it finds anything."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, complaint()
        time.sleep(0.02)
    return found
