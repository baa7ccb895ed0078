"""Names in addresses."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import HTTPException, Path
from sqlalchemy import Connection

from db import listing
from ops.web.api import models

API = "/api/v1"
LATEST = "latest"
Found = TypeVar("Found")

RunName = Annotated[
    models.Name,
    Path(
        description="A run's name; `latest` is the forecast of the newest cycle that is published and stands.",
        examples=[models.A_RUN, LATEST],
    ),
]


def named(connection: Connection, name: str) -> str:
    """The run's own name, whether or not there is such a run. Raises a 404 when `latest` is none."""
    run_id = listing.latest(connection) if name == LATEST else name
    if run_id is None:
        raise HTTPException(404, "there is no published run that stands: /api/v1/runs lists those there are")
    return run_id


def require(connection: Connection, run_id: str) -> str:
    """The name of a run that there is. Raises a 404."""
    if listing.store_of(connection, run_id) is None:
        raise no_run(run_id)
    return run_id


def no_run(run_id: str) -> HTTPException:
    """A 404."""
    return HTTPException(404, f"there is no run {run_id!r}: /api/v1/runs lists those there are")


def of_run(name: str, ask: Callable[[Connection, str], Found]) -> Callable[[Connection], tuple[str, Found]]:
    """A function of a connection: a run's own name, and what is found of it.

    Only when nothing is found it looks whether there is such a run, and raises a 404 if there is none.
    """

    def asked(connection: Connection) -> tuple[str, Found]:
        run_id = named(connection, name)
        found = ask(connection, run_id)
        if not found:
            require(connection, run_id)
        return run_id, found

    return asked
