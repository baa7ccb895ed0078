"""An iterator that works ahead of whoever takes from it, by one item and no more."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Generator[T]:
    """The items in their order, each being made in a thread of its own while the one before it is in use.

    What goes wrong in the making is raised where the item would have come. Closing waits for the item being made.
    """
    end, context = object(), copy_context()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as maker:
        coming = maker.submit(context.run, next, items, end)
        while (item := coming.result()) is not end:
            coming = maker.submit(context.run, next, items, end)
            yield item  # pyright: ignore[reportReturnType]
