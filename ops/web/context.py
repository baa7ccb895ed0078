"""What every request may use: settings, databases, stores and the clock. `Depends(context)` hands it to a route."""

import threading
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from db.readonly import read_only
from ops.clock import Clock
from ops.config import Settings
from publish.stores import Store


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

    def store(self, url: str | None = None) -> Store:
        """The configured store, or that at the address of a run's row. Raises ValueError for no such address."""
        wanted = url or self.settings.store.url
        with self._opening:
            if wanted not in self._stores:
                self._stores[wanted] = self.settings.store.open(wanted)
            return self._stores[wanted]

    def close(self) -> None:
        """Close the connections of `reader`; the engine is its owner's to close."""
        self.reader.dispose()


async def context(request: Request) -> Context:
    """The context of the application that a request came to. Asynchronous: any other would cost a change of threads."""
    return request.app.state.context


Ctx = Annotated[Context, Depends(context)]
"""Type of a route's argument that takes the context."""
