"""Names in addresses."""

from typing import Annotated

from fastapi import HTTPException, Path
from sqlalchemy import Connection

from db import listing
from ops.web.api import models

LATEST = "latest"

RunName = Annotated[
    models.Name,
    Path(
        description="A run's name; `latest` is the forecast of the newest cycle that is published and stands.",
        examples=[models.A_RUN, LATEST],
    ),
]


def found_run(connection: Connection, name: str) -> str:
    """The run's own name. Raises a 404."""
    run_id = listing.latest(connection) if name == LATEST else name
    if run_id is None or listing.store_of(connection, run_id) is None:
        what = "published run that stands" if name == LATEST else f"run {name!r}"
        raise HTTPException(404, f"there is no {what}: /api/v1/runs lists those there are")
    return run_id
