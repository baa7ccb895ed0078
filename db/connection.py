"""Engines and transactions for SQLite and PostgreSQL."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from db.errors import DatabaseError

# psycopg is imported here, early, although SQLAlchemy would load it when needed: the wheels of psycopg and of
# ecCodes both bundle libldap, and a process that loads ecCodes first crashes when it exits (psycopg2 issue 1824).

BUSY_SECONDS = 30
CONNECT_SECONDS = 10
IDLE_SECONDS = 60
SILENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
"""A server that is cut off is noticed after half a minute [s, ms]; the system alone would wait for a quarter of an
hour, and a worker with it."""

SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)
"""WAL: readers and the one writer do not wait for each other. FULL: a commit outlives a power cut; with NORMAL
the last commits could be undone by one, and a published product would be missing from its history."""


def engine(url: str, **pool: Any) -> Engine:
    """An engine for `sqlite:///PATH` or `postgresql+psycopg://…`; the directory of a SQLite file is created.

    `pool` holds arguments of SQLAlchemy's connection pool.

    Raises DatabaseError when the URL names another database or is none.
    """
    parsed = require_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, pool)
    made = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_SECONDS, **SILENCE},
        **pool,
    )
    event.listen(made, "connect", _prepare_postgresql)
    return made


def require_url(url: str) -> URL:
    """The address of a database that a history can be kept in. Raises DatabaseError for any other."""
    parsed = _parse(url)
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(f"expected a sqlite or postgresql database URL, got {masked_url(url)}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise DatabaseError("the run history needs a file: expected a URL such as sqlite:///var/sigmacast.db")
    return parsed


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise DatabaseError(
            f"expected a database URL such as sqlite:///var/sigmacast.db or "
            f"postgresql://user@host/name, got {masked_url(url)!r}"
        ) from None


def masked_url(url: str) -> str:
    """The URL with *** for every password in it, fit to be shown."""
    without_userinfo = re.sub(r"(?<=://)([^:/@\s]*):\S*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&](?:password|sslpassword)=)[^&\s]*", r"\1***", without_userinfo)


def _sqlite(url: URL, pool: dict[str, Any]) -> Engine:
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    made = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **pool)
    event.listen(made, "connect", _prepare_sqlite)
    event.listen(made, "begin", begin_sqlite)
    return made


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in SQLITE_PRAGMAS:
        connection.execute(pragma)


def _prepare_postgresql(connection: psycopg.Connection[Any], _record: Any) -> None:
    """A process that is stopped within a transaction must not keep its locks: the run could not be taken from it."""
    connection.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, false)", [f"{IDLE_SECONDS}s"])
    connection.commit()


def begin_sqlite(connection: Connection) -> None:
    """Writers take the lock when they begin: one that reads first could not be given it later."""
    immediate = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def is_away(error: BaseException) -> bool:
    """Whether an error says that the database does not answer or has no room, so that the same may work later."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    no_answer = (OperationalError, InterfaceError, PoolTimeout)
    return isinstance(error, no_answer) and "no such" not in str(error)


@contextmanager
def writing(bound: Engine) -> Iterator[Session]:
    """One transaction that may write: committed at the end, undone when the block raises."""
    with (
        Session(bound.execution_options(writes=True), expire_on_commit=False) as session,
        session.begin(),
    ):
        yield session


@contextmanager
def reading(bound: Engine) -> Iterator[Session]:
    """One consistent read; nothing it changes is kept. Rows stay usable after it."""
    with Session(bound, expire_on_commit=False) as session:
        yield session
        session.expunge_all()
