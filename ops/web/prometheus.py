"""`/metrics`: what Prometheus asks for."""

from fastapi import APIRouter
from fastapi.responses import Response

from ops.metrics import CONTENT_TYPE, exposition
from ops.web.context import Ctx

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def metrics(ctx: Ctx) -> Response:
    """All metrics in Prometheus' text format; answers without a database too."""
    body = exposition(ctx.reader, ctx.clock, ctx.settings)
    return Response(body, 200, {"cache-control": "no-store"}, CONTENT_TYPE)
