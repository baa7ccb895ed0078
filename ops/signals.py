"""SIGINT and SIGTERM as an exception in the main thread, once; a second one ends the process at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ops.errors import Interrupted, Terminated


class Stop(KeyboardInterrupt):
    """A signal asked to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    def as_error(self, message: str) -> Interrupted:
        """What the command ends with."""
        return Terminated(message) if self.number == signal.SIGTERM else Interrupted(message)


@contextmanager
def stopping() -> Iterator[None]:
    """While the block runs, the first signal raises Stop; only the main thread can hear signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.getsignal(number) for number in heard}

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in heard:
            signal.signal(each, signal.SIG_DFL)
        raise Stop(number)

    for number in heard:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
