"""What migrations promise of a history with data, forward and back; SQLite and PostgreSQL pass the same suite."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, delete, func, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import db
from db import migrate, products, publications, runs, stages
from db.products import NewInput, NewLoss, NewProduct
from db.schema import Alert, AlertNotice, ApiKey, Arrival, Base, Daemon, Order, Run, Worker
from db.states import AttemptState, RunState
from tests.contracts.histories import CYCLE, ME, NEW, NOW

REVISIONS = migrate.revisions()
OLDER = REVISIONS[:-1]
LATER = NOW + timedelta(hours=1)

Rows = list[dict[str, Any]]


def fill(history: Engine) -> None:
    """Runs in every state, one of them retracted with another in its place, and something in every table."""
    with db.writing(history) as session:
        for number, state in enumerate(RunState):
            init_time = CYCLE - number * timedelta(hours=6)
            run_of(session, f"run-{state}", replace(NEW.identity, init_time=init_time), state)
        withdrawn = replace(NEW.identity, init_time=CYCLE - timedelta(days=3))
        run_of(session, "run-retracted", withdrawn, RunState.PUBLISHED)
        publications.retract(session, "run-retracted", "the ice was missing", LATER)
        run_of(session, "run-in-its-place", withdrawn, RunState.PUBLISHED)
        session.execute(text("UPDATE runs SET pinned_at = created_at WHERE id = 'run-in-its-place'"))
        publications.supersede(session, "run-published", "run-in-its-place", LATER)
        session.add_all(of_the_daemon())


def run_of(session: Session, name: str, identity: runs.Identity, state: RunState) -> None:
    run = runs.create(session, replace(NEW, id=name, identity=identity, seeds={"members": [0, 1]}), NOW)
    stages.end(session, stages.begin(session, name, "fetch", ME, NOW), AttemptState.DONE, LATER)
    products.record_inputs(session, name, [NewInput("file:///a", "files", "a" * 64, 10**10, CYCLE, {"of": "a"})])
    products.record(session, name, [NewProduct(f"{name}/x", "members", 6, 10**10, "b" * 64, {"levels": [500]})], NOW)
    products.record_losses(session, name, [NewLoss(3, 48, "wind above 150 m/s")], NOW)
    run.state, run.failures, run.progress, run.next_try_at = state, 2, {"stage": "integrate"}, LATER


def of_the_daemon() -> list[Base]:
    alert = Alert(id=1, kind="late", subject="06", run_id="run-failed", message="late", raised_at=NOW)
    notice = AlertNotice(alert_id=1, turn="raised", channel="mail", claimed_until=NOW)
    return [
        Worker(run_id="run-published", host="host", pid=8, started_at=NOW, reason="published", cpu_seconds=1.5),
        Daemon(id="d", host="host", pid=9, version="1", started_at=NOW, seen_at=NOW),
        Order(init_time=CYCLE, purpose="hindcast", options={"a": 2}, ordered_at=NOW, run_id="run-failed"),
        alert,
        notice,
        ApiKey(id="k", name="key", secret_sha256="c" * 64, scopes=["runs"], created_at=NOW),
        Arrival(source="gfs", init_time=CYCLE, incomplete_at=NOW, complete_at=LATER),
    ]


@pytest.fixture
def filled(history) -> Engine:
    fill(history)
    return history


def contents(bound: Engine) -> dict[str, Rows]:
    """Every row of every table, as the database itself has them."""
    tables = MetaData()
    tables.reflect(bound)
    with bound.connect() as connection:
        return {
            name: sorted(
                ([dict(row) for row in connection.execute(select(table)).mappings()]),
                key=lambda row: str([row[column.name] for column in table.primary_key] or row),
            )
            for name, table in tables.tables.items()
            if name != "alembic_version"
        }


def structure(bound: Engine) -> dict[str, Any]:
    """Columns, keys, constraints and indices of every table, in an order of their own."""
    looked, where = inspect(bound), f"{bound.dialect.name}_where"
    return {
        table: {
            "columns": sorted((c["name"], str(c["type"]), c["nullable"]) for c in looked.get_columns(table)),
            "primary": looked.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (k["name"], k["constrained_columns"], k["referred_table"], str(k["options"]))
                for k in looked.get_foreign_keys(table)
            ),
            "checks": sorted((c["name"], c["sqltext"]) for c in looked.get_check_constraints(table)),
            "indices": sorted(
                (i["name"], i["column_names"], i["unique"], str(i["dialect_options"].get(where)))
                for i in looked.get_indexes(table)
            ),
        }
        for table in looked.get_table_names()
    }


def kept(rows: Rows, columns: Mapping[str, Any]) -> Rows:
    return [{name: value for name, value in row.items() if name in columns} for row in rows]


def as_older_tables_hold_it(before: dict[str, Rows], after: dict[str, Rows]) -> dict[str, Rows]:
    """What was there, in the tables and columns that are left; a run that was retracted is one that was cancelled."""
    expected = {name: kept(before[name], rows[0]) if rows else before[name] for name, rows in after.items()}
    if "retracted_at" not in after["runs"][0]:
        retracted = {row["id"] for row in before["runs"] if row.get("retracted_at")}
        for row in expected["runs"]:
            row["state"] = "cancelled" if row["id"] in retracted else row["state"]
    return expected


def test_the_history_of_these_tests_has_rows_in_every_table(filled):
    assert [name for name, rows in contents(filled).items() if not rows] == []
    assert set(contents(filled)) == set(Base.metadata.tables)


@pytest.mark.parametrize("target", OLDER)
def test_going_back_loses_nothing_that_the_older_tables_hold(filled, target):
    before = contents(filled)
    assert migrate.downgrade_engine(filled, target) == target
    after = contents(filled)
    assert after == as_older_tables_hold_it(before, after)


def test_going_back_step_by_step_and_forward_again_loses_nothing_that_the_oldest_tables_hold(filled):
    for target in reversed(OLDER):
        migrate.downgrade_engine(filled, target)
    oldest = contents(filled)
    for target in REVISIONS[1:]:
        assert migrate.upgrade_engine(filled, target) == target
    again = contents(filled)
    assert {name: kept(again[name], rows[0]) for name, rows in oldest.items()} == oldest
    assert migrate.differences(filled) == []
    with db.reading(filled) as session:
        assert {(run.purpose, run.failures, run.progress) for run in session.scalars(select(Run))} == {
            ("forecast", 0, None)
        }


@pytest.mark.parametrize("target", OLDER)
def test_tables_taken_back_are_those_that_were_built_so(filled, target):
    migrate.downgrade_engine(filled, target)
    taken_back = structure(filled)
    migrate.downgrade_engine(filled, "base")
    migrate.upgrade_engine(filled, target)
    assert taken_back == structure(filled)


@pytest.mark.parametrize("target", OLDER)
def test_tables_brought_forward_with_data_are_those_that_are_built_at_once(filled, target):
    newest = structure(filled)
    migrate.downgrade_engine(filled, target)
    migrate.upgrade_engine(filled)
    assert structure(filled) == newest


def test_after_going_back_and_forward_keys_and_uniqueness_still_hold(filled):
    migrate.downgrade_engine(filled, REVISIONS[0])
    migrate.upgrade_engine(filled)
    with pytest.raises(IntegrityError), db.writing(filled) as session:
        session.execute(text("UPDATE runs SET state = 'running' WHERE id = 'run-retracted'"))
    with pytest.raises(IntegrityError), db.writing(filled) as session:
        session.execute(text("UPDATE events SET run_id = 'nobody'"))
    with db.writing(filled) as session:
        session.execute(delete(Run).where(Run.id == "run-published"))
        left = session.scalar(text("SELECT count(*) FROM products WHERE run_id = 'run-published'"))
        assert (left, session.scalar(select(func.count()).select_from(Run))) == (0, len(RunState) + 1)


def test_a_retracted_run_stays_given_up_where_nobody_can_be_retracted(filled):
    migrate.downgrade_engine(filled, "0001")
    with filled.connect() as connection:
        told = connection.scalar(text("SELECT message FROM events WHERE kind = 'retracted'"))
        state = connection.scalar(text("SELECT state FROM runs WHERE id = 'run-retracted'"))
    assert "the ice was missing" in told
    assert state == "cancelled"
