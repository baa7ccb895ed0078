"""What a run has published: listed."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from db import listing
from ops.web import answers
from ops.web.api import models
from ops.web.api.paths import RunName, named, none_of
from ops.web.context import Ctx
from ops.web.problems import documented

router = APIRouter(prefix="/runs/{run}/products", tags=["products"])


@router.get(
    "",
    summary="List a run's products",
    operation_id="listProducts",
    response_model=models.ProductPage,
    responses=documented(404, 422, 503),
)
def list_products(
    request: Request, ctx: Ctx, run: RunName, query: Annotated[models.ProductsQuery, Query()]
) -> Response:
    """Products that pass all filters and are in the store, by key."""
    with ctx.reader.connect() as connection:
        run_id = named(connection, run)
        rows = listing.products(
            connection,
            run_id,
            kind=query.kind,
            lead_time_hours=query.lead_time_hours,
            after=query.after,
            limit=query.limit + 1,
        ) or none_of(connection, run_id)
    here = f"{request.scope.get('root_path', '')}/api/v1/runs/{quote(run_id, safe='')}/products/"
    for row in rows:
        row["href"] = here + quote(row["key"])
    return answers.as_json(request, {"run": run_id, **answers.page("products", rows, query.limit, "key")})
