"""Trying again what time may mend, until a deadline."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from ingest.errors import Broken, Busy, Changed

_LONGEST_WAIT = 60.0
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Deadline:
    """The moment `at`, on a clock [s], by which all must be done; `pause` waits for an event or some seconds."""

    at: float
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[Event, float], object] = Event.wait

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """That many seconds from now."""
        return cls(time.monotonic() + seconds)

    def share(self, part: float) -> "Deadline":
        """The moment by which that part of the time left will have passed."""
        return replace(self, at=self.clock() + part * max(self.left(), 0.0))

    def left(self) -> float:
        """Seconds until then, negative when it has passed."""
        return self.at - self.clock()


class _Tries:
    """How often in a row an action failed without getting further, `had` being how far it got."""

    def __init__(self, had: Callable[[], int]) -> None:
        self._had = had
        self._seen = had()
        self.fruitless = 0

    def count(self, state: RetryCallState) -> None:
        had = self._had()
        self.fruitless = 1 if had > self._seen else self.fruitless + 1
        self._seen = had


@dataclass(frozen=True)
class Patience:
    """How often to try (`attempts` in a row that bring nothing), and the first of the growing waits [s]."""

    attempts: int = 5
    first_wait: float = 1.0

    def call(
        self,
        action: Callable[[], _Result],
        deadline: Deadline,
        stop: Event | None = None,
        had: Callable[[], int] = lambda: 0,
    ) -> _Result:
        """The result of the action, tried again when it raises Busy or Broken, else its last error.

        A wait that the source asks for is kept; one that would pass the deadline is not begun. `stop` ends the
        waiting. `had` tells how far the action got: while that grows, attempts and waits start over.
        """
        tries, interrupt = _Tries(had), stop or Event()

        def give_up(state: RetryCallState) -> bool:
            late = state.upcoming_sleep >= deadline.left()
            return late or tries.fruitless >= self.attempts or interrupt.is_set()

        def pause(seconds: float) -> None:
            deadline.pause(interrupt, seconds)

        patiently = Retrying(
            retry=retry_if_exception(_may_mend),
            after=tries.count,
            wait=lambda state: self._wait(state, tries.fruitless),
            stop=give_up,
            sleep=pause,
            reraise=True,
        )
        return patiently(action)

    def _wait(self, state: RetryCallState, fruitless: int) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Busy) and error.retry_after is not None:
            return error.retry_after
        grown = self.first_wait * 2.0 ** (fruitless - 1)
        return min(grown, _LONGEST_WAIT) * random.uniform(0.75, 1.25)


def _may_mend(error: BaseException) -> bool:
    return isinstance(error, Busy) or (isinstance(error, Broken) and not isinstance(error, Changed))
