"""The application over an empty run history."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

import db
from db import migrate
from ops.config import Settings, load
from ops.web.app import create
from tests.ops.fakes import StillClock
from tests.ops.web.operation import Operation, service


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


@pytest.fixture(scope="session")
def empty_history(tmp_path_factory) -> Path:
    """A file with an empty history, to be copied: making the tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("history") / "empty.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def engine(settings, empty_history, tmp_path) -> Iterator[Engine]:
    shutil.copy(empty_history, tmp_path / "history.db")
    bound = db.engine(settings.database.url.get_secret_value())
    yield bound
    bound.dispose()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def client(settings, engine, clock) -> Iterator[TestClient]:
    with TestClient(create(settings, engine, clock)) as opened:
        yield opened


@pytest.fixture(scope="session")
def operation(tmp_path_factory) -> Iterator[tuple[Operation, str]]:
    """A week of operation that is only looked at, and the name of its newest published run."""
    kept, newest = service(tmp_path_factory.mktemp("operation"))
    yield kept, newest
    kept.engine.dispose()


@pytest.fixture
def make_operation(operation, tmp_path) -> Callable[..., tuple[Operation, str]]:
    """Makes a copy of the week that a test may change; with charts when pictures are given."""

    def make(pictures: Sequence[Path] = ()) -> tuple[Operation, str]:
        kept, newest = operation
        directory = tmp_path / "service"
        with sqlite3.connect(kept.directory / "history.db") as source:
            directory.mkdir()
            with sqlite3.connect(directory / "history.db") as copy:
                source.backup(copy)
        own = Operation(directory, kept.now)
        own.draw(newest, pictures)
        return own, newest

    return make
