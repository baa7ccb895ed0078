"""Who may change things: scoped keys, given as `Authorization: Bearer sc_…`."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

import db
from db import api_keys
from db.schema import ApiKey
from ops.web.context import Ctx


class Scope(StrEnum):
    """What a key allows."""

    CANCEL = "cancel"
    RETRY = "retry"
    ORDER = "order"


bearer = HTTPBearer(
    scheme_name="key", description="A key that `sigmacast keys create` made.", bearerFormat="sc_…", auto_error=False
)
Given = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def holder_of(scope: Scope) -> Any:
    """A dependency: the key of the request, which must have the scope. Raises 401 or 403."""

    def allowed(ctx: Ctx, given: Given) -> ApiKey:
        key = _verified(ctx, given)
        if scope not in api_keys.scopes(key):
            raise HTTPException(403, f"the key {key.name} has not the scope {scope}: it has {api_keys.scopes(key)}")
        return key

    return Depends(allowed)


def _verified(ctx: Ctx, given: HTTPAuthorizationCredentials | None) -> ApiKey:
    now = ctx.clock()
    with db.reading(ctx.engine) as session:
        key = api_keys.verified(session, given.credentials, now) if given is not None else None
    if key is None:
        what = "the key is unknown, revoked or expired" if given is not None else "this needs a key"
        raise HTTPException(401, f"{what}: give one as Authorization: Bearer sc_…", {"www-authenticate": "Bearer"})
    if not api_keys.is_noted(key, now):
        with db.writing(ctx.engine) as session:
            api_keys.note_use(session, key.id, now)
    return key
