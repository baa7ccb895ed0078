"""Raising and resolving: idempotent, within a transaction or alone, and never a reason to fail."""

import pytest

import db
from db import alerts as table
from db import migrate
from ops import alerts
from tests.ops.fakes import StillClock

NOW = StillClock().now


@pytest.fixture
def engine(tmp_path):
    bound = db.engine(f"sqlite:///{tmp_path}/history.db")
    migrate.upgrade_engine(bound)
    return bound


def standing(engine) -> list[tuple[str, str]]:
    with db.reading(engine) as session:
        return [(one.kind, one.subject) for one in table.standing(session)]


def test_raised_twice_is_open_once_and_resolved_once(engine):
    assert alerts.raise_(engine, "late", "2026-11-21T06", "no products", now=NOW)
    assert not alerts.raise_(engine, "late", "2026-11-21T06", "still no products", now=NOW)
    assert standing(engine) == [("late", "2026-11-21T06")]
    assert alerts.resolve(engine, "late", "2026-11-21T06", now=NOW)
    assert not alerts.resolve(engine, "late", "2026-11-21T06", now=NOW)
    assert standing(engine) == []


def test_within_a_transaction_that_is_undone_nothing_is_raised(engine):
    with pytest.raises(RuntimeError), db.writing(engine) as session:
        assert alerts.raise_(session, "poison", "run-1", "failed three times", now=NOW)
        raise RuntimeError
    assert standing(engine) == []


def test_a_database_that_is_away_is_no_reason_to_fail(tmp_path, capsys):
    bound = db.engine(f"sqlite:///{tmp_path}/empty.db")
    assert not alerts.raise_(bound, "disk", "store", "full", now=NOW)
    assert not alerts.resolve(bound, "disk", "store", now=NOW)
    assert "an alert could not be recorded" in "".join(capsys.readouterr())


def test_a_password_in_a_message_is_masked_and_a_long_subject_cut(engine):
    alerts.raise_(engine, "database", "x" * 300, "postgresql://app:s3cret@host/db does not answer", now=NOW)
    with db.reading(engine) as session:
        (row,) = table.standing(session)
    assert "s3cret" not in row.message and len(row.subject) == 200
    assert alerts.resolve(engine, "database", "x" * 300, now=NOW)


def test_an_unknown_kind_is_refused(engine):
    with pytest.raises(ValueError, match="sunny"):
        alerts.raise_(engine, "sunny", "today", "", now=NOW)
