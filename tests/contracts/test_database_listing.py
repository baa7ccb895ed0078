"""The contract of what strangers may ask of the run history: pages, and connections that change nothing."""

import json
import time
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import db
from db import api_keys, listing
from db.listing import RunsWanted
from db.readonly import read_only
from db.schema import Event
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
            whole = [name for name, _ in listing.runs(connection, wanted, None, 100)]
            pages, after = [], None
            while some := listing.runs(connection, wanted, after, 2):
                pages += [name for name, _ in some]
                after = pages[-1]
        assert pages == whole and set(whole) <= set(names) and len(whole) > 4


def test_a_run_is_told_with_its_documents_and_moments(history, reader, tmp_path):
    name = filled.fill(history, tmp_path / "store")[1]
    with reader.connect() as connection:
        row = json.loads(listing.run(connection, name) or "")
        assert listing.run(connection, "nobody") is None
    assert (row["spec"], row["pinned_at"]) == ({"members": 4, "product": "demo"}, None)
    assert row["init_time"] == f"{filled.NOW - timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}"
    assert (row["products"]["count"], row["products"]["bytes"]) == (7, 7 * len(filled.CONTENT))
    assert row["products"]["lead_times_hours"] == sorted(set(row["products"]["lead_times_hours"]))


def test_what_the_database_writes_is_what_python_would_read(history, reader, run):
    """Whatever stands in a column: quotes, line ends and other alphabets, a fraction of a second, nothing at all."""
    at, message = NOW.replace(microsecond=120), 'failed:\n"ünì"\t\\ \u2028 x'
    with db.writing(history) as session:
        session.add(Event(run_id=run, at=at, kind="note", state=None, message=message))
    with reader.connect() as connection:
        mark, line = listing.events(connection, run, 0, 100)[-1]
    found = json.loads(line)
    assert (found["id"], found["kind"], found["state"], found["message"]) == (int(mark), "note", None, message)
    assert datetime.fromisoformat(found["at"]) == at


def test_a_key_is_verified_by_its_secret_alone(history):
    with db.writing(history) as session:
        key, written = api_keys.create(session, "desk", ["retry", "cancel"], NOW)
    with db.reading(history) as session:
        found = api_keys.verified(session, written, NOW)
        assert found is not None and (found.id, api_keys.scopes(found)) == (key.id, ["cancel", "retry"])
        assert api_keys.verified(session, written[:-2] + "xx", NOW) is None
        assert api_keys.verified(session, f"sc_{key.id}_", NOW) is None
        assert api_keys.verified(session, "", NOW) is None
