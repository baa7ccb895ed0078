"""The application: `create(settings, engine, clock)` gives what uvicorn serves and tests call."""

import importlib
import importlib.util
from importlib.metadata import version

from fastapi import FastAPI
from sqlalchemy import Engine

from ops.clock import Clock
from ops.config import Settings
from ops.web import health
from ops.web.context import Context
from ops.web.guard import Guard

DESCRIPTION = """The run history of sigmacast: which forecasts ran, how they went, and what they published."""


def create(settings: Settings, engine: Engine, clock: Clock) -> FastAPI:
    """The API, the dashboard's pages, health and metrics over one run history. The engine stays its caller's."""
    app = FastAPI(
        title="sigmacast",
        version=version("sigmacast"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        max_body_size=settings.web.body_kibibytes << 10,
    )
    app.state.context = Context(settings, engine, clock)
    app.add_middleware(Guard)
    app.include_router(health.router)
    _include_pages(app)
    return app


def _include_pages(app: FastAPI) -> None:
    if importlib.util.find_spec("ops.web.pages") is not None:
        app.include_router(importlib.import_module("ops.web.pages").router, include_in_schema=False)
