"""What may break into the work of the main thread: SIGINT, SIGTERM, and the end of the time that a stage may take."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ops.errors import ExitCode, Interrupted, Terminated

GRACE_SECONDS = 20.0
"""How long the main thread may take to answer, deep in compiled code, before the process ends without it."""


class Stop(KeyboardInterrupt):
    """A signal asked to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    def as_error(self, message: str) -> Interrupted:
        """What the command ends with."""
        return Terminated(message) if self.number == signal.SIGTERM else Interrupted(message)


class Overdue(BaseException):
    """A stage has taken longer than it may; not an Exception, so that nothing on the way takes it for its own."""


class Watch:
    """Raises Stop and Overdue in the main thread, the only one that hears signals; elsewhere it does nothing.

    SIGINT stops at once. So does SIGTERM, except in a block that is `draining`: there it is noted, the work goes on
    to the next `point` where nothing is lost, and is broken off after `drain_seconds`. A second SIGINT ends the
    process without more ado; SIGTERM may come more than once from several that stop the same service.
    """

    def __init__(self, drain_seconds: float) -> None:
        self.asked: Stop | None = None
        self._drain_seconds = drain_seconds
        self._drain_until = float("inf")
        self._draining = False
        self._stage = ""
        self._stage_until = float("inf")
        self._listening = False
        self._last_resort: threading.Timer | None = None

    def point(self) -> None:
        """A place where nothing is lost: stops here when that was asked for. Raises Stop."""
        if self.asked is not None:
            raise self.asked

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear signals while the block runs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {signal.SIGINT: self._hear, signal.SIGTERM: self._hear, signal.SIGALRM: self._wake}
        former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        self._listening = True
        try:
            yield
        finally:
            self._listening = False
            self._set_alarm()
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextmanager
    def draining(self) -> Iterator[None]:
        """While the block runs, SIGTERM waits for the next point."""
        self._draining = True
        try:
            yield
        finally:
            self._draining = False

    @contextmanager
    def within(self, seconds: float, stage: str) -> Iterator[None]:
        """Raise Overdue when the block takes longer than so many seconds."""
        self._stage, self._stage_until = stage, time.monotonic() + seconds
        self._set_alarm()
        try:
            yield
        finally:
            self._stage_until = float("inf")
            self._set_alarm()

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop = Stop(number)
        if number == signal.SIGTERM and self._draining:
            self.asked = stop
            self._drain_until = time.monotonic() + self._drain_seconds
            self._set_alarm()
            return
        raise stop

    def _wake(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked is not None and now >= self._drain_until:
            self._drain_until = float("inf")
            raise self.asked
        if now >= self._stage_until:
            self._stage_until = float("inf")
            raise Overdue(f"the stage {self._stage} took longer than it may")
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Wake the main thread at the earlier of both ends; and end the process should it not wake up."""
        if self._last_resort is not None:
            self._last_resort.cancel()
            self._last_resort = None
        until = min(self._stage_until, self._drain_until) if self._listening else float("inf")
        if until == float("inf"):
            signal_timer(0.0)
            return
        left = max(until - time.monotonic(), 0.001)
        signal_timer(left)
        code = ExitCode.TERMINATED if until == self._drain_until else ExitCode.TIMED_OUT
        self._last_resort = threading.Timer(left + GRACE_SECONDS, os._exit, (int(code),))
        self._last_resort.daemon = True
        self._last_resort.start()


def signal_timer(seconds: float) -> None:
    """SIGALRM after so many seconds, none with zero; the main thread alone may ask for it."""
    if threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, seconds)
