"""Metrics: read from the history by whoever is asked, few series whatever happens, each one documented."""

import re
import shutil
import subprocess
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

import db
from db import products, stages
from db.leases import Owner
from db.products import NewLoss
from db.schema import Order, Worker
from db.states import AttemptState, RunState
from ops import alerts
from ops.metrics import exposition
from tests.ops.histories_of_alerts import CYCLE, HOUR, MINUTE, Watched
from tests.servers import require_server

DAY = timedelta(days=1)


@pytest.fixture
def watched(tmp_path) -> Watched:
    return Watched(tmp_path, daemon__cycles=(6, 18))


def samples(watched: Watched, engine=None) -> dict[str, float]:
    """Every sample by its name and labels, such as `runs{published}`."""
    text = exposition(engine or watched.engine, watched.clock, watched.settings).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(value for _, value in sorted(sample.labels.items()))
            found[sample.name.removeprefix("sigmacast_") + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


def full(watched: Watched) -> Watched:
    """A history in which everything has happened once; its moment is the end of the first run."""
    watched.daemon()
    for day in range(1, 8):
        watched.arrived(CYCLE - day * DAY, 4 * HOUR)
    watched.arrived(CYCLE, 3 * HOUR)
    run = watched.begin()
    with db.writing(watched.engine) as session:
        attempt = stages.begin(session, run, "integrate", Owner("host-a", 1, "x"), watched.now)
        products.record_losses(session, run, [NewLoss(3, 24, "wind")], watched.now)
        stages.end(session, attempt, AttemptState.DONE, watched.now + 20 * MINUTE)
        session.add(
            Worker(
                run_id=run, host="host-a", pid=1, started_at=watched.now, ended_at=watched.now + HOUR, kind="published",
                exit_code=0, cpu_seconds=900.0, device_seconds=600.0, peak_memory_bytes=2**30,
            )
        )  # fmt: skip
        session.add(Order(init_time=CYCLE, purpose="hindcast", options={}, ordered_at=watched.now))
    watched.happened("takeover", "taken over from process 12 on host-a, which is gone")
    watched.now += 10 * HOUR
    watched.end(members_published=3)
    watched.begin("run-2", CYCLE + 12 * HOUR, progress={"member_hours": 30, "of_member_hours": 120, "seconds_left": 90})
    with db.writing(watched.engine) as session:
        stages.begin(session, "run-2", "fetch", Owner("host-a", 1, "x"), watched.now - MINUTE)
        session.add(Worker(run_id="run-2", host="host-a", pid=2, started_at=watched.now))
    alerts.raise_(watched.engine, "late", "tiny 2026-11-21 18 UTC", "late", now=watched.now)
    return watched


def test_the_history_is_told_in_numbers(watched):
    found = samples(full(watched))
    expected = {
        "runs{published}": 1,
        "runs{running}": 1,
        "queue_length{order}": 1,
        "queue_length{run}": 0,
        "lease_losses_total": 1,
        "cycle_objective_seconds{06}": 9 * 3600,
        "cycle_lateness_seconds{06}": 3600,
        "cycle_delay_seconds{06}": 10 * 3600,
        "data_age_seconds": 10 * 3600,
        "run_duration_seconds": 10 * 3600,
        "stage_duration_seconds{integrate}": 1200,
        "stage_age_seconds{fetch}": 60,
        "run_members_requested": 4,
        "run_members_lost": 1,
        "members_lost_total": 1,
        "run_progress_ratio": 0.25,
        "run_left_seconds": 90,
        "workers": 1,
        "worker_exits_total{published}": 1,
        "cpu_seconds_total": 900,
        "device_seconds_total": 600,
        "worker_peak_memory_bytes": 2**30,
        "feed_age_seconds{gfs}": 10 * 3600,
        "feed_delay_seconds{gfs}": 3 * 3600,
        "alerts_open{late}": 1,
        "alerts_open{poison}": 0,
        "database_up": 1,
        "daemons": 0,
        "daemon_silence_seconds": 10 * 3600,
        "next_due_timestamp_seconds": (CYCLE + 16 * HOUR).timestamp(),
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["disk_free_bytes{work}"] > 0


def test_a_cycle_that_is_not_published_is_ever_later(watched):
    watched.begin()
    watched.now = CYCLE + 9 * HOUR - MINUTE
    assert "cycle_lateness_seconds{06}" not in samples(watched)
    watched.now += 11 * MINUTE
    assert samples(watched)["cycle_lateness_seconds{06}"] == 600


def test_the_data_that_is_waited_for_now_is_due_next(watched):
    for day in range(1, 8):
        watched.arrived(CYCLE - day * DAY, 4 * HOUR)
    watched.now = CYCLE + HOUR
    assert samples(watched)["next_due_timestamp_seconds"] == (CYCLE + 4 * HOUR).timestamp()


def test_the_number_of_series_does_not_grow_with_the_history(watched):
    few = set(samples(full(watched)))
    for number in range(30):
        name = watched.begin(f"more-{number}", CYCLE - number * HOUR, model=f"model-{number}")
        alerts.raise_(watched.engine, "failed", name, "x", now=watched.now)
        watched.arrived(CYCLE, HOUR, source=f"feed-{number}")
        watched.end(name, RunState.FAILED, error=f"error {number}")
    assert set(samples(watched)) == few


def test_without_a_database_the_rest_is_told(watched):
    away = db.engine("postgresql://app@127.0.0.1:1/nowhere")
    before = samples(watched, away).get("scrape_errors_total{database}", 0)
    found = samples(watched, away)
    assert found["database_up"] == 0 and found["scrape_errors_total{database}"] == before + 1
    assert found["disk_free_bytes{work}"] > 0 and "runs{running}" not in found


def test_a_group_that_fails_takes_no_other_with_it(watched):
    before = samples(watched).get("scrape_errors_total{work}", 0)
    with watched.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE workers")
    found = samples(watched)
    assert found["scrape_errors_total{work}"] == before + 1
    assert "alerts_open{late}" in found and "cpu_seconds_total" not in found


def test_every_metric_is_documented_and_no_other(watched, repository):
    text = exposition(full(watched).engine, watched.clock, watched.settings).decode()
    told = set(re.findall(r"^# TYPE (\w+) \w+$", text, re.MULTILINE))
    page = (repository / "docs" / "monitoring.md").read_text()
    assert set(re.findall(r"^\| `(sigmacast_\w+)", page, re.MULTILINE)) == told


def test_promtool_has_nothing_to_say_about_the_metrics(watched):
    require_server(shutil.which("promtool"), "promtool is not installed (Debian: apt-get install prometheus)")
    text = exposition(full(watched).engine, watched.clock, watched.settings)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
