"""The OpenAPI document: what FastAPI knows of the routes, and what holds for all of them."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ops.web.problems import Problem

TAGS = [
    {"name": "runs", "description": "Forecasts: what ran, how it went, what is running."},
    {"name": "products", "description": "What runs have published."},
    {"name": "alerts", "description": "What is wrong, and what was."},
    {"name": "orders", "description": "Cycles that somebody asked for: backfill and hindcast."},
    {"name": "status", "description": "How it stands, and what comes next."},
    {"name": "health", "description": "For load balancers and monitoring."},
]
_TAG = {
    "description": "Give it as If-None-Match to be told with 304 that nothing has changed.",
    "schema": {"type": "string"},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETag of the answer that the reader has.",
    "schema": {"type": "string"},
}


def install(app: FastAPI) -> None:
    """Let the application give the complete document at /openapi.json."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes, tags=TAGS)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {}) | {"Problem": problem}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                _forbid_null(parameter)
            if path.startswith("/api/") and method in ("get", "head"):
                _add_conditions(operation)
    return made


def _forbid_null(parameter: dict[str, Any]) -> None:
    """A parameter that may be left out is no parameter that may be null: an address cannot say that."""
    schema = parameter["schema"]
    given = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(given) == 1:
        del schema["anyOf"]
        schema.update(given[0])


def _add_conditions(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
    answers = operation["responses"]
    answers["200"]["headers"] = {"ETag": _TAG}
    answers["304"] = {"description": "The reader has it already.", "headers": {"ETag": _TAG}}
