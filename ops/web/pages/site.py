"""How a page becomes an answer: templates, static files named by their contents, headers."""

import hashlib
import mimetypes
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from ops.commands.output import size
from ops.web.pages import states, words

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, and nothing inline."""

_FOREVER = "public, max-age=31536000, immutable"
_STATIC = ("site.css", "theme.js", "live.js", "icon.svg")


@cache
def asset(name: str) -> bytes:
    """The contents of a static file. Raises KeyError for another name."""
    if name not in _STATIC:
        raise KeyError(name)
    return files("ops.web.pages").joinpath("static", name).read_bytes()


@cache
def asset_address(name: str) -> str:
    """Where a static file is served; the address changes with its contents."""
    return f"/static/{hashlib.sha256(asset(name)).hexdigest()[:12]}/{name}"


def asset_answer(name: str) -> Response:
    """A static file, to be kept by browsers. Raises KeyError."""
    kind = mimetypes.guess_type(name)[0]
    return Response(asset(name), media_type=kind, headers={"Cache-Control": _FOREVER})


def download(run_id: str, key: str) -> str:
    """Where the API gives an object of a run."""
    return f"/api/v1/runs/{quote(run_id)}/products/{quote(key)}"


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("ops.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "cycle", "day_and_cycle", "moment", "exact", "iso", "span", "coarse", "counted", "after", "plural",
    ):  # fmt: skip
        environment.filters[name] = getattr(words, name)
    environment.filters |= {"size": size, "look": states.look}
    environment.globals |= {"asset": asset_address, "download": download}
    return environment


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page as a whole answer; 304 when the browser has this very one."""
    common = {"path": request.url.path, "settings": request.app.state.context.settings}
    text = _templates().get_template(template).render(common | values)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "ETag": tag}
    if status == 200 and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(text, status, headers, media_type="text/html")
