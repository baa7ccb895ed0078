"""The application: `create(settings, engine, clock)` gives what uvicorn serves and tests call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from sqlalchemy import Engine

from ops.clock import Clock
from ops.config import Settings
from ops.web import api, health, openapi, pages, problems, prometheus
from ops.web.context import Context
from ops.web.guard import Guard

DESCRIPTION = """The run history of sigmacast: which forecasts ran, how they went, and what they published.

Reading needs no key; a change needs one with the scope that its operation names. Lists come in pages: give `next` of a
page as `after` for the one that follows. Times are UTC. Every document has an ETag; every error is a problem document
(RFC 9457)."""


def create(settings: Settings, engine: Engine, clock: Clock) -> FastAPI:
    """The API, the dashboard's pages, health and metrics over one run history. The engine stays its caller's.

    The routes stand in one list: through routers within routers FastAPI looks for each several times at every request.
    """
    app = FastAPI(
        title="sigmacast",
        version=version("sigmacast"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=_lifespan,
    )
    app.state.context = Context(settings, engine, clock)
    app.add_middleware(Guard, body_bytes=settings.web.body_kibibytes << 10)
    problems.install(app)
    openapi.install(app)
    for router in (*api.routers, health.router, prometheus.router, pages.router):
        app.routes.extend(router.routes)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.context.close()
