"""Runs: listed, shown, their history, the end of their log; cancelled and retried with a key."""

import socket
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query, Request
from fastapi.responses import Response
from sqlalchemy import Connection

import db
from db import leases, listing, runs
from db.listing import RunsWanted
from db.schema import ApiKey
from ops.executors.logs import tail
from ops.web import answers
from ops.web.api import models
from ops.web.api.paths import API, RunName, named, no_run, of_run, require
from ops.web.context import Context, Ctx, context
from ops.web.keys import Scope, holder_of
from ops.web.problems import documented

router = APIRouter(prefix=f"{API}/runs", tags=["runs"])


@router.get(
    "", summary="List runs", operation_id="listRuns", response_model=models.RunPage, responses=documented(422, 503)
)
async def list_runs(request: Request, query: Annotated[models.RunsQuery, Query()]) -> Response:
    """Runs that pass all filters, the newest cycle first."""
    wanted = RunsWanted(query.state, query.model, query.purpose, query.since, query.until)
    rows = await context(request).read(partial(listing.runs, wanted=wanted, after=query.after, limit=query.limit + 1))
    return answers.written(request, answers.written_page("runs", rows, query.limit))


@router.get(
    "/{run}",
    summary="Show a run",
    operation_id="showRun",
    response_model=models.RunDetail,
    responses=documented(404, 422, 503),
)
async def show_run(request: Request, run: RunName) -> Response:
    """Its plan, stages and attempts, processes, inputs, members lost, and its products together."""
    return answers.written(request, await context(request).read(partial(_document, run=run)))


def _document(connection: Connection, run: str) -> bytes:
    run_id = named(connection, run)
    found = listing.run(connection, run_id)
    if found is None:
        raise no_run(run_id)
    return found.encode()


@router.get(
    "/{run}/events",
    summary="Show a run's timeline",
    operation_id="listEvents",
    response_model=models.EventPage,
    responses=documented(404, 422, 503),
)
async def list_events(request: Request, run: RunName, query: Annotated[models.EventsQuery, Query()]) -> Response:
    """Every change of state and everything worth telling, in order."""
    _, rows = await context(request).read(
        of_run(run, partial(listing.events, after=query.after, limit=query.limit + 1))
    )
    return answers.written(request, answers.written_page("events", rows, query.limit, int))


@router.get(
    "/{run}/log",
    summary="Show the end of a run's log",
    operation_id="showLog",
    response_model=models.LogTail,
    responses=documented(404, 422, 503),
)
def show_log(request: Request, ctx: Ctx, run: RunName, query: Annotated[models.LogQuery, Query()]) -> Response:
    """The last lines of the last process that worked on it, when it did so on the server's own machine."""
    with ctx.reader.connect() as connection:
        run_id = require(connection, named(connection, run))
        worker = listing.last_log(connection, run_id)
    if worker is None or worker["log_path"] is None:
        raise HTTPException(404, f"run {run_id} has no log: no process has worked on it")
    if worker["host"] != socket.gethostname():
        raise HTTPException(404, f"the log of run {run_id} is on {worker['host']}: ask there")
    lines = tail(Path(worker["log_path"]), query.lines)
    about = {name: worker[name] for name in ("host", "pid")}
    return answers.as_json(request, {"run": run_id, "worker": worker["id"], **about, "lines": lines})


@router.post(
    "/{run}/cancel",
    summary="Cancel a run",
    operation_id="cancelRun",
    response_model=models.Changed,
    responses=documented(400, 401, 403, 404, 409, 413, 422, 503),
)
def cancel_run(
    ctx: Ctx,
    run: RunName,
    key: Annotated[ApiKey, holder_of(Scope.CANCEL)],
    given: Annotated[models.Reason, Body()] = models.Reason(),  # noqa: B008 - frozen by its use
) -> Any:
    """Its process can write nothing any more and ends; what it had published stays invisible. Scope `cancel`."""
    message = f"cancelled through the API by {key.name}" + (f": {given.reason}" if given.reason else "")
    run_id = _known(ctx, run)
    with db.writing(ctx.engine) as session:
        leases.revoke(session, run_id, ctx.clock(), message)
    return _changed(ctx, run_id)


@router.post(
    "/{run}/retry",
    summary="Try a run again",
    operation_id="retryRun",
    response_model=models.Changed,
    responses=documented(401, 403, 404, 409, 422, 503),
)
def retry_run(ctx: Ctx, run: RunName, key: Annotated[ApiKey, holder_of(Scope.RETRY)]) -> Any:
    """A daemon takes a failed or interrupted run up at once, whatever its tries were before. Scope `retry`."""
    run_id = _known(ctx, run)
    with db.writing(ctx.engine) as session:
        runs.try_again(session, run_id, ctx.clock(), f"to be tried again, asked for through the API by {key.name}")
    return _changed(ctx, run_id)


def _known(ctx: Context, run: str) -> str:
    with ctx.reader.connect() as connection:
        return require(connection, named(connection, run))


def _changed(ctx: Context, run_id: str) -> dict[str, Any]:
    with db.reading(ctx.reader) as session:
        found = runs.get(session, run_id)
    return {"run": run_id, "state": found.state, "next_try_at": found.next_try_at}
