"""The commands about runs: found, looked at, cancelled, tried again, replayed, and planned without being made."""

from pathlib import Path

import pytest

import db
from db import runs, workers
from db.schema import Run
from ops.clock import utc_now
from ops.errors import ExitCode
from tests.ops import fakes
from tests.ops.fakes import FakeForecaster, save_model
from tests.ops.test_cli import RUN, TINY, Shell


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name, value in TINY.items():
        monkeypatch.setenv(name, value)
    save_model(Path("var/models"))
    return Shell(monkeypatch, capsys)


def engine():
    return db.engine("sqlite:///var/sigmacast.db")


def failed(shell: Shell) -> str:
    shell.forecaster(FakeForecaster(fail_at=24))
    assert shell(*RUN) == ExitCode.FAILED
    shell.forecaster(FakeForecaster())
    return shell.json("runs")[0]["id"]


def test_runs_are_chosen_by_source_cycle_purpose_and_time_and_come_in_pages(shell):
    names = [shell.json(*RUN[:-1], str(members))["run_id"] for members in (1, 2)]
    assert [one["id"] for one in shell.json("runs", "--limit", "1")] == [names[1]]
    assert [one["id"] for one in shell.json("runs", "--limit", "1", "--after", names[1])] == [names[0]]
    assert shell("runs", "--limit", "1") == ExitCode.OK
    assert shell.out.endswith(f"There may be more: --after {names[1]}\n")
    for chosen in (("--source", "demo"), ("--cycle", "1959-01-02T00"), ("--created-since", "2020-01-01")):
        assert len(shell.json("runs", *chosen)) == 2
    for none in (("--source", "gfs"), ("--purpose", "hindcast"), ("--created-until", "2020-01-01T06:00+02:00")):
        assert shell.json("runs", *none) == []
    for wrong in (
        ("--created-since", "yesterday"),
        ("--purpose", "fun"),
        ("--cycle", "1959010200", "--since", "1958010100"),
    ):
        assert shell("runs", *wrong) == ExitCode.USAGE
        assert shell.err.startswith(f"sigmacast: {wrong[0]}: expected")


def test_a_run_is_shown_with_its_plan_its_attempts_over_time_and_what_its_workers_used(shell, tmp_path):
    name = failed(shell)
    assert shell(*RUN) == ExitCode.OK
    log = tmp_path / "worker.log"
    log.write_text("one\ntwo\nthree\n")
    with db.writing(engine()) as session:
        number = workers.begin(session, name, "host-a", 7, utc_now(), str(log))
        used = {"peak_memory_bytes": 3 * 2**30, "cpu_seconds": 12.0}
        workers.end(session, number, utc_now(), code=1, kind="failed", reason="out of luck", **used)
    assert shell("runs", "show", name, "--log", "2") == ExitCode.OK
    assert "Plan       2 members, 1 days every 12 h, saved every 24 h; source demo; product tiny, netcdf\n" in shell.out
    assert "7 on host-a" in shell.out and "ended 1, out of luck, peak memory 3.0 GiB, 12 s of processor" in shell.out
    bars = [line for line in shell.out.splitlines() if line.endswith("|")]
    assert [bar.split("  |")[0].strip() for bar in bars] == ["fetch 1", "integrate 1", "integrate 2", "finish 1"]
    assert [set(bar.split("|")[1]) - {" "} for bar in bars] == [{"#"}, {"x"}, {"#"}, {"#"}]
    assert shell.out.endswith("\ntwo\nthree\n")
    document = shell.json("runs", "show", name, "--log", "1")
    assert document["log"]["lines"] == ["three"]
    assert "out of luck" in [worker["reason"] for worker in document["workers"]]
    assert sum(one["count"] for one in document["products"]["kinds"].values()) == document["products"]["count"]
    assert document["work_bytes"] > 10_000


def test_the_log_of_a_run_that_ended_is_followed_to_its_end_and_no_further(shell, tmp_path):
    name = shell.json(*RUN)["run_id"]
    assert shell("runs", "show", name, "--follow") == ExitCode.OK
    assert "No log is on record" in shell.out


