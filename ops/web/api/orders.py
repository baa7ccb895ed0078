"""Orders: cycles that somebody asked for, which a daemon carries out when nothing that is due waits."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

import db
from db import listing, orders
from db.schema import ApiKey
from ops.web import answers
from ops.web.api import models
from ops.web.api.paths import API
from ops.web.context import Ctx, context
from ops.web.keys import Scope, holder_of
from ops.web.problems import documented

router = APIRouter(prefix=f"{API}/orders", tags=["orders"])


@router.get(
    "",
    summary="List orders",
    operation_id="listOrders",
    response_model=models.OrderList,
    responses=documented(422, 503),
)
async def list_orders(request: Request, query: Annotated[models.OrdersQuery, Query()]) -> Response:
    """Orders and how far each is, the newest cycle first."""
    rows = await context(request).read(partial(listing.orders, only_open=query.only_open, limit=query.limit))
    return answers.as_json(request, {"orders": rows})


@router.post(
    "",
    summary="Order a cycle",
    operation_id="placeOrder",
    response_model=models.Placed,
    responses=documented(400, 401, 403, 413, 422, 503),
)
def place_order(given: models.NewOrder, ctx: Ctx, _key: Annotated[ApiKey, holder_of(Scope.ORDER)]) -> Any:
    """As `sigmacast backfill` does for one cycle; a second order like an open one changes nothing. Scope `order`."""
    with db.writing(ctx.engine) as session:
        placed = orders.place(session, [given.cycle], given.purpose, {}, ctx.clock())
        return {"placed": bool(placed), "order": placed[0].id if placed else None}
