"""JSON answers with an ETag, and 304 for who has them already."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic_core import to_json

NOT_MODIFIED = 304


def as_json(request: Request, document: Any) -> Response:
    """A document, or 304 when the request names its ETag; times are UTC in ISO 8601."""
    return written(request, to_json(document))


def written(request: Request, body: bytes) -> Response:
    """As `as_json`, of what is JSON already."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if is_had(request, tag):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def is_had(request: Request, tag: str) -> bool:
    """Whether If-None-Match names the tag (compared weakly, RFC 9110 13.1.2) or any."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    return given.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in given.split(","))


def written_page(
    name: str, rows: Sequence[tuple[str, str]], limit: int, mark: Callable[[str], Any] = str, **more: Any
) -> bytes:
    """As `page`, of rows that are JSON already, each after its mark as text; `more` are further fields."""
    after = mark(rows[limit - 1][0]) if len(rows) > limit else None
    shown = ",".join(document for _, document in rows[:limit])
    return b'%s,"%s":[%s]}' % (to_json({**more, "next": after})[:-1], name.encode(), shown.encode())


def page(name: str, rows: Sequence[dict[str, Any]], limit: int, mark: str) -> dict[str, Any]:
    """A page of at most `limit` rows; one row more says that there is another page, after the mark of the last one."""
    shown = rows[:limit]
    return {name: shown, "next": shown[-1][mark] if len(rows) > limit else None}
