"""Errors as `application/problem+json` (RFC 9457), one way for all of them."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from pydantic_core import to_json
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

import db
from ops import log
from publish.stores import ObjectNotFound, StoreError

MEDIA_TYPE = "application/problem+json"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
LATER = {"retry-after": "5"}


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="Place in the request.", examples=["query.limit"])
    message: str = Field(examples=["Input should be less than or equal to 200"])


class Problem(BaseModel):
    """What went wrong, and what to do (RFC 9457)."""

    type: str = Field(default="about:blank", description="The status says what kind of problem it is.")
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(description="What was expected and what came.", examples=["there is no run 'x'"])
    errors: list[Fault] = Field(default=[], description="Everything that is wrong with the request.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that are problems, for its OpenAPI entry."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}} for status in statuses}


def answer(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: Iterable[Fault] = ()
) -> Response:
    """A problem as an answer."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors))
    given = {"cache-control": "no-store", **(headers or {})}
    return Response(to_json(problem), status, given, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(DBAPIError, _no_database)
    app.add_exception_handler(PoolTimeout, _no_database)
    for kind, status in ((db.UnknownRun, 404), (db.IllegalTransition, 409), (db.LeaseError, 409)):
        app.add_exception_handler(kind, _as(status))
    app.add_exception_handler(ObjectNotFound, _as(404))
    app.add_exception_handler(StoreError, _no_store)
    app.add_exception_handler(Exception, _unexpected)


def _as(status: int) -> Any:
    def told(_request: Request, error: Exception) -> Response:
        return answer(status, str(error))

    return told


def _refused(request: Request, error: Any) -> Response:
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(request))
        return answer(405, f"{request.method} is not for this address; {allowed} are", {"allow": allowed})
    return answer(error.status_code, str(error.detail), error.headers)


def _methods(request: Request) -> list[str]:
    """All methods that some route takes at the address of the request."""
    scopes = {method: {**request.scope, "method": method, "path_params": {}} for method in METHODS}
    routes = request.app.routes
    return [m for m, scope in scopes.items() if any(one.matches(scope)[0] is Match.FULL for one in routes)]


def _invalid(_request: Request, error: Any) -> Response:
    faults = [Fault(where=".".join(map(str, each["loc"])), message=each["msg"]) for each in error.errors()]
    return answer(422, "; ".join(f"{one.where}: {one.message}" for one in faults), errors=faults)


def _no_database(_request: Request, error: Exception) -> Response:
    log.get().error("the run history did not answer a request", error=str(error))
    return answer(503, "the run history does not answer, or not in time: ask for less, or again later", LATER)


def _no_store(_request: Request, error: Exception) -> Response:
    log.get().error("the store did not answer a request", error=str(error))
    return answer(503, "the store does not give the object: ask again later", LATER)


def _unexpected(_request: Request, error: Exception) -> Response:
    log.get().error("a request met an error that nobody expected", error=f"{type(error).__name__}: {error}")
    return answer(500, "an error that nobody expected; the server's log says more")
