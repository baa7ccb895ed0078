"""Renews a run's lease from a thread of its own while the run is being worked on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

import db
from db import leases
from db.leases import Lease
from ops import log
from ops.clock import Clock

BEATS_PER_LEASE = 4


class Heartbeat:
    """The thread's side and the worker's side of it: the worker asks `check` between its steps.

    `after` is called after each beat that the database has taken, in the thread.
    """

    def __init__(
        self,
        engine: Engine,
        lease: Lease,
        duration: timedelta,
        clock: Clock,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._duration = duration
        self._clock = clock
        self._after = after
        self._stop = threading.Event()
        self._lost: db.LeaseLost | None = None

    def check(self) -> None:
        """Raises LeaseLost once another process has taken the run over."""
        if self._lost is not None:
            raise self._lost

    def beat(self) -> None:
        """Renew once. A database that does not answer is asked again at the next beat."""
        try:
            with db.writing(self._engine) as session:
                leases.renew(session, self._lease, self._clock(), self._duration)
            self._after()
        except db.LeaseLost as error:
            self._lost = error
            self._stop.set()
        except SQLAlchemyError as error:
            log.get().warning("heartbeat not recorded", reason=" ".join(str(error).split())[:200])

    def _beat_until_stopped(self) -> None:
        while not self._stop.wait(self._duration.total_seconds() / BEATS_PER_LEASE):
            self.beat()

    @contextmanager
    def beating(self) -> Iterator["Heartbeat"]:
        """Beat while the block runs."""
        thread = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
