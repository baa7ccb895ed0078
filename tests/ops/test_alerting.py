"""What is wrong is an alert as long as it is wrong, and no longer."""

import socket
from collections import namedtuple
from datetime import timedelta

import pytest

from db.states import RunState
from ops.alerting import evaluate
from tests.ops.histories_of_alerts import CYCLE, HOUR, MINUTE, Watched

LATE = ("late", "tiny 2026-11-21 06 UTC")
DAY = timedelta(days=1)


@pytest.fixture
def watched(tmp_path) -> Watched:
    return Watched(tmp_path, daemon__cycles=(6,))


def test_a_cycle_is_late_from_its_objective_until_it_is_published(watched):
    watched.daemon()
    watched.begin()
    watched.now = CYCLE + 9 * HOUR - MINUTE
    assert watched.evaluate() == []
    watched.now += MINUTE
    assert watched.evaluate() == [LATE]
    assert watched.last().message == "not published 9 h 00 min after its cycle, when it was to be: run run-1 is running"
    watched.now += 35 * MINUTE
    watched.end()
    assert watched.evaluate() == []
    assert watched.last().resolution == "published at 15:35 UTC, 35 min after its objective, by run run-1"


def test_a_cycle_that_nobody_began_is_late_where_a_daemon_should_have(watched):
    watched.now = CYCLE + 10 * HOUR
    assert watched.evaluate() == []
    watched.daemon(started_at=CYCLE + HOUR)
    assert watched.evaluate() == []
    watched.daemon(started_at=CYCLE - HOUR)
    assert watched.evaluate() == [LATE]
    assert "no run was begun" in watched.last().message


def test_each_cycle_has_its_own_objective(tmp_path):
    watched = Watched(tmp_path, daemon__cycles=(0, 6), alerts__objectives={"00": 16})
    watched.daemon(started_at=CYCLE - 7 * HOUR)
    watched.now = CYCLE + 9 * HOUR
    assert watched.evaluate() == [LATE]
    watched.now = CYCLE + 10 * HOUR
    assert watched.evaluate() == [("late", "tiny 2026-11-21 00 UTC"), LATE]


def test_a_cancelled_cycle_is_not_late(watched):
    watched.daemon()
    watched.begin()
    watched.now += 10 * HOUR
    assert watched.evaluate() == [LATE]
    watched.end(state=RunState.CANCELLED)
    assert watched.evaluate() == []
    assert "cancelled" in watched.last().resolution


def test_a_cycle_that_never_came_is_waited_for_no_longer_than_three_days(watched):
    watched.daemon()
    watched.now = CYCLE + 10 * HOUR
    assert watched.evaluate() == [LATE]
    watched.now = CYCLE + 3 * DAY + HOUR
    assert LATE not in watched.evaluate()


def test_a_hindcast_is_never_late(watched):
    watched.begin(purpose="hindcast")
    watched.now += 10 * HOUR
    assert watched.evaluate() == []


def test_another_models_lateness_is_not_ours_to_end(watched, tmp_path):
    watched.daemon()
    watched.begin()
    watched.now += 10 * HOUR
    assert watched.evaluate() == [LATE]
    other = Watched(tmp_path, forecast__model="other", daemon__cycles=(18,))
    other.now = watched.now
    assert other.evaluate() == [LATE]


def test_a_run_that_failed_is_told_until_it_is_published(watched):
    watched.begin()
    watched.end(state=RunState.FAILED, error="the device fell off the bus", failures=1, next_try_at=CYCLE + 5 * MINUTE)
    assert watched.evaluate() == [("failed", "run-1")]
    assert "is tried again at 06:05 UTC: the device fell off the bus" in watched.last().message
    watched.end(state=RunState.RUNNING)
    watched.amend(failures=0)
    assert watched.evaluate() == [("failed", "run-1")]
    watched.now += HOUR
    watched.end()
    assert watched.evaluate() == []
    assert watched.last().resolution == "published at 07:00 UTC"


def test_a_run_that_failed_too_often_is_poison_and_told_once(watched):
    watched.begin()
    watched.end(state=RunState.FAILED, error="no such file", failures=5, next_try_at=None)
    assert watched.evaluate() == [("poison", "run-1")]
    assert "given up after 5 tries: no such file" in watched.last().message
    watched.amend(failures=0, next_try_at=CYCLE)
    assert ("poison", "run-1") not in watched.evaluate()


def test_a_failed_run_whose_cycle_another_published_is_right(watched):
    watched.begin()
    watched.end(state=RunState.FAILED, error="x")
    assert watched.evaluate() == [("failed", "run-1")]
    watched.begin("run-2")
    watched.end("run-2")
    assert watched.evaluate() == []
    assert watched.last().resolution == "the cycle was published by run run-2"


