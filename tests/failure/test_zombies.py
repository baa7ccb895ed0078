"""A worker that sleeps past its lease and wakes up when another has done its work changes nothing any more."""

import os
import signal
from pathlib import Path

import pytest

from db import runs
from ops.executors.base import Kind
from publish.manifest import Manifest, verify
from publish.stores import open_store
from tests.failure.workers import Yard, ended, until

ASLEEP = [
    {"at": ("ops.stages:_publish", 3, "SIGSTOP")},
    {"at": ("publish.publisher:Publisher._release", 3, "SIGSTOP")},
    {"at": ("ops.recorder:Recorder.seal", 1, "SIGSTOP")},
    {"at": ("publish.publisher:Publisher._remove_remains", 1, "SIGSTOP")},
    {"at": ("publish.latest:advance", 1, "SIGSTOP")},
]
LEASE = {"lease__seconds": 4}


def is_asleep(pid: int) -> bool:
    return "State:\tT" in Path(f"/proc/{pid}/status").read_text()


def contents(yard: Yard) -> dict[str, bytes]:
    store = yard.settings.store.open()
    return {info.key: store.get(info.key) for info in store.list()}


def woken_too_late(yard: Yard, mishap: dict) -> None:
    zombie = yard.start(mishap)
    until(lambda: is_asleep(zombie.pid))
    row = yard.history.rows()[0]
    until(lambda: yard.history.rows()[0].lease_expires_at < yard.launcher._clock())
    assert yard.run().kind is Kind.PUBLISHED
    published = contents(yard)
    assert any(key.endswith("manifest.json") for key in published)
    os.kill(zombie.pid, signal.SIGCONT)
    end = ended(zombie)
    assert (end.kind, end.code) == (Kind.TAKEN, 5)
    assert contents(yard) == published
    after = yard.history.rows()[0]
    assert (after.id, after.state) == (row.id, "published")
    manifest = Manifest.from_json(next(value for key, value in published.items() if key.endswith("manifest.json")))
    assert verify(open_store_of(yard), manifest) == []
    told = [one.message for one in yard.history.told(runs.events, row.id) if one.state == "published"]
    assert len(told) == 1


def open_store_of(yard: Yard):
    options = yard.settings.store
    return open_store(options.url) if "://" not in options.url else options.open()


@pytest.mark.parametrize("mishap", ASLEEP, ids=lambda one: one["at"][0])
def test_in_a_directory_a_zombie_publishes_nothing(tmp_path, mishap):
    woken_too_late(Yard(tmp_path, **LEASE), mishap)


@pytest.mark.parametrize("mishap", [ASLEEP[1], ASLEEP[2]], ids=["lead time", "manifest"])
def test_on_s3_a_zombie_publishes_nothing(tmp_path, s3_environment, mishap):
    url = f"s3://{s3_environment.new_bucket()}/forecasts"
    woken_too_late(Yard(tmp_path, store__url=url, store__endpoint_url=s3_environment.endpoint_url, **LEASE), mishap)


def test_a_zombie_of_a_cancelled_run_leaves_its_successor_alone(tmp_path):
    import db
    from db import leases

    yard = Yard(tmp_path, **LEASE)
    zombie = yard.start({"at": ("ops.recorder:Recorder.seal", 1, "SIGSTOP")})
    until(lambda: is_asleep(zombie.pid))
    cancelled = yard.history.rows()[0].id
    with db.writing(yard.history.engine()) as session:
        leases.revoke(session, cancelled, yard.launcher._clock())
    os.kill(zombie.pid, signal.SIGCONT)
    assert ended(zombie).kind is Kind.TAKEN
    assert not [key for key in contents(yard) if key.endswith(("manifest.json", "latest.json"))]
    assert yard.run().kind is Kind.PUBLISHED
    states = {row.id: row.state for row in yard.history.rows()}
    assert states.pop(cancelled) == "cancelled" and list(states.values()) == ["published"]


def test_no_pointer_leads_to_a_run_that_was_retracted_before_its_publisher_woke(tmp_path):
    from ops import publications

    yard = Yard(tmp_path, **LEASE)
    zombie = yard.start({"at": ("publish.latest:advance", 1, "SIGSTOP")})
    until(lambda: is_asleep(zombie.pid))
    until(lambda: yard.history.rows()[0].lease_expires_at < yard.launcher._clock())
    assert yard.run().kind is Kind.PUBLISHED
    run_id = yard.history.rows()[0].id
    publications.retract(yard.history.engine(), yard.history.store, run_id, "wrong", yard.launcher._clock)
    assert "latest.json" not in contents(yard)
    os.kill(zombie.pid, signal.SIGCONT)
    assert ended(zombie).kind is Kind.TAKEN
    assert "latest.json" not in contents(yard)
