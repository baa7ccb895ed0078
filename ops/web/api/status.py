"""How it stands, and which cycles come next."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import Connection

import db
from db import listing
from ops.web import answers
from ops.web.api import models
from ops.web.api.paths import API
from ops.web.context import Ctx, context
from ops.web.pages import front, upcoming
from ops.web.problems import documented

router = APIRouter(prefix=API, tags=["status"])


@router.get(
    "/status",
    summary="Show how it stands",
    operation_id="showStatus",
    response_model=models.Status,
    responses=documented(503),
)
async def show_status(request: Request) -> Response:
    """The newest forecast, the runs that are not over, alerts and orders that are open, daemons."""
    return answers.as_json(request, await context(request).read(_status))


def _status(connection: Connection) -> dict[str, Any]:
    return {
        "latest": listing.latest(connection),
        "unfinished": listing.unfinished(connection, limit=20),
        **listing.open_counts(connection),
        "daemons": listing.daemons(connection, limit=20),
    }


@router.get(
    "/cycles",
    summary="List the next cycles",
    operation_id="listCycles",
    response_model=models.CycleList,
    responses=documented(503),
)
def list_cycles(request: Request, ctx: Ctx) -> Response:
    """Cycles that are wanted and not begun, and those to come: what of their data is there, what is expected when."""
    with db.reading(ctx.reader) as session:
        rows = [_row(each) for each in front.next_cycles(session, ctx.settings, ctx.clock())]
    return answers.as_json(request, {"cycles": rows})


def _row(coming: upcoming.Coming) -> dict[str, Any]:
    names = ("cycle", "data_at", "done_at", "objective_at")
    return {
        **{name: getattr(coming, name) for name in names},
        "feeds": [asdict(feed) for feed in coming.feeds],
        "run_id": coming.run.id if coming.run else None,
    }
