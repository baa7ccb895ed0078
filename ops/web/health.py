"""`/healthz`: the process lives. `/readyz`: what it needs is there. For load balancers, containers and people."""

from collections.abc import Callable
from datetime import timedelta

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field
from pydantic_core import to_json
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

import db
from db import migrate
from db.schema import Daemon
from ops.web.context import Context, Ctx
from publish.stores import StoreError

router = APIRouter(tags=["health"])

DAEMON_SEEN = timedelta(minutes=2)
"""A daemon that gave no sign of life for longer is taken for gone."""
STORE_SECONDS = 3.0


class Alive(BaseModel):
    """The process answers."""

    status: str = Field(default="ok", examples=["ok"])


class Check(BaseModel):
    """Something that is needed."""

    ok: bool
    found: str = Field(description="What was found.", examples=["revision 0004"])


class Readiness(BaseModel):
    """What the service needs, part by part."""

    ready: bool
    database: Check = Field(description="It answers, and its tables are those of this version.")
    store: Check = Field(description="It answers.")
    daemon: Check = Field(description="One was seen lately.")


@router.get("/healthz", summary="Whether the process lives", operation_id="healthz")
async def healthz() -> Alive:
    """Answers as long as the process does; asks neither the database nor the store."""
    return Alive()


@router.get("/readyz", include_in_schema=False)
def readyz(ctx: Ctx) -> Response:
    """200 when database, store and a daemon are there, else 503; in either case what was found."""
    found = {"database": _checked(_database, ctx), "store": _checked(_store, ctx), "daemon": _checked(_daemon, ctx)}
    ready = all(check.ok for check in found.values())
    body = to_json(Readiness(ready=ready, **found))
    return Response(body, 200 if ready else 503, {"cache-control": "no-store"}, "application/json")


def _checked(check: Callable[[Context], Check], ctx: Context) -> Check:
    try:
        return check(ctx)
    except (SQLAlchemyError, db.DatabaseError, StoreError, OSError, ValueError) as error:
        complaint = getattr(error, "orig", None) or error
        return Check(ok=False, found=db.masked_url(" ".join(str(complaint).split())))


def _database(ctx: Context) -> Check:
    revision = migrate.revision(ctx.reader)
    return Check(ok=revision == migrate.head(), found=f"revision {revision}, and {migrate.head()} is needed")


def _store(ctx: Context) -> Check:
    """The store says whether it has `latest.json`, which it may lack as long as nothing is published."""
    impatient = {"deadline_seconds": STORE_SECONDS, "timeout_seconds": STORE_SECONDS}
    opened = ctx.settings.store.model_copy(update=impatient).open()
    found = opened.head("latest.json")
    return Check(ok=True, found=f"{opened.url} {'has' if found else 'has no'} latest.json")


def _daemon(ctx: Context) -> Check:
    now = ctx.clock()
    with ctx.reader.connect() as connection:
        query = select(Daemon.host, Daemon.seen_at).where(Daemon.stopped_at.is_(None))
        last = connection.execute(query.order_by(Daemon.seen_at.desc()).limit(1)).first()
    if last is None:
        return Check(ok=False, found="no daemon is there: start `sigmacast daemon`")
    seconds = round((now - last.seen_at).total_seconds())
    return Check(ok=now - last.seen_at <= DAEMON_SEEN, found=f"seen {seconds} s ago on {last.host}")