def test_an_old_failure_is_history(watched):
    watched.begin()
    watched.end(state=RunState.FAILED, error="x")
    watched.now += 4 * DAY
    assert watched.evaluate() == []


def test_a_degraded_start_is_told_until_the_next_start_is_as_planned(watched):
    worse = {"mode": "age", "what": "analysis of 2026-11-21 00", "why": "the one of 06 UTC is not there"}
    watched.begin(provenance={"plan": {"degraded": [worse]}})
    assert watched.evaluate() == [("degraded", "tiny")]
    assert "analysis of 2026-11-21 00: the one of 06 UTC is not there" in watched.last().message
    watched.end()
    assert watched.evaluate() == [("degraded", "tiny")]
    watched.begin("run-2", CYCLE + DAY, provenance={"plan": {"degraded": []}})
    assert watched.evaluate() == []
    assert "run-2" in watched.last().resolution


def test_a_run_taken_over_from_a_dead_process_is_told_until_it_ends(watched):
    watched.begin()
    watched.happened("takeover", "taken over from process 12 on host-a, which is gone")
    assert watched.evaluate() == [("lease-lost", "run-1")]
    watched.end()
    assert watched.evaluate() == []


def test_a_feed_is_late_by_its_habits_until_it_comes(watched):
    for day in range(1, 11):
        watched.arrived(CYCLE - day * DAY, 4 * HOUR)
    watched.now = CYCLE + 4.9 * HOUR
    watched.arrived(CYCLE, None)
    assert watched.evaluate() == []
    watched.now = CYCLE + 5 * HOUR
    assert watched.evaluate() == [("feed", "gfs 2026-11-21 06 UTC")]
    watched.arrived(CYCLE, 5.5 * HOUR)
    assert watched.evaluate() == []
    assert watched.last().resolution == "complete at 11:30 UTC"


def test_a_feed_whose_cycle_was_published_without_it_is_not_missed(watched):
    for day in range(1, 11):
        watched.arrived(CYCLE - day * DAY, 4 * HOUR)
    watched.now = CYCLE + 8 * HOUR
    watched.arrived(CYCLE, None)
    assert watched.evaluate() == [("feed", "gfs 2026-11-21 06 UTC")]
    watched.begin()
    watched.end()
    assert watched.evaluate() == []


def test_a_disk_is_full_below_its_limit_and_free_well_above(watched, tmp_path, monkeypatch):
    usage, free = namedtuple("usage", "total used free"), [20 * 2**30]
    monkeypatch.setattr("ops.disk.shutil.disk_usage", lambda _path: usage(100 * 2**30, 0, free[0]))
    watched = Watched(tmp_path, alerts__disk_free_gib=10)
    assert watched.evaluate() == []
    free[0] = 9 * 2**30
    full = watched.evaluate()
    places = ("cache", "database", "models", "store", "work")
    assert full == [("disk", f"{socket.gethostname()} {place}") for place in places]
    free[0] = int(10.5 * 2**30)
    assert watched.evaluate() == full
    free[0] = 12 * 2**30
    assert watched.evaluate() == []


def test_another_hosts_disk_is_not_ours_to_end(watched):
    from ops import alerts

    alerts.raise_(watched.engine, "disk", "elsewhere work", "full", now=CYCLE)
    assert watched.evaluate() == [("disk", "elsewhere work")]


def test_what_nobody_here_judges_stays_open(watched):
    from ops import alerts

    alerts.raise_(watched.engine, "device-lost", "host-a", "CUDA_ERROR", now=CYCLE)
    alerts.raise_(watched.engine, "feed", "gfs", "did not answer five times in a row", now=CYCLE)
    assert watched.evaluate() == [("device-lost", "host-a"), ("feed", "gfs")]


def test_without_a_database_nothing_is_raised(watched, capsys):
    import db

    away = db.engine("postgresql://app@127.0.0.1:1/nowhere")
    assert evaluate(away, watched.settings, watched.clock) == 0
    assert "alerts were not evaluated" in "".join(capsys.readouterr())


def test_a_rule_that_fails_takes_no_other_with_it(watched, monkeypatch, capsys):
    def broken(_settings: object) -> list:
        raise OSError("no such device")

    monkeypatch.setattr("ops.alerting.space.disk.spaces", broken)
    watched.daemon()
    watched.now = CYCLE + 10 * HOUR
    assert watched.evaluate() == [LATE]
    assert "no such device" in "".join(capsys.readouterr())
