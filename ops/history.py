"""The run history that the configuration names, opened and at the revision this code needs."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

import db
from db import migrate
from ops.config import DatabaseSettings
from ops.errors import HistoryUnavailable


@contextmanager
def opened(settings: DatabaseSettings) -> Iterator[Engine]:
    """The engine of the history. A SQLite file is created and upgraded by itself, a server's tables never are.

    Raises HistoryUnavailable, saying what to do.
    """
    bound = connected(settings)
    try:
        ready(bound)
        yield bound
    finally:
        bound.dispose()


def connected(settings: DatabaseSettings) -> Engine:
    """An engine of a database that answers. Raises HistoryUnavailable."""
    url = settings.url.get_secret_value()
    try:
        bound = db.engine(url)
    except (db.DatabaseError, OSError) as error:
        raise HistoryUnavailable(f"the run history cannot be opened: {error}") from error
    if complaint := migrate.reachable(bound):
        raise HistoryUnavailable(
            f"the run history at {db.masked_url(url)} does not answer: {db.masked_url(complaint)}. "
            "Start the database, or correct database.url in the configuration."
        )
    return bound


def ready(bound: Engine) -> None:
    """Return when the tables are at the revision needed. Raises HistoryUnavailable."""
    try:
        if bound.dialect.name == "sqlite" and migrate.revision(bound) != migrate.head():
            migrate.upgrade_engine(bound)
        migrate.require_head(bound)
    except (db.DatabaseError, SQLAlchemyError) as error:
        raise HistoryUnavailable(str(error)) from error
