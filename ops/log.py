"""Structured log lines on the standard error, bound to the run and the cycle; passwords are masked."""

import logging
import sys
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from db import masked_url
from ops.config import LogSettings


def configure(settings: LogSettings) -> None:
    """Send log lines of this process to the standard error, as text or JSON."""
    shared = (
        structlog.contextvars.merge_contextvars,
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
    """Hide the passwords of URLs in every value."""
    return {key: masked_url(value) if isinstance(value, str) else value for key, value in event.items()}


def bind(**values: Any) -> None:
    """Put values, such as run and cycle, on every following line of this process."""
    structlog.contextvars.bind_contextvars(**values)


def get() -> Any:
    """The logger."""
    return structlog.get_logger()
