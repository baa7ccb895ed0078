"""Work on a stream of items by some threads at a time, with results in the order of the items."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_THREADS = 8


def ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`work` of each item, begun before its turn; at most as many as there are threads are begun and not yet given.

    An error of `work` or of the items is raised in its turn, after the results before it.
    """
    threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for future in chain(_begun(pool, work, items), [None] * threads):
                if future is not None:
                    begun.append(future)
                if begun and (future is None or len(begun) > threads):
                    yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()


def _begun(pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Future[Result]]:
    """The work on each item; an error of the items counts as that of one more."""
    try:
        for item in items:
            yield pool.submit(work, item)
    except Exception as error:
        failed: Future[Result] = Future()
        failed.set_exception(error)
        yield failed
