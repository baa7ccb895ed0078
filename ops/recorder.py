"""What a worker writes into the history while it holds a run: every transaction is fenced by its lease."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

import db
from db import leases, runs, stages
from db.leases import Lease
from db.stages import Try
from db.states import AttemptState, RunState
from ops.clock import Clock
from ops.failures import explained


class Recorder:
    """The history of one run, as the process that holds it may write it."""

    def __init__(self, engine: Engine, lease: Lease, clock: Clock) -> None:
        self.run_id = lease.run_id
        self.token = lease.token
        self.clock = clock
        self.engine = engine
        self._lease = lease

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is only committed if the run is still ours. Raises LeaseLost."""
        with db.writing(self.engine) as session:
            leases.fence(session, self._lease)
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read."""
        with db.reading(self.engine) as session:
            yield session

    def amend(self, **values: Any) -> None:
        """Set columns that describe the run."""
        with self.writing() as session:
            runs.amend(session, self.run_id, **values)

    def is_done(self, stage: str) -> bool:
        """Whether a stage needs no further attempt."""
        with self.reading() as session:
            return stages.is_done(session, self.run_id, stage)

    @contextmanager
    def attempt(self, stage: str) -> Iterator[None]:
        """Record an attempt at a stage around the block, with its times and how it ended."""
        with self.writing() as session:
            attempt = stages.begin(session, self.run_id, stage, self._lease.owner, self.clock())
        try:
            yield
        except db.LeaseLost:
            raise
        except Exception as error:
            self._end(attempt, AttemptState.FAILED, paragraph(error))
            raise
        except BaseException:
            self._end(attempt, AttemptState.INTERRUPTED, None)
            raise
        self._end(attempt, AttemptState.DONE, None)

    def _end(self, attempt: Try, state: AttemptState, error: str | None) -> None:
        with self.writing() as session:
            stages.end(session, attempt, state, self.clock(), error)

    def finish(self, state: RunState, message: str, **values: Any) -> None:
        """Leave the run in a state in which this process has no more to do with it, and give the lease back."""
        with self.writing() as session:
            runs.transition(
                session, self.run_id, state, self.clock(), message=message, token=self._lease.token, **values
            )
            leases.release(session, self._lease)

    def fail(self, error: Exception) -> None:
        """Record that the run failed, and why; the traceback of an error that nobody expected is kept as an event."""
        with self.writing() as session:
            if explained(error) is None:
                trace = db.masked_url("".join(traceback.format_exception(error)))
                runs.tell(session, self.run_id, self.clock(), "traceback", trace)
        self.finish(RunState.FAILED, paragraph(error), error=paragraph(error))


def paragraph(error: Exception) -> str:
    """The error in one paragraph."""
    known = explained(error)
    return str(known) if known else db.masked_url(f"unexpected {type(error).__name__}: {error}")
