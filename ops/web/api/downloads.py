"""The content of products: streamed with ranges, or by redirection to a presigned address of the store."""

from collections.abc import Iterator
from email.utils import format_datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from sqlalchemy import Connection

from db import listing
from ops.web.answers import NOT_MODIFIED, is_had
from ops.web.api import models
from ops.web.api.paths import API, RunName, of_run
from ops.web.api.ranges import Span, Unsatisfiable, asked
from ops.web.context import Ctx, context
from ops.web.problems import documented
from publish.stores import Store

router = APIRouter(prefix=f"{API}/runs/{{run}}/products", tags=["products"])

BLOCK = 1 << 20
SANDBOX = "sandbox; default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"
"""A page among the products may show itself, and nothing else."""

ProductKey = Annotated[models.Key, Path(description="The product's key.", examples=[models.A_KEY])]
_BYTES: dict[str, Any] = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
_CONTENT: dict[int | str, dict[str, Any]] = {200: {"description": "All of it.", **_BYTES}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **_CONTENT,
    206: {"description": "The range asked for.", **_BYTES},
    307: {"description": "It is at the presigned address in `Location`."},
    **documented(404, 416, 422, 503),
}


@router.head(
    "/{key:path}",
    summary="Size and hash of a product",
    operation_id="headProduct",
    response_class=Response,
    responses={200: {"description": "Its size, type and ETag."}, **documented(404, 422, 503)},
)
async def head_product(request: Request, run: RunName, key: ProductKey) -> Response:
    """What GET would tell, without the content; the ETag is the SHA-256."""
    row = await context(request).read(partial(_row, run=run, key=key))
    headers = _headers(row)
    if is_had(request, headers["etag"]):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return Response(headers={**headers, "content-length": str(row["bytes"])}, media_type=_media_type(row))


@router.get(
    "/{key:path}",
    summary="Fetch a product",
    operation_id="getProduct",
    response_class=Response,
    responses=_ANSWERS,
)
def get_product(request: Request, ctx: Ctx, run: RunName, key: ProductKey) -> Response:
    """The bytes, or those of one range (`Range: bytes=…`, `If-Range`); or a redirection to the store that has them."""
    with ctx.reader.connect() as connection:
        row = _row(connection, run, key)
    headers = _headers(row)
    if is_had(request, headers["etag"]):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    store = ctx.store(row["store_url"])
    if ctx.settings.web.downloads == "redirect" and store.url.startswith("s3://"):
        link = store.link(key, ctx.settings.web.link_seconds)
        return RedirectResponse(link, headers={"cache-control": "no-store"})
    try:
        span = asked(request.headers, row["bytes"], headers["etag"], headers["last-modified"])
    except Unsatisfiable as error:
        raise HTTPException(416, str(error), {"content-range": f"bytes */{row['bytes']}"}) from None
    return _streamed(store, row, headers, span)


def _row(connection: Connection, run: str, key: str) -> dict[str, Any]:
    run_id, row = of_run(run, partial(listing.product, key=key))(connection)
    if row is None:
        raise HTTPException(404, f"run {run_id} has no product {key!r}")
    if row["deleted_at"] is not None:
        raise HTTPException(404, f"{key} was removed from the store on {row['deleted_at']:%Y-%m-%d}")
    return row


def _headers(row: dict[str, Any]) -> dict[str, str]:
    return {
        "etag": f'"{row["sha256"]}"',
        "last-modified": format_datetime(row["published_at"].replace(microsecond=0), usegmt=True),
        "accept-ranges": "bytes",
        "cache-control": "no-cache",
        "content-security-policy": SANDBOX,
    }


def _media_type(row: dict[str, Any]) -> str:
    return (row["details"] or {}).get("media_type") or "application/octet-stream"


def _streamed(store: Store, row: dict[str, Any], headers: dict[str, str], span: Span | None) -> Response:
    """The octets in blocks. The first is read before the answer begins, so that a missing object is told as such."""
    begin, end = (span.begin, span.end) if span else (0, row["bytes"])
    length = {"content-length": str(end - begin)}
    partial = {"content-range": f"bytes {begin}-{end - 1}/{row['bytes']}"} if span else {}
    first = store.get_range(row["key"], begin, min(begin + BLOCK, end))

    def blocks() -> Iterator[bytes]:
        yield first
        for at in range(begin + BLOCK, end, BLOCK):
            yield store.get_range(row["key"], at, min(at + BLOCK, end))

    return StreamingResponse(blocks(), 206 if span else 200, {**headers, **length, **partial}, _media_type(row))
