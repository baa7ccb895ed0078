"""What a run has published: listed."""

from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic_core import to_json

from db import listing
from ops.web import answers
from ops.web.api import models
from ops.web.api.paths import API, RunName, of_run
from ops.web.context import context
from ops.web.problems import documented

router = APIRouter(prefix=f"{API}/runs/{{run}}/products", tags=["products"])


@router.get(
    "",
    summary="List a run's products",
    operation_id="listProducts",
    response_model=models.ProductPage,
    responses=documented(404, 422, 503),
)
async def list_products(request: Request, run: RunName, query: Annotated[models.ProductsQuery, Query()]) -> Response:
    """Products that pass all filters and are in the store, by key."""
    wanted = {"kind": query.kind, "lead_time_hours": query.lead_time_hours, "after": query.after}
    run_id, rows = await context(request).read(of_run(run, partial(listing.products, **wanted, limit=query.limit + 1)))
    here = f"{request.scope.get('root_path', '')}{API}/runs/{quote(run_id, safe='')}/products/"
    return answers.written(request, answers.written_page("products", _linked(rows, here), query.limit, run=run_id))


def _linked(rows: list[listing.Line], here: str) -> list[listing.Line]:
    """The products with the address of each one's content. All keys are quoted at once: that costs as much as one."""
    addresses = quote("\n".join(key for key, _ in rows), safe="/\n").split("\n")
    begin = to_json(here).decode()[:-1]
    return [
        (key, f'{document[:-1]},"href":{begin}{address}"}}')
        for (key, document), address in zip(rows, addresses, strict=bool(rows))
    ]
