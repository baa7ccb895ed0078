"""Asking again, for a while: retries with growing, random pauses, and an end."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

from publish.stores.base import StoreUnavailable

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 20.0
LARGEST_BLOCK = 1 << 20

T = TypeVar("T")


class Deadline:
    """The moment at which a request has taken too long, retries included."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def check(self) -> None:
        """Raises StoreUnavailable once the time is up."""
        if time.monotonic() > self._end:
            raise StoreUnavailable(f"the request was not done after {self._seconds:g} s")


def persistently(seconds: float, action: Callable[[Deadline], T]) -> T:
    """What the action gives; it is asked again while the store is unavailable, for so long at most.

    The pauses are random up to 0.2, 0.4, 0.8 … 20 s ("full jitter": Brooker 2015, AWS Architecture Blog).
    """
    deadline = Deadline(seconds)
    retrying = Retrying(
        retry=retry_if_exception_type(StoreUnavailable),
        stop=stop_before_delay(seconds),
        wait=wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        reraise=True,
    )
    return retrying(action, deadline)


def blocks(read: Callable[[int], bytes], deadline: Deadline) -> Iterator[bytes]:
    """What `read` gives until it gives nothing. Raises StoreUnavailable when the time is up.

    Blocks begin with an octet and double, so one that trickles in keeps us waiting no longer than all before it.
    """
    size = 1
    while block := read(size):
        deadline.check()
        yield block
        size = min(2 * size, LARGEST_BLOCK)
