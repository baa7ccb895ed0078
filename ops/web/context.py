"""What every request may use: settings, databases, stores and the clock. `Depends(context)` hands it to a route.

A route that is asked for often calls `context` itself, as what FastAPI does for a dependency costs as much as a short
query, and reads by `Context.read`, which costs half of what a route that is no coroutine does.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from db.readonly import POOL, read_only
from ops.clock import Clock
from ops.config import Settings
from publish.stores import Store

Found = TypeVar("Found")


class Context:
    """One per application; safe to use from several threads.

    Requests read over `reader`, whose connections can change nothing and give a statement so much time; `engine` is
    for changes that a key allows.
    """

    def __init__(self, settings: Settings, engine: Engine, clock: Clock) -> None:
        self.settings = settings
        self.engine = engine
        self.reader = read_only(engine, settings.web.statement_seconds)
        self.clock = clock
        self._stores: dict[str, Store] = {}
        self._opening = threading.Lock()
        self._readers = ThreadPoolExecutor(POOL, "reader")

    async def read(self, ask: Callable[[Connection], Found]) -> Found:
        """What a function finds over a connection of `reader`, in one of as many threads as there are connections."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._over_connection, ask)

    def _over_connection(self, ask: Callable[[Connection], Found]) -> Found:
        with self.reader.connect() as connection:
            return ask(connection)

    def store(self, url: str | None = None) -> Store:
        """The configured store, or that at the address of a run's row. Raises ValueError for no such address."""
        wanted = url or self.settings.store.url
        with self._opening:
            if wanted not in self._stores:
                self._stores[wanted] = self.settings.store.open(wanted)
            return self._stores[wanted]

    def close(self) -> None:
        """Close the connections of `reader` and end its threads; the engine is its owner's to close."""
        self._readers.shutdown()
        self.reader.dispose()


def context(request: Request) -> Context:
    """The context of the application that a request came to."""
    return request.app.state.context


async def _given(request: Request) -> Context:
    """Asynchronous: any other dependency would cost a change of threads."""
    return context(request)


Ctx = Annotated[Context, Depends(_given)]
"""Type of a route's argument that takes the context."""