def test_a_cancelled_run_is_never_gone_on_with(shell):
    name = failed(shell)
    assert shell("runs", "cancel", name, "--reason", "the analysis was wrong") == ExitCode.OK
    document = shell.json("runs", "show", name)
    assert document["state"] == "cancelled"
    assert document["events"][-1]["message"] == "cancelled by an operator: the analysis was wrong"
    assert shell.json(*RUN)["run_id"] == f"{name}-2"
    assert shell("runs", "cancel", f"{name}-2") == ExitCode.FAILED
    assert "cannot become cancelled: it is published" in shell.err


def test_a_failed_run_is_left_to_a_daemon_or_gone_on_with_at_once_as_it_is_on_record(shell, monkeypatch):
    name = failed(shell)
    assert shell("runs", "retry", name) == ExitCode.OK
    assert f"sigmacast runs retry {name} --now" in shell.out
    with db.reading(engine()) as session:
        row = session.get(Run, name)
        assert row.next_try_at is not None and row.failures == 0
    monkeypatch.setenv("SIGMACAST_FORECAST__INTERVAL_HOURS", "6")
    forecaster = FakeForecaster()
    shell.forecaster(forecaster)
    assert shell.json("runs", "retry", name, "--now")["run_id"] == name
    assert forecaster.started_from == [24]
    assert [one["id"] for one in shell.json("runs")] == [name]
    assert shell("runs", "retry", name) == ExitCode.FAILED
    assert "cannot be tried again: it is published" in shell.err


def test_a_run_whose_model_was_replaced_is_not_gone_on_with(shell):
    name = failed(shell)
    with db.writing(engine()) as session:
        runs.amend(session, name, model_hash="f" * 64)
    assert shell("runs", "retry", name, "--now") == ExitCode.NOT_FOUND
    assert "import that very archive again" in shell.err


def test_a_replay_ends_with_what_it_found(shell, monkeypatch):
    name = shell.json(*RUN)["run_id"]
    assert shell("runs", "replay", name) == ExitCode.OK
    assert shell.out.splitlines()[-1].endswith("products are the same, byte for byte")
    real = fakes.frame
    monkeypatch.setattr(fakes, "frame", lambda spec, lead, members: real(spec, lead, members, 0.25))
    assert shell("runs", "replay", name) == ExitCode.FAILED
    assert f"sigmacast: run {name} is not what it was: " in shell.err
    assert "1 of 9 variables differ" in shell.out


def test_a_dry_run_without_history_says_so_and_makes_nothing(shell):
    assert shell("run", "--dry-run", "--members", "7") == ExitCode.OK
    assert "would be made" in shell.out and "Members    7, 15 days" in shell.out
    assert "Time       not known: no run of this model was published on this machine yet" in shell.out
    assert shell.json("runs") == [] and not Path("var/products").exists()


def test_a_dry_run_tells_time_room_and_cost_from_runs_like_it(shell, monkeypatch):
    shell.json(*RUN)
    monkeypatch.setenv("SIGMACAST_COST__PER_HOUR", "36")
    monkeypatch.setenv("SIGMACAST_COST__CURRENCY", "CHF")
    found = shell.json("run", "--dry-run", "--members", "2", "--days", "2")
    past = shell.json("runs", "show", "latest")
    took = {one["stage"]: one for one in past["attempts"]}
    assert set(found["estimate"]["stages"]) == set(took) and found["estimate"]["runs"] == 1
    seconds = found["estimate"]["seconds"]["middle"]
    assert found["cost"]["middle"] == pytest.approx(seconds / 100)
    bytes_then = sum(one["bytes"] for one in past["products"]["kinds"].values())
    assert found["estimate"]["product_bytes"]["middle"] == pytest.approx(bytes_then * 5 / 3)
    assert shell("run", "--dry-run", "--members", "2", "--days", "1") == ExitCode.OK
    assert "is published already; nothing would be done" in shell.out and "Cost" not in shell.out
    assert len(shell.json("runs")) == 1
