"""What the run history promises those who work on runs and look at them, on SQLite and PostgreSQL alike."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

import db
from db import leases, products, runs, stages
from db.runs import Filters, Identity
from db.schema import Product, Run
from db.states import AttemptState, RunState
from tests.contracts.histories import (
    CYCLE,
    ME,
    NEW,
    NOW,
    OTHER,
    everybody_is_dead,
    in_parallel,
    move_to,
    nobody_is_dead,
)


def test_a_live_owner_keeps_its_run_and_is_named(history, run):
    with db.writing(history) as session:
        leases.acquire(session, run, ME, NOW, nobody_is_dead)
    with (
        pytest.raises(db.LeaseHeld, match="process 101 on host-a.*7 s ago"),
        db.writing(history) as session,
    ):
        leases.acquire(session, run, OTHER, NOW + timedelta(seconds=7), nobody_is_dead)


def test_a_dead_owner_loses_its_run_at_once(history, run):
    with db.writing(history) as session:
        first = leases.acquire(session, run, ME, NOW, nobody_is_dead)
        second = leases.acquire(session, run, OTHER, NOW, everybody_is_dead)
    assert second.token > first.token
    with db.reading(history) as session:
        assert "process 101 on host-a" in runs.events(session, run)[-1].message


def test_a_silent_owner_loses_its_run_when_the_lease_expires(history, run):
    with db.writing(history) as session:
        leases.acquire(session, run, ME, NOW, nobody_is_dead)
    with db.writing(history) as session:
        leases.acquire(session, run, OTHER, NOW + leases.DURATION, nobody_is_dead)


def test_a_heartbeat_keeps_the_run(history, run):
    half = leases.DURATION / 2
    with db.writing(history) as session:
        lease = leases.acquire(session, run, ME, NOW, nobody_is_dead)
        leases.renew(session, lease, NOW + half)
    with pytest.raises(db.LeaseHeld), db.writing(history) as session:
        leases.acquire(session, run, OTHER, NOW + leases.DURATION, nobody_is_dead)


def test_a_zombie_can_neither_write_nor_publish(history, run):
    with db.writing(history) as session:
        zombie = leases.acquire(session, run, ME, NOW, nobody_is_dead)
        runs.transition(session, run, RunState.RUNNING, NOW, token=zombie.token)
        heir = leases.acquire(session, run, OTHER, NOW + leases.DURATION, nobody_is_dead)
    for forbidden in (
        lambda session: leases.fence(session, zombie),
        lambda session: leases.renew(session, zombie, NOW),
        lambda session: runs.transition(session, run, RunState.PUBLISHED, NOW, token=zombie.token),
    ):
        with (
            pytest.raises((db.LeaseLost, db.IllegalTransition)),
            db.writing(history) as session,
        ):
            forbidden(session)
    with db.writing(history) as session:
        leases.release(session, zombie)
        leases.fence(session, heir)


def test_a_released_run_is_free_and_its_old_lease_worthless(history, run):
    with db.writing(history) as session:
        lease = leases.acquire(session, run, ME, NOW, nobody_is_dead)
        leases.release(session, lease)
    with pytest.raises(db.LeaseLost), db.writing(history) as session:
        leases.fence(session, lease)
    with db.writing(history) as session:
        leases.acquire(session, run, OTHER, NOW, nobody_is_dead)


def test_a_revoked_run_is_cancelled_and_its_process_can_write_nothing(history, run):
    with db.writing(history) as session:
        lease = leases.acquire(session, run, ME, NOW, nobody_is_dead)
        runs.transition(session, run, RunState.RUNNING, NOW, token=lease.token)
        stages.begin(session, run, "integrate", ME, NOW)
    with db.writing(history) as session:
        leases.revoke(session, run, NOW, "cancelled by an operator")
    for forbidden in (leases.fence, lambda session, lease: leases.renew(session, lease, NOW)):
        with pytest.raises(db.LeaseLost), db.writing(history) as session:
            forbidden(session, lease)
    with db.reading(history) as session:
        row = runs.get(session, run)
        assert (row.state, leases.holder(row), row.ended_at) == ("cancelled", None, NOW)
        assert runs.events(session, run)[-1].message == "cancelled by an operator"
        assert [one.state for one in stages.attempts(session, run)] == ["interrupted"]


@pytest.mark.parametrize("ended", [RunState.PUBLISHED, RunState.CANCELLED])
def test_what_is_published_or_cancelled_is_not_revoked(history, run, ended):
    move_to(history, run, RunState.RUNNING, ended)
    refused = pytest.raises(db.IllegalTransition, match=f"cannot become cancelled: it is {ended}")
    with refused, db.writing(history) as session:
        leases.revoke(session, run, NOW)


def test_of_many_processes_that_want_a_run_one_gets_it(history, run):
    leases_got, refused = [], []

    def acquire() -> None:
        try:
            with db.writing(history) as session:
                leases_got.append(leases.acquire(session, run, ME, NOW, nobody_is_dead))
        except db.LeaseHeld as error:
            refused.append(error)

    in_parallel(acquire, count=6)
    assert (len(leases_got), len(refused)) == (1, 5)


def test_attempts_are_counted_and_a_stage_stands_where_its_last_attempt_does(history, run):
    later = NOW + timedelta(minutes=5)
    with db.writing(history) as session:
        first = stages.begin(session, run, "fetch", ME, NOW)
        stages.end(session, first, AttemptState.FAILED, later, "no such file")
        second = stages.begin(session, run, "fetch", OTHER, later)
        assert (first.number, second.number) == (1, 2)
        assert not stages.is_done(session, run, "fetch")
        stages.end(session, second, AttemptState.DONE, later)
        assert stages.is_done(session, run, "fetch")
    with db.reading(history) as session:
        tries = [(one.number, one.state, one.error, one.host) for one in stages.attempts(session, run)]
        stage = stages.of_run(session, run)[0]
    assert tries == [
        (1, "failed", "no such file", "host-a"),
        (2, "done", None, "host-b"),
    ]
    assert (stage.state, stage.started_at, stage.ended_at) == ("done", NOW, later)


def test_what_a_killed_process_left_open_is_closed_as_interrupted(history, run):
    with db.writing(history) as session:
        stages.begin(session, run, "integrate", ME, NOW)
        assert stages.interrupt_open(session, run, NOW) == 1
        assert stages.interrupt_open(session, run, NOW) == 0
    with db.reading(history) as session:
        assert stages.attempts(session, run)[0].state == stages.of_run(session, run)[0].state == "interrupted"


def product(key: str, lead: int | None, size: int = 10, kind: str = "grib") -> products.NewProduct:
    return products.NewProduct(key, kind, lead, size, "a" * 64, {"members": [0, 1]})


def test_recording_products_twice_changes_nothing(history, run):
    published = [
        product("b", 6),
        product("a", 0),
        product("manifest.json", None, kind="manifest"),
    ]
    for moment in (NOW, NOW + timedelta(hours=1)):
        with db.writing(history) as session:
            products.record(session, run, published, moment)
    with db.reading(history) as session:
        rows = products.of_run(session, run)
        assert [row.key for row in rows] == ["a", "b", "manifest.json"]
        assert {row.published_at for row in rows} == {NOW}
        assert rows[0].details == {"members": [0, 1]}
        assert products.count_and_bytes(session, run) == (3, 30)
        assert products.published_lead_times(session, run) == [0, 6]


def test_products_are_chosen_by_lead_time_and_kind(history, run):
    with db.writing(history) as session:
        products.record(
            session,
            run,
            [product("a", 0), product("b", 6), product("c", 6, kind="netcdf")],
            NOW,
        )
    with db.reading(history) as session:
        assert [row.key for row in products.of_run(session, run, [6])] == ["b", "c"]
        assert [row.key for row in products.of_run(session, run, [6], ["netcdf"])] == ["c"]
        assert products.of_run(session, run, [12]) == []


def test_products_larger_than_two_gigabytes_are_counted(history, run):
    with db.writing(history) as session:
        products.record(session, run, [product("a", 0, 3 * 2**31), product("b", 0, 3 * 2**31)], NOW)
        assert products.count_and_bytes(session, run) == (2, 6 * 2**31)


def test_a_product_of_no_run_is_refused(history):
    with pytest.raises(IntegrityError), db.writing(history) as session:
        products.record(session, "no-such-run", [product("a", 0)], NOW)


def test_inputs_and_losses_are_noted_once(history, run):
    read = products.NewInput("file:///a.grib2", "files", "f" * 64, 123, CYCLE, {"format": "GRIB"})
    for _ in range(2):
        with db.writing(history) as session:
            products.record_inputs(session, run, [read])
            products.record_losses(session, run, [products.NewLoss(3, 48, "not finite")], NOW)
    with db.reading(history) as session:
        assert [(row.uri, row.bytes, row.valid_time) for row in products.inputs(session, run)] == [
            ("file:///a.grib2", 123, CYCLE)
        ]
        assert [(row.member, row.lead_time_hours, row.reason) for row in products.losses(session, run)] == [
            (3, 48, "not finite")
        ]


def test_a_state_that_does_not_exist_is_refused_by_the_database(history, run):
    with pytest.raises(IntegrityError), db.writing(history) as session:
        session.execute(update(Run).values(state="flying"))


def test_deleting_a_run_deletes_what_belongs_to_it(history, run):
    with db.writing(history) as session:
        products.record(session, run, [product("a", 0)], NOW)
        stages.begin(session, run, "fetch", ME, NOW)
    with db.writing(history) as session:
        session.delete(runs.get(session, run))
    with db.reading(history) as session:
        assert session.query(Product).count() == 0


def test_runs_are_listed_last_first_and_filtered(history):
    for number in range(4):
        identity = Identity("m" * 64, CYCLE + timedelta(hours=6 * number), "c" * 64)
        new = replace(
            NEW,
            id=f"run-{number}",
            identity=identity,
            model_name="demo" if number < 3 else "other",
        )
        with db.writing(history) as session:
            runs.create(session, new, NOW + timedelta(minutes=number))
    move_to(history, "run-1", RunState.RUNNING)

    def listed(**filters) -> list[str]:
        with db.reading(history) as session:
            return [run.id for run in runs.search(session, Filters(**filters))]

    assert listed() == ["run-3", "run-2", "run-1", "run-0"]
    assert listed(state=RunState.RUNNING) == ["run-1"]
    assert listed(model="other") == ["run-3"]
    assert listed(since=CYCLE + timedelta(hours=6), until=CYCLE + timedelta(hours=12)) == ["run-2", "run-1"]
    assert listed(source="files", purpose="forecast") == ["run-3", "run-2", "run-1", "run-0"]
    assert listed(source="gfs") == listed(purpose="hindcast") == []
    made = {"created_since": NOW + timedelta(minutes=1), "created_until": NOW + timedelta(minutes=2)}
    assert listed(**made) == ["run-2", "run-1"]


def test_pages_of_runs_join_even_where_runs_were_made_at_one_moment(history):
    for number in range(7):
        new = replace(NEW, id=f"run-{number}", identity=replace(NEW.identity, config_hash=f"{number}" * 64))
        with db.writing(history) as session:
            runs.create(session, new, NOW + timedelta(minutes=number // 3))
    found: list[str] = []
    with db.reading(history) as session:
        page = runs.search(session, limit=2)
        while page:
            found += [run.id for run in page]
            page = runs.search(session, limit=2, after=page[-1])
    assert found == [f"run-{number}" for number in range(6, -1, -1)]


def test_a_failed_run_is_due_again_at_once_when_it_is_to_be_tried_again(history, run):
    move_to(history, run, RunState.RUNNING, RunState.FAILED)
    with db.writing(history) as session:
        runs.amend(session, run, failures=5)
        runs.try_again(session, run, NOW, "tried again by an operator")
        row = runs.get(session, run)
        assert (row.failures, row.next_try_at, row.state) == (0, NOW, "failed")
        assert runs.events(session, run)[-1].message == "tried again by an operator"


def test_a_run_that_is_running_is_not_tried_again(history, run):
    move_to(history, run, RunState.RUNNING)
    refused = pytest.raises(db.IllegalTransition, match="cannot be tried again: it is running")
    with refused, db.writing(history) as session:
        runs.try_again(session, run, NOW, "again")


def test_a_run_answers_to_the_beginning_of_its_name(history, run):
    with db.writing(history) as session:
        other = replace(NEW, id="run-12", identity=replace(NEW.identity, config_hash="d" * 64))
        runs.create(session, other, NOW + timedelta(seconds=1))
    with db.reading(history) as session:
        assert runs.find(session, "run-12").id == "run-12"
        assert runs.find(session, "run-1").id == "run-1"
        assert runs.find(session, "latest").id == "run-12"
        with pytest.raises(db.UnknownRun, match="no run 'latest'"):
            runs.find(session, "latest", with_products=True)
        with pytest.raises(db.UnknownRun, match="several"):
            runs.find(session, "run")
        for nonsense in ("nothing", "%", "run_1"):
            with pytest.raises(db.UnknownRun, match="no run"):
                runs.find(session, nonsense)


def test_the_standing_run_of_an_identity_is_found_before_a_failed_one(history, run):
    move_to(history, run, RunState.FAILED)
    with db.reading(history) as session:
        found = runs.with_identity(session, NEW.identity)
    assert found is not None and found.id == run
    with db.writing(history) as session:
        runs.create(session, replace(NEW, id="run-2"), NOW - timedelta(days=1))
    with db.reading(history) as session:
        found = runs.with_identity(session, NEW.identity)
        assert found is not None and found.id == "run-2"
        assert runs.with_identity(session, replace(NEW.identity, config_hash="other")) is None
