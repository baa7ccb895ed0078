"""Bring a database's tables to the revision that this code expects, and tell which one they are at."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from db.connection import engine
from db.errors import SchemaMismatch

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")
UPGRADE_LOCK = 7_316_402_091
"""Key of the PostgreSQL advisory lock that keeps two upgrades apart."""


def revisions() -> list[str]:
    """Every revision, oldest first: files in `versions` are named REVISION_what_it_does.py, numbered upwards."""
    return sorted(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def head() -> str:
    """The newest revision."""
    return revisions()[-1]


def revision(bound: Engine) -> str | None:
    """The revision a database is at; None when it has no tables of ours."""
    with bound.connect() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def require_head(bound: Engine) -> None:
    """Return when the tables are those this code expects, else raise SchemaMismatch that says what to do."""
    found = revision(bound)
    if found == head():
        return
    if found is not None and found > head():
        raise SchemaMismatch(
            f"the database is at revision {found}, newer than {head()}, the newest this sigmacast knows: "
            "install the sigmacast that upgraded it"
        )
    raise SchemaMismatch(
        f"the database is at revision {found or 'none (no tables yet)'}, this sigmacast needs {head()}: "
        "run `sigmacast db upgrade`"
    )


def upgrade(url: str, target: str = "head") -> str:
    """Upgrade the database to `target`; returns the revision reached. Safe to run twice and at the same time."""
    bound = engine(url)
    try:
        return upgrade_engine(bound, target)
    finally:
        bound.dispose()


def upgrade_engine(bound: Engine, target: str = "head") -> str:
    """As `upgrade`, over an engine. All revisions go in one transaction."""
    if (found := revision(bound)) is not None and found > head():
        require_head(bound)

    def move(config: "Config") -> None:
        from alembic import command

        command.upgrade(config, target)

    return _in_transaction(bound, move)


def downgrade_engine(bound: Engine, target: str) -> str:
    """Take the tables back to an older revision, "base" for none; returns the revision reached ("" for none)."""

    def move(config: "Config") -> None:
        from alembic import command

        command.downgrade(config, target)

    return _in_transaction(bound, move)


def _in_transaction(bound: Engine, move: Callable[["Config"], None]) -> str:
    with bound.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
        move(_config(connection))
        return _revision(connection) or ""


def differences(bound: Engine) -> list[Any]:
    """What Alembic would change to make the database equal to `db.schema`: empty when the two agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from db.schema import Base

    with bound.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def reachable(bound: Engine) -> str | None:
    """None when the database answers, else its complaint in one line."""
    try:
        with bound.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return " ".join(str(getattr(error, "orig", None) or error).split())
    return None


def latency_and_clock(bound: Engine, clock: Callable[[], datetime]) -> tuple[float, float | None]:
    """How long a query takes [s], and this clock's time less the server's [s]; None where there is no server."""
    question = "SELECT clock_timestamp()" if bound.dialect.name == "postgresql" else "SELECT 1"
    with bound.connect() as connection:
        connection.execute(text(question))
        begun, before = time.perf_counter(), clock()
        answer = connection.scalar(text(question))
        seconds = time.perf_counter() - begun
    ahead = (before - answer).total_seconds() + seconds / 2 if isinstance(answer, datetime) else None
    return seconds, ahead


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
