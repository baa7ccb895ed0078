"""Alerts: what people were told is wrong, and that it is right again."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from db import listing
from ops.web import answers
from ops.web.api import models
from ops.web.api.paths import API
from ops.web.context import context
from ops.web.problems import documented

router = APIRouter(prefix=f"{API}/alerts", tags=["alerts"])


@router.get(
    "",
    summary="List alerts",
    operation_id="listAlerts",
    response_model=models.AlertPage,
    responses=documented(422, 503),
)
async def list_alerts(request: Request, query: Annotated[models.AlertsQuery, Query()]) -> Response:
    """Alerts that pass all filters, the last raised first."""
    wanted = {"is_open": query.open, "kind": query.kind, "before": query.after}
    here = context(request)
    rows = await here.read(partial(listing.alerts, **wanted, limit=query.limit + 1))
    rows = [row | {"runbook": here.settings.alerts.runbook(row["kind"])} for row in rows]
    return answers.as_json(request, answers.page("alerts", rows, query.limit, "id"))
