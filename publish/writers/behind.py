"""A writer in a thread of its own, a little behind whoever hands it slabs."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from publish.product import Slab
from publish.statistics import Statistics
from publish.writers.base import EncodedFile, Writer

_MOST_BEHIND = 2
"""Slabs that wait, which bounds the memory."""


class Behind:
    """Does what a writer does, in the same order, in a thread.

    What goes wrong there is raised by a later `write`, or by `close`.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, "writer")
        self._waiting: deque[Future[None]] = deque()

    def write(self, slab: Slab, statistics: Statistics | None) -> None:
        """Hand one field on one level over, as soon as few enough are waiting."""
        while len(self._waiting) > _MOST_BEHIND:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._writer.write, slab, statistics))

    def close(self) -> list[EncodedFile]:
        """Finish all files."""
        for each in self._waiting:
            each.result()
        files = self._thread.submit(self._writer.close).result()
        self._thread.shutdown()
        return files

    def abort(self) -> None:
        """Release what is open, when the slab in work is written."""
        self._thread.shutdown(cancel_futures=True)
        self._writer.abort()
