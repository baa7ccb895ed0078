"""What a worker writes into the history while it holds a run: every transaction is fenced by its lease.

A history that is away is waited for. What need not be known at once is kept meanwhile and written when it is back, so
that a forecast goes on; only the lease says then whether the run is still this worker's.
"""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import db
from db import leases, runs, stages, workers
from db.leases import Lease
from db.stages import Try
from db.states import AttemptState, RunState
from ops import log
from ops.clock import Clock
from ops.errors import ExitCode
from ops.executors import exits, limits
from ops.failures import explained
from ops.signals import Overdue

LONGEST_PAUSE = 15.0
HASTE_SECONDS = 10.0
"""How long an end that cannot wait, after a signal or a lost history, tries to be recorded."""
ASK_AGAIN_SECONDS = 5.0
"""How long a history that was away is left alone by a forecast that has something to tell it."""
PROGRESS_SECONDS = 3.0
"""Least time between two notes of how far the run is."""

Result = TypeVar("Result")


class Recorder:
    """The history of one run, as the process that holds it may write it; `patience` is how long it is waited for [s].

    `worker` is the number of this process among those of the run, once it is known.
    """

    def __init__(self, engine: Engine, lease: Lease, clock: Clock, patience: float = 0.0) -> None:
        self.run_id = lease.run_id
        self.token = lease.token
        self.clock = clock
        self.engine = engine
        self.worker: int | None = None
        self.device_seconds = 0.0
        self._lease = lease
        self._patience = patience
        self._kept: deque[Callable[[Session], object]] = deque()
        self._lock = threading.RLock()
        self._progress_at = 0.0
        self._ask_again_at = 0.0

    def write(self, change: Callable[[Session], Result]) -> Result:
        """Make a change, in one transaction with the proof that the run is still ours. Raises LeaseLost.

        The change may be made again when it is not known whether a history that went away has taken it.
        """
        return self._patiently(lambda: self._written(change))

    def later(self, change: Callable[[Session], object]) -> None:
        """Make a change now if the history answers, else as soon as it does. Raises LeaseLost."""
        self._kept.append(change)
        if time.monotonic() >= self._ask_again_at:
            self.flush()

    def flush(self) -> bool:
        """Make the changes that were kept; whether none is left. Raises LeaseLost."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._make_kept()
        except SQLAlchemyError as error:
            if not db.is_away(error):
                raise
            self._ask_again_at = time.monotonic() + ASK_AGAIN_SECONDS
            log.get().warning("the run history is away", kept=len(self._kept), reason=_short(error))
        finally:
            self._lock.release()
        return not self._kept

    def read(self, query: Callable[[Session], Result]) -> Result:
        """What a query finds."""

        def answer() -> Result:
            with db.reading(self.engine) as session:
                return query(session)

        return self._patiently(answer)

    def hurry(self) -> None:
        """From now on wait for the history only shortly."""
        self._patience = min(self._patience, HASTE_SECONDS)

    def enter(self) -> None:
        """Note this process among those that worked on the run, unless whoever started it has done so."""

        def change(session: Session) -> int:
            owner, run_id = self._lease.owner, self.run_id
            known = workers.of_process(session, run_id, owner.host, owner.pid)
            return known or workers.begin(session, run_id, owner.host, owner.pid, self.clock())

        self.worker = self.write(change)

    def note(self, **values: Any) -> None:
        """Set columns of this process's row."""
        if (number := self.worker) is not None:
            self.later(lambda session: workers.note(session, number, **values))

    def amend(self, **values: Any) -> None:
        """Set columns that describe the run."""
        self.later(lambda session: runs.amend(session, self.run_id, **values))

    def tell(self, kind: str, message: str) -> None:
        """Add an event to the run's history."""
        now = self.clock()
        self.later(lambda session: runs.tell(session, self.run_id, now, kind, message))

    def progress(self, document: dict[str, Any], *, at_once: bool = False) -> None:
        """Note how far the run is, at most every few seconds; a history that is away never knows."""
        now = time.monotonic()
        if self._kept or (now < self._progress_at and not at_once):
            return
        self._progress_at = now + PROGRESS_SECONDS
        self.later(lambda session: runs.amend(session, self.run_id, progress=document))

    def is_done(self, stage: str) -> bool:
        """Whether a stage needs no further attempt."""
        return self.read(lambda session: stages.is_done(session, self.run_id, stage))

    @contextmanager
    def attempt(self, stage: str) -> Iterator[None]:
        """Record an attempt at a stage around the block, with its times and how it ended."""
        attempt = self.write(lambda session: self._begin(session, stage))
        try:
            yield
        except db.LeaseLost:
            raise
        except (Exception, Overdue) as error:
            self._end(attempt, AttemptState.FAILED, paragraph(error))
            raise
        except BaseException:
            self.hurry()
            self._end(attempt, AttemptState.INTERRUPTED, None)
            raise
        self._end(attempt, AttemptState.DONE, None)

    def _begin(self, session: Session, stage: str) -> Try:
        """The next attempt; one that was begun and whose answer got lost is closed."""
        now = self.clock()
        stages.interrupt_open(session, self.run_id, now)
        return stages.begin(session, self.run_id, stage, self._lease.owner, now)

    def _end(self, attempt: Try, state: AttemptState, error: str | None) -> None:
        now = self.clock()
        self.write(lambda session: stages.end(session, attempt, state, now, error))

    def seal(self) -> None:
        """The last moment at which the run may be taken away: from here on it is published, whoever finishes it."""
        now = self.clock()
        self.write(lambda session: runs.seal(session, self.run_id, now))

    def publish(self, message: str, **values: Any) -> None:
        """The run is published: leave it, and give the lease back."""
        self._finish(RunState.PUBLISHED, message, ExitCode.OK, failures=0, next_try_at=None, **values)

    def interrupt(self, message: str, code: ExitCode) -> None:
        """The run was interrupted: leave it for the next one, and give the lease back."""
        self.hurry()
        self._finish(RunState.INTERRUPTED, message, code)

    def fail(self, error: Exception) -> None:
        """Record that the run failed, and why; the traceback of an error that nobody expected is kept as an event."""
        known, told = explained(error), paragraph(error)
        trace = None if known else db.masked_url("".join(traceback.format_exception(error)))
        code = known.exit_code if known else ExitCode.FAILED
        self._finish(RunState.FAILED, told, code, trace, error=told)

    def _finish(self, state: RunState, message: str, code: int, trace: str | None = None, **values: Any) -> None:
        now = self.clock()

        def change(session: Session) -> None:
            if trace is not None:
                runs.tell(session, self.run_id, now, "traceback", trace)
            runs.transition(session, self.run_id, state, now, message=message, token=self.token, **values)
            self.leave(session, code, message)
            leases.release(session, self._lease)

        try:
            self.write(change)
        except db.DatabaseError:
            if not self.read(lambda session: self._is_left(session, state)):
                raise

    def leave(self, session: Session, code: int, message: str) -> None:
        """Note how this process ends, and what it used."""
        if self.worker is None:
            return
        reason = exits.sentence(code) if code == ExitCode.OK else message
        kind, now = exits.kind_of(code), self.clock()
        used = {"peak_memory_bytes": limits.peak_memory(), "cpu_seconds": limits.cpu_seconds()}
        workers.note(session, self.worker, device_seconds=self.device_seconds)
        workers.end(session, self.worker, now, code=int(code), kind=kind, reason=reason, **used)

    def _is_left(self, session: Session, state: RunState) -> bool:
        """Whether the run was left so by this very process: the answer to that may have got lost."""
        run = runs.get(session, self.run_id)
        return run.state == state and run.lease_token == self.token and run.lease_pid is None

    def _written(self, change: Callable[[Session], Result]) -> Result:
        with self._lock:
            self._make_kept()
            return self._fenced(change)

    def _make_kept(self) -> None:
        while self._kept:
            self._fenced(self._kept[0])
            self._kept.popleft()

    def _fenced(self, change: Callable[[Session], Result]) -> Result:
        with db.writing(self.engine) as session:
            leases.fence(session, self._lease)
            return change(session)

    def _patiently(self, action: Callable[[], Result]) -> Result:
        until, pause = time.monotonic() + self._patience, 0.5
        while True:
            try:
                return action()
            except SQLAlchemyError as error:
                if not db.is_away(error) or time.monotonic() >= until:
                    raise
                log.get().warning("waiting for the run history", reason=_short(error))
            time.sleep(min(pause, max(until - time.monotonic(), 0.0)))
            pause = min(2 * pause, LONGEST_PAUSE)


def paragraph(error: BaseException) -> str:
    """The error in one paragraph."""
    if isinstance(error, Overdue):
        return str(error)
    known = explained(error) if isinstance(error, Exception) else None
    return str(known) if known else db.masked_url(f"unexpected {type(error).__name__}: {error}")


def _short(error: Exception) -> str:
    return db.masked_url(" ".join(str(error).split()))[:200]
