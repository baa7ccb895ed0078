"""The pages by their addresses. Each is one consistent read of the run history."""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError

import db
from db import alerts, daemons, overview, runs
from ops.web.context import Context, Ctx
from ops.web.pages import details, front, listing, system
from ops.web.pages.site import asset_answer, page
from publish.stores.base import ObjectNotFound, StoreError

NEWEST = 60
"""Runs on the page of products."""
RESOLVED = 30
"""Alerts on the page of health."""


class PageRoute(APIRoute):
    """A page whose errors are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, which tells what went wrong."""
        handler = super().get_route_handler()

        async def paged(request: Request) -> Response:
            try:
                return await handler(request)
            except (db.UnknownRun, ObjectNotFound) as error:
                return _error(request, 404, "There is no such thing", str(error))
            except RequestValidationError as error:
                told = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
                return _error(request, 422, "This address cannot be understood", told)
            except HTTPException as error:
                return _error(request, error.status_code, "There is no such page", str(error.detail))
            except (SQLAlchemyError, db.DatabaseError):
                what = (
                    "The run history does not answer. Forecasts that are running go on; this page comes back by itself."
                )
                return _error(request, 503, "No answer from the database", what)
            except StoreError:
                return _error(request, 503, "No answer from the store", "The store of the products does not answer.")

        return paged


def _error(request: Request, status: int, title: str, message: str) -> Response:
    return page(request, "error.html", status, title=title, message=message)


router = APIRouter(route_class=PageRoute, default_response_class=Response, include_in_schema=False)


def _probe(request: Request, context: Ctx) -> system.StoreProbe:
    """The application's one probe of its store."""
    state = request.app.state
    if not hasattr(state, "store_probe"):
        state.store_probe = system.StoreProbe(context.store, context.clock)
    return state.store_probe


Probe = Annotated[system.StoreProbe, Depends(_probe)]


@router.get("/")
def overview_page(request: Request, context: Ctx, probe: Probe) -> Response:
    """How it stands: what goes on, what comes next, how it went. `?wall` is for a screen that is seen from afar."""
    now = context.clock()
    with db.reading(context.reader) as session:
        shown = front.front(session, context.settings, probe, now)
        return page(request, "overview.html", shown=shown, now=now, wall="wall" in request.query_params)


@router.get("/runs")
def runs_page(request: Request, context: Ctx, after: str | None = None, before: str | None = None) -> Response:
    """The list of runs, filtered and in pages."""
    asked, wanted = listing.asked(request.query_params)
    with db.reading(context.reader) as session:
        found = overview.page(session, wanted, listing.SIZE, after=after, before=before)
        sizes = overview.totals(session, [line.id for line in found.lines])
    return page(request, "runs.html", asked=asked, found=found, sizes=sizes, now=context.clock())


@router.get("/runs/{run_id}")
def run_page(request: Request, context: Ctx, run_id: str) -> Response:
    """Everything about a run."""
    now = context.clock()
    with db.reading(context.reader) as session:
        shown = details.details(session, context.settings, run_id, now)
        return page(request, "run.html", shown=shown, run=shown.run, now=now)


@router.get("/runs/{run_id}/files")
def files_page(request: Request, context: Ctx, run_id: str, lead: int | None = None) -> Response:
    """A run's files to download: of a lead time, or of the whole run."""
    with db.reading(context.reader) as session:
        run = runs.get(session, run_id)
        leads = overview.lead_times(session, run_id)
        hidden = details.NOT_TO_DOWNLOAD
        whole = overview.of_whole_run(session, run_id, hidden)
        here = overview.at_lead_time(session, run_id, lead) if lead is not None else []
        shown = [each for each in here if each.kind not in hidden]
        return page(
            request, "files.html", run=run, leads=leads, lead=lead, files=shown, whole=whole, now=context.clock()
        )


@router.get("/runs/{run_id}/charts/{name}")
def chart(request: Request, context: Ctx, run_id: str, name: str) -> Response:
    """A chart, through this server, so that a page needs nothing from anywhere else."""
    with db.reading(context.reader) as session:
        run = runs.get(session, run_id)
        found = [each for each in overview.of_kind(session, run_id, details.CHART) if each.key.endswith(f"/{name}")]
    if not found:
        raise HTTPException(404, f"run {run_id} has no chart {name!r}")
    return _picture(request, context, run.store_url, found[0])


def _picture(request: Request, context: Context, store_url: str, file: overview.File) -> Response:
    tag = f'"{file.sha256[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "max-age=86400", "Content-Security-Policy": "default-src 'none'"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    content = context.store(store_url).get(file.key)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise HTTPException(502, f"{file.key} is damaged: it is not what was published")
    return Response(content, media_type="image/png", headers=headers)


@router.get("/products")
def products_page(request: Request, context: Ctx) -> Response:
    """What readers may use: the runs that are published and stand."""
    with db.reading(context.reader) as session:
        lines = overview.newest_published(session, NEWEST)
        names = [line.id for line in lines]
        sizes, manifests = overview.totals(session, names), overview.manifests(session, names)
    store = context.settings.store.url
    return page(
        request, "products.html", lines=lines, sizes=sizes, manifests=manifests, store=store, now=context.clock()
    )


@router.get("/health")
def health_page(request: Request, context: Ctx, probe: Probe) -> Response:
    """The state of everything that a service needs, the daemons, and the alerts."""
    now = context.clock()
    with db.reading(context.reader) as session:
        findings = system.findings(session, context.settings, probe, now)
        known = daemons.search(session)[:20]
        told = alerts.latest(session, RESOLVED)
        return page(request, "health.html", findings=findings, daemons=known, alerts=told, alive=system.ALIVE, now=now)


@router.get("/static/{mark}/{name}")
def static(mark: str, name: str) -> Response:
    """A file of the pages themselves; `mark` changes with its contents."""
    del mark
    try:
        return asset_answer(name)
    except KeyError:
        raise HTTPException(404, f"there is no file {name!r}") from None
