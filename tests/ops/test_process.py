"""Who is alive, and who beats."""

import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import pytest

import db
from db import leases, migrate, runs
from db.runs import Identity, NewRun
from ops import process
from ops.clock import utc_now
from ops.heartbeat import Heartbeat
from tests.ops.fakes import StillClock


def test_this_process_is_alive():
    assert not process.is_dead(process.this_process())


def test_a_process_that_was_killed_is_dead_before_and_after_it_is_waited_for():
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    started = process._started(sleeper.pid)
    me = process.this_process()
    owner = replace(me, pid=sleeper.pid, process=f"{me.process.rpartition('/')[0]}/{started}")
    assert not process.is_dead(owner)
    sleeper.kill()
    until = time.monotonic() + 10
    while not process.is_dead(owner) and time.monotonic() < until:
        time.sleep(0.01)
    assert process.is_dead(owner)
    sleeper.wait()
    assert process.is_dead(owner)


def test_a_later_process_of_the_same_number_is_another_one():
    me = process.this_process()
    assert process.is_dead(replace(me, process=f"{me.process.rpartition('/')[0]}/1"))


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"process": "another-boot/pid:[1]/1"}, {"process": ""}])
def test_nothing_is_said_of_processes_of_other_machines(change):
    assert not process.is_dead(replace(process.this_process(), **change))


@pytest.fixture
def held(tmp_path):
    engine = db.engine(f"sqlite:///{tmp_path}/history.db")
    migrate.upgrade_engine(engine)
    clock = StillClock()
    new = NewRun("run", Identity("m", clock(), "c"), "demo", "demo", "var", 1, {})
    with db.writing(engine) as session:
        runs.create(session, new, clock())
        lease = leases.acquire(session, "run", process.this_process(), clock(), lambda _owner: False)
    return engine, lease, clock


def test_a_beat_moves_the_end_of_the_lease(held):
    engine, lease, clock = held
    heartbeat = Heartbeat(engine, lease, timedelta(seconds=60), clock)
    clock.now += timedelta(seconds=45)
    heartbeat.beat()
    heartbeat.check()
    with db.reading(engine) as session:
        assert runs.get(session, "run").lease_expires_at == clock.now + timedelta(seconds=60)


def test_the_thread_beats_until_the_work_is_done(held):
    engine, lease, _clock = held
    heartbeat = Heartbeat(engine, lease, timedelta(seconds=0.2), utc_now)
    with heartbeat.beating():
        time.sleep(0.5)
    with db.reading(engine) as session:
        last = runs.get(session, "run").lease_renewed_at
    assert utc_now() - last < timedelta(seconds=30)
    assert last > lease_start(held)
    time.sleep(0.2)
    with db.reading(engine) as session:
        assert runs.get(session, "run").lease_renewed_at == last


def lease_start(held):
    return held[2]()


def test_a_run_taken_over_is_noticed_at_the_next_beat(held):
    engine, lease, clock = held
    heartbeat = Heartbeat(engine, lease, timedelta(seconds=60), clock)
    with db.writing(engine) as session:
        leases.acquire(session, "run", process.this_process(), clock(), lambda _owner: True)
    heartbeat.beat()
    with pytest.raises(db.LeaseLost):
        heartbeat.check()


def test_a_database_that_does_not_answer_is_asked_again(held, monkeypatch):
    from sqlalchemy.exc import OperationalError

    engine, lease, clock = held
    heartbeat = Heartbeat(engine, lease, timedelta(seconds=60), clock)

    def refuse(*_arguments, **_options):
        raise OperationalError("UPDATE", {}, Exception("no answer"))

    with monkeypatch.context() as patch:
        patch.setattr(leases, "renew", refuse)
        heartbeat.beat()
    heartbeat.check()
    heartbeat.beat()
    heartbeat.check()
