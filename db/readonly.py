"""Connections that can change nothing, and whose statements end in time: for requests of strangers."""

import sqlite3
import time
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from db.connection import CONNECT_SECONDS, begin_sqlite, engine

POOL = 8
UNSEEN_SECONDS = 1.0
"""PostgreSQL is asked whether it is still there when a connection was not used for so long."""
STEPS = 2000
"""SQLite looks at the clock after so many of its virtual machine's instructions: some 50 µs."""


def read_only(bound: Engine, seconds: float) -> Engine:
    """Another engine of the same database: it refuses to write, and ends a statement that takes longer.

    On PostgreSQL every statement is a transaction of its own, as a beginning and an end would be two more questions.
    """
    pool = {"pool_size": POOL, "max_overflow": 0, "pool_timeout": seconds}
    if bound.dialect.name == "postgresql":
        limits = f"-c statement_timeout={round(1000 * seconds)} -c default_transaction_read_only=on"
        arguments = {"connect_timeout": CONNECT_SECONDS, "options": limits}
        made = create_engine(bound.url, isolation_level="AUTOCOMMIT", connect_args=arguments, **pool)
        event.listen(made, "checkout", _is_there)
        return made
    made = engine(bound.url.render_as_string(hide_password=False), **pool)
    event.listen(made, "connect", _watch)
    event.remove(made, "begin", begin_sqlite)
    event.listen(made, "begin", _begin)

    def begin(connection: Connection, *_: Any) -> None:
        connection.info["until"] = time.monotonic() + seconds

    event.listen(made, "before_cursor_execute", begin)
    return made


def _is_there(connection: psycopg.Connection[Any], record: ConnectionPoolEntry, _: Any) -> None:
    """Have a connection replaced that was cut off while nobody used it. One in steady use is not asked every time."""
    now, seen = time.monotonic(), record.info.get("seen")
    record.info["seen"] = now
    if seen is None or now - seen > UNSEEN_SECONDS:
        try:
            connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise DisconnectionError from error


def _begin(connection: Connection) -> None:
    """As for writers, but straight to SQLite: SQLAlchemy's way costs as much as a short query."""
    connection.connection.cursor().execute("BEGIN")


def _watch(connection: sqlite3.Connection, record: Any) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.set_progress_handler(lambda: time.monotonic() > record.info.get("until", float("inf")), STEPS)
