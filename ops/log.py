"""Structured log lines on the standard error, bound to run, cycle, stage and process; secrets are masked.

docs/logs.schema.json says what a line of JSON may hold.
"""

import logging
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

import structlog
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from structlog.typing import EventDict, WrappedLogger

from db import masked_url
from ops.config import LogSettings, Settings

_SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|authorization|api_?key|credential)")
_IN_TEXT = re.compile(
    r"(?i)((?:bearer|basic)\s+|[?&](?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|sig|token|key)="
    r"|\b(?:password|passwd|secret|token|api_?key)\s*[=:]\s*)[^\s&'\",;]+"
)
_SHORTEST_SECRET = 4
"""A shorter one would blot out words that have nothing to do with it."""
_bound: dict[str, Any] = {}
_secrets: set[str] = set()


def configure(settings: LogSettings, secrets: Collection[str] = ()) -> None:
    """Send log lines of this process to the standard error, as text or JSON; `secrets` stand in none of them."""
    _secrets.clear()
    _secrets.update(one for one in secrets if len(one) >= _SHORTEST_SECRET)
    shared = (
        _merge_bound,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )
    last = structlog.processors.JSONRenderer() if settings.format == "json" else _text()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, mask, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _StandardError())),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forwarded()], force=True)


class _Forwarded(logging.Handler):
    """Lines of the other rooms and of libraries, which know the standard library's logging only."""

    def emit(self, record: logging.LogRecord) -> None:
        get().log(record.levelno, record.getMessage(), logger=record.name)


class _StandardError:
    """The standard error of the moment, which a progress bar may have replaced."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _text() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )


def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide secrets in every value, however deep: by its name, by its shape, or because it is known to be one."""
    return {key: _masked(value, key) for key, value in event.items()}


def _masked(value: Any, name: str = "") -> Any:
    if isinstance(value, SecretStr) or (isinstance(value, str) and _SECRET_NAME.search(name)):
        return "***"
    if isinstance(value, dict):
        return {key: _masked(one, str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_masked(one, name) for one in value]
    return masked(str(value)) if isinstance(value, str | Exception) else value


def masked(text: str) -> str:
    """The text without secrets, fit to be shown."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    return _IN_TEXT.sub(r"\1***", masked_url(text))


def secrets_of(settings: Settings) -> set[str]:
    """Every secret value of the configuration; of a database's address the password alone."""
    sections = (getattr(settings, name) for name in type(settings).model_fields)
    fields = [value for section in sections for _, value in section if isinstance(value, SecretStr)]
    found = {one.get_secret_value() for one in fields if one is not settings.database.url}
    try:
        password = make_url(settings.database.url.get_secret_value()).password
    except ArgumentError:
        password = None
    return found | ({str(password)} if password else set())


def _merge_bound(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**_bound, **event}


def bind(**values: Any) -> None:
    """Put values, such as run and cycle, on every following line of this process, whichever thread writes it."""
    _bound.update(values)


def unbind(*names: str) -> None:
    """Take values off the following lines."""
    for name in names:
        _bound.pop(name, None)


@contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Put values on the lines of this process while the block runs, in place of those of the same name."""
    before = {name: _bound[name] for name in values if name in _bound}
    bind(**values)
    try:
        yield
    finally:
        unbind(*values)
        bind(**before)


def get() -> Any:
    """The logger."""
    return structlog.get_logger()
