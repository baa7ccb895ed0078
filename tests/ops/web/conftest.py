"""The application over an empty run history."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

import db
from db import migrate
from ops.config import Settings, load
from ops.web.app import create
from tests.ops.fakes import StillClock


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load(
        None,
        {
            "database.url": f"sqlite:///{tmp_path}/history.db",
            "store.url": str(tmp_path / "store"),
            "paths.models": str(tmp_path / "models"),
            "paths.work": str(tmp_path / "work"),
        },
    )


@pytest.fixture
def engine(settings) -> Iterator[Engine]:
    bound = db.engine(settings.database.url.get_secret_value())
    migrate.upgrade_engine(bound)
    yield bound
    bound.dispose()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def client(settings, engine, clock) -> Iterator[TestClient]:
    with TestClient(create(settings, engine, clock)) as opened:
        yield opened
