"""What the run history promises of tables, times and states; SQLite and PostgreSQL pass the same suite."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError

import db
from db import migrate, runs
from db.states import TRANSITIONS, RunState
from tests.contracts.histories import CYCLE, NEW, NOW, in_parallel, move_to, state_of


def test_migrations_build_exactly_the_tables_of_the_models(history):
    assert migrate.differences(history) == []


def test_a_migrated_database_is_at_head_and_upgrading_again_changes_nothing(history, database_url):
    migrate.require_head(history)
    assert migrate.upgrade(database_url) == migrate.head() == migrate.revision(history)


def test_upgrading_keeps_the_runs_that_are_there(history, run):
    migrate.upgrade_engine(history)
    assert state_of(history, run) == RunState.CREATED


def test_migrations_go_back_to_an_empty_database(history):
    migrate.downgrade_engine(history, "base")
    assert migrate.revision(history) is None
    assert migrate.upgrade_engine(history) == migrate.head()


def test_an_empty_database_asks_for_an_upgrade(empty):
    with pytest.raises(db.SchemaMismatch, match="sigmacast db upgrade"):
        migrate.require_head(empty)


def test_a_database_from_the_future_is_left_alone(history):
    with db.writing(history) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(db.SchemaMismatch, match="newer"):
        migrate.require_head(history)
    with pytest.raises(db.SchemaMismatch, match="newer"):
        migrate.upgrade_engine(history)


def test_upgrades_at_the_same_time_do_not_collide(database_url):
    reached: list[str] = []
    in_parallel(lambda: reached.append(migrate.upgrade(database_url)), count=3)
    assert reached == [migrate.head()] * 3


def test_a_moment_comes_back_aware_in_utc_and_to_the_microsecond(history, run):
    with db.reading(history) as session:
        read = runs.get(session, run)
    assert read.created_at == NOW and read.created_at.utcoffset() == timedelta(0)
    assert read.init_time == CYCLE


def test_a_moment_in_another_zone_is_the_same_moment(history):
    local = NOW.astimezone(timezone(timedelta(hours=-5)))
    with db.writing(history) as session:
        runs.create(session, NEW, local)
    with db.reading(history) as session:
        assert runs.get(session, NEW.id).created_at == NOW


def test_moments_before_1970_and_far_ahead_survive(history):
    for number, init_time in enumerate((datetime(1959, 1, 2, tzinfo=UTC), datetime(2200, 1, 1, 18, tzinfo=UTC))):
        new = replace(NEW, id=f"run-{number}", identity=replace(NEW.identity, init_time=init_time))
        with db.writing(history) as session:
            runs.create(session, new, NOW)
        with db.reading(history) as session:
            assert runs.get(session, new.id).init_time == init_time


def test_a_moment_without_a_zone_is_refused(history):
    with pytest.raises(StatementError, match="aware"), db.writing(history) as session:
        runs.create(session, NEW, NOW.replace(tzinfo=None))


def test_a_second_run_of_the_same_identity_is_refused(history, run):
    with pytest.raises(db.RunExists), db.writing(history) as session:
        runs.create(session, replace(NEW, id="run-2"), NOW)


@pytest.mark.parametrize("end", [RunState.FAILED, RunState.CANCELLED])
def test_a_run_given_up_leaves_room_for_another(history, run, end):
    move_to(history, run, end)
    with db.writing(history) as session:
        runs.create(session, replace(NEW, id="run-2"), NOW)
    with pytest.raises(db.RunExists), db.writing(history) as session:
        runs.create(session, replace(NEW, id="run-3"), NOW)


def test_a_failed_run_cannot_come_back_beside_the_one_that_replaced_it(history, run):
    move_to(history, run, RunState.FAILED)
    with db.writing(history) as session:
        runs.create(session, replace(NEW, id="run-2"), NOW)
    with pytest.raises(IntegrityError), db.writing(history) as session:
        runs.transition(session, run, RunState.RUNNING, NOW)


def test_of_many_processes_that_create_the_same_run_one_succeeds(history):
    created, refused = [], []

    def create() -> None:
        try:
            with db.writing(history) as session:
                created.append(runs.create(session, replace(NEW, id=f"run-{uuid4().hex}"), NOW).id)
        except db.RunExists as error:
            refused.append(error)

    in_parallel(create, count=6)
    assert (len(created), len(refused)) == (1, 5)


PATHS = {
    RunState.CREATED: (),
    RunState.RUNNING: (RunState.RUNNING,),
    RunState.INTERRUPTED: (RunState.RUNNING, RunState.INTERRUPTED),
    RunState.PUBLISHED: (RunState.RUNNING, RunState.PUBLISHED),
    RunState.FAILED: (RunState.RUNNING, RunState.FAILED),
    RunState.CANCELLED: (RunState.CANCELLED,),
}


@pytest.mark.parametrize("start", list(RunState))
def test_only_legal_transitions_happen(history, start):
    for target in RunState:
        new = replace(
            NEW,
            id=f"to-{target}",
            identity=replace(NEW.identity, config_hash=f"{target:c<64}"),
        )
        with db.writing(history) as session:
            runs.create(session, new, NOW)
        move_to(history, new.id, *PATHS[start])
        if target in TRANSITIONS[start]:
            move_to(history, new.id, target)
            assert state_of(history, new.id) == target
        else:
            with pytest.raises(db.IllegalTransition, match=f"it is {start}"):
                move_to(history, new.id, target)
            assert state_of(history, new.id) == start


def test_every_change_of_state_is_an_event_with_its_time(history, run):
    move_to(
        history,
        run,
        RunState.RUNNING,
        RunState.INTERRUPTED,
        RunState.RUNNING,
        RunState.PUBLISHED,
    )
    with db.reading(history) as session:
        told = [(event.state, event.at) for event in runs.events(session, run)]
    expected = ["created", "running", "interrupted", "running", "published"]
    assert told == [(state, NOW) for state in expected]


def test_a_run_keeps_its_first_start_and_gets_its_end(history, run):
    later = NOW + timedelta(hours=1)
    move_to(history, run, RunState.RUNNING, RunState.INTERRUPTED)
    with db.writing(history) as session:
        runs.transition(session, run, RunState.RUNNING, later)
        runs.transition(session, run, RunState.FAILED, later, error="the disk is full")
    with db.reading(history) as session:
        row = runs.get(session, run)
    assert (row.started_at, row.ended_at, row.error) == (NOW, later, "the disk is full")


def test_of_many_processes_that_move_a_run_one_succeeds(history, run):
    move_to(history, run, RunState.RUNNING)
    moved, refused = [], []

    def publish() -> None:
        try:
            with db.writing(history) as session:
                runs.transition(session, run, RunState.PUBLISHED, NOW)
            moved.append(True)
        except db.IllegalTransition:
            refused.append(True)

    in_parallel(publish, count=6)
    assert (len(moved), len(refused)) == (1, 5)


def test_a_transition_undone_leaves_neither_state_nor_event(history, run):
    with pytest.raises(RuntimeError), db.writing(history) as session:
        runs.transition(session, run, RunState.RUNNING, NOW)
        raise RuntimeError("killed")
    assert state_of(history, run) == RunState.CREATED
    with db.reading(history) as session:
        assert len(runs.events(session, run)) == 1
