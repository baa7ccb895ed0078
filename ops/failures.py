"""Every known error of the rooms, told as an OperationError with its exit code."""

import errno
import sys

from sqlalchemy.exc import DBAPIError

import db
from ops.errors import (
    AlreadyRunning,
    ConfigurationError,
    HistoryUnavailable,
    InputRefused,
    NotFound,
    OperationError,
    QuorumFailed,
    RunFailed,
)

DATABASE_ERRORS: tuple[tuple[type[Exception], type[OperationError]], ...] = (
    (db.UnknownRun, NotFound),
    (db.UnknownOrder, NotFound),
    (db.IllegalTransition, RunFailed),
    (db.LeaseError, AlreadyRunning),
    (db.DatabaseError, HistoryUnavailable),
    (DBAPIError, HistoryUnavailable),
)

ERRORS_OF_ROOMS: tuple[tuple[str, str, type[OperationError]], ...] = (
    ("ingest.errors", "SourceError", InputRefused),
    ("forecast.checkpoint.errors", "UnknownModel", NotFound),
    ("forecast.checkpoint.errors", "CheckpointError", RunFailed),
    ("forecast.errors", "QuorumLost", QuorumFailed),
    ("forecast.errors", "AnalysisMismatch", InputRefused),
    ("forecast.errors", "ForcingNotValid", InputRefused),
    ("forecast.errors", "ForecastError", RunFailed),
    ("publish.product", "ProductError", ConfigurationError),
    ("publish.errors", "TakenOver", AlreadyRunning),
    ("publish.errors", "PublishError", RunFailed),
    ("publish.stores.base", "StoreError", RunFailed),
    ("publish.stores.base", "InvalidKey", ConfigurationError),
    ("publish.writers.base", "WriterError", RunFailed),
    ("publish.manifest", "ManifestError", RunFailed),
)
"""Module, class, and what it means to a command; a module that nobody has loaded has raised nothing."""


def explained(error: Exception) -> OperationError | None:
    """The error as one that a command may end with; None for one that nobody expected."""
    if isinstance(error, OperationError):
        return error
    for kind, meaning in (*DATABASE_ERRORS, *_loaded()):
        if isinstance(error, kind):
            return meaning(db.masked_url(_paragraph(error)))
    return _refusal(error) if isinstance(error, OSError) else None


def _refusal(error: OSError) -> RunFailed:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunFailed(f"the disk is full: {error}; make room and run again: it goes on from what is saved")
    return RunFailed(f"the operating system refused: {error}")


def _loaded() -> list[tuple[type[Exception], type[OperationError]]]:
    found = ((getattr(sys.modules.get(module), name, None), meaning) for module, name, meaning in ERRORS_OF_ROOMS)
    return [(kind, meaning) for kind, meaning in found if kind is not None]


def _paragraph(error: Exception) -> str:
    text = f"the run history does not answer: {error.orig}" if isinstance(error, DBAPIError) else str(error)
    return " ".join(text.split())
