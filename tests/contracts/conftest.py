"""Run histories, empty or with one run, on each kind of database."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

import db
from db import migrate, runs
from tests.contracts.histories import NEW, NOW


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/history.db"
        return
    server = make_url(request.getfixturevalue("postgresql_url")).set(drivername="postgresql+psycopg")
    name = f"history_{uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def empty(database_url) -> Iterator[Engine]:
    bound = db.engine(database_url)
    yield bound
    bound.dispose()


@pytest.fixture
def history(empty) -> Engine:
    """A database at the newest revision."""
    migrate.upgrade_engine(empty)
    return empty


@pytest.fixture
def run(history) -> str:
    with db.writing(history) as session:
        return runs.create(session, NEW, NOW).id
