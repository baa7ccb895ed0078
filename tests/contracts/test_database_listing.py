"""The contract of what strangers may ask of the run history: pages, and connections that change nothing."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import db
from db import api_keys, listing
from db.listing import RunsWanted
from db.readonly import read_only
from tests.contracts.histories import NEW, NOW
from tests.ops.web import filled

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(30)",
}


@pytest.fixture
def reader(history):
    bound = read_only(history, 0.3)
    yield bound
    bound.dispose()


def test_a_reader_changes_nothing(history, reader, run):
    with reader.connect() as connection, pytest.raises(DBAPIError, match=r"readonly|read-only"):
        connection.execute(text("DELETE FROM runs"))
    with db.reading(history) as session:
        assert db.runs.get(session, run).id == NEW.id


def test_a_statement_that_takes_too_long_is_ended(reader):
    begin = time.monotonic()
    with reader.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text(SLOW[reader.dialect.name]))
    assert 0.2 < time.monotonic() - begin < 10
    with reader.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_pages_of_runs_join_whatever_is_asked_for(history, reader, tmp_path):
    names = filled.fill(history, tmp_path / "store")
    for wanted in (RunsWanted(), RunsWanted(purpose="forecast"), RunsWanted(until=filled.NOW - timedelta(hours=12))):
        with reader.connect() as connection:
            whole = [row["id"] for row in listing.runs(connection, wanted, None, 100)]
            pages, after = [], None
            while some := listing.runs(connection, wanted, after, 2):
                pages += [row["id"] for row in some]
                after = pages[-1]
        assert pages == whole and set(whole) <= set(names) and len(whole) > 4


def test_a_run_is_told_with_its_documents_and_moments(history, reader, tmp_path):
    name = filled.fill(history, tmp_path / "store")[1]
    with reader.connect() as connection:
        row = listing.run(connection, name)
        together = listing.products_together(connection, name)
        assert listing.run(connection, "nobody") is None
    assert (row["spec"], row["init_time"]) == ({"members": 4, "product": "demo"}, filled.NOW - timedelta(hours=6))
    assert (together["count"], together["bytes"]) == (7, 7 * len(filled.CONTENT))


def test_a_key_is_verified_by_its_secret_alone(history):
    with db.writing(history) as session:
        key, written = api_keys.create(session, "desk", ["retry", "cancel"], NOW)
    with db.reading(history) as session:
        found = api_keys.verified(session, written, NOW)
        assert found is not None and (found.id, api_keys.scopes(found)) == (key.id, ["cancel", "retry"])
        assert api_keys.verified(session, written[:-2] + "xx", NOW) is None
        assert api_keys.verified(session, f"sc_{key.id}_", NOW) is None
        assert api_keys.verified(session, "", NOW) is None
