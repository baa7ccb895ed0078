"""Workers as real processes: how each end is told, what is kept of it, and what a worker may use."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from db import workers
from ops.executors import exits, logs
from ops.executors.base import Job, Kind
from ops.executors.local import spawned
from ops.process import this_process
from tests.failure.workers import Yard, ended, until


@pytest.fixture
def yard(tmp_path) -> Yard:
    return Yard(tmp_path)


PROGRAM = [sys.executable, "-m", "tests.failure.worker"]


def rows(yard: Yard) -> list:
    run_id = yard.history.rows()[0].id
    return yard.history.told(workers.of_run, run_id)


def test_a_worker_publishes_and_what_it_used_is_kept(tmp_path):
    yard = Yard(tmp_path, spawn=spawned, program=PROGRAM)
    end = yard.run()
    assert (end.code, end.kind, end.reason) == (0, Kind.PUBLISHED, "published")
    assert end.cpu_seconds > 0.5
    (row,) = rows(yard)
    assert (row.exit_code, row.kind, row.reason, row.host) == (0, "published", "published", this_process().host)
    assert 50e6 < row.peak_memory_bytes < 4e9
    assert row.cpu_seconds == pytest.approx(end.cpu_seconds)
    assert row.started_at < row.ended_at
    assert "stage" in Path(row.log_path).read_text()
    assert [one.state for one in yard.history.rows()] == ["published"]


def test_a_failure_is_told_in_the_words_of_the_worker(yard):
    end = yard.run({"fail_at": 24})
    assert (end.code, end.kind) == (1, Kind.FAILED)
    assert end.reason == "failed: unexpected RuntimeError: the device fell off the bus."
    assert "Traceback" in Path(rows(yard)[0].log_path).read_text()


def test_a_worker_killed_from_outside_is_told_and_the_next_one_goes_on(yard):
    end = yard.run({"kill_at": 24})
    assert (end.code, end.kind) == (-signal.SIGKILL, Kind.FAILED)
    assert end.reason == "killed by SIGKILL from outside"
    assert yard.run().kind is Kind.PUBLISHED
    assert [row.exit_code for row in rows(yard)] == [-9, 0]


def test_a_crash_in_native_code_leaves_its_traceback_in_the_log(yard):
    end = yard.run({"signal_at": (24, "SIGSEGV")})
    assert (end.code, end.kind, end.reason) == (-signal.SIGSEGV, Kind.FAILED, "killed by SIGSEGV")
    assert "Segmentation fault" in Path(rows(yard)[0].log_path).read_text()


def test_killed_while_the_kernel_killed_for_memory_it_is_want_of_memory(yard, monkeypatch):
    counts = iter([3, 4])
    monkeypatch.setattr(exits, "killed_for_memory", lambda: next(counts))
    assert yard.run({"kill_at": 12}).kind is Kind.MEMORY


def test_the_kernels_count_of_processes_killed_for_memory_is_read(tmp_path):
    (tmp_path / "vmstat").write_text("pgmajfault 7\noom_kill 12\n")
    assert exits.killed_for_memory(tmp_path / "vmstat") == 12
    assert exits.killed_for_memory(tmp_path / "absent") == 0


def test_drained_it_saves_its_window_gives_the_lease_back_and_says_so(yard, tmp_path):
    diary = tmp_path / "diary"
    worker = yard.start({"seconds": 0.2, "diary": diary})
    until(lambda: diary.exists() and "12" in diary.read_text())
    worker.terminate()
    end = ended(worker)
    assert (end.code, end.kind) == (143, Kind.INTERRUPTED)
    row = yard.history.rows()[0]
    assert (row.state, row.lease_pid) == ("interrupted", None)
    assert yard.run().kind is Kind.PUBLISHED


def test_a_worker_that_does_not_drain_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("ops.executors.local.GRACE_SECONDS", 0.3)
    yard = Yard(tmp_path, worker__drain_seconds=0.3)
    diary = tmp_path / "diary"
    worker = yard.start({"signal_at": (12, "SIGSTOP"), "diary": diary})
    until(lambda: diary.exists() and "12" in diary.read_text())
    worker.terminate()
    end = ended(worker)
    assert (end.code, end.kind) == (-9, Kind.INTERRUPTED)
    assert "did not end within" in end.reason


def test_a_worker_that_takes_too_long_is_stopped(tmp_path):
    yard = Yard(tmp_path, worker__seconds=4.0, worker__drain_seconds=1.0)
    end = yard.run({"hang_at": 12})
    assert end.kind is Kind.TIMEOUT
    assert end.reason == "stopped after 4 s, the most that a worker may take"


def test_killed_a_worker_takes_all_that_it_started_with_it(tmp_path):
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    yard = Yard(tmp_path, spawn=spawned, program=[sys.executable, str(parent)])
    worker = yard.start()
    child = int(until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text()))
    worker.kill()
    assert ended(worker).reason == "killed by its launcher"
    until(lambda: not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(f"/proc/{child}/status").read_text())


LAUNCHER = """
import sys, time
from pathlib import Path
from tests.failure.workers import Yard
handle = Yard(Path({directory!r})).start({{"seconds": 0.3, "diary": Path({directory!r}) / "diary"}})
print(handle.pid, flush=True)
time.sleep(600)
"""


def test_a_worker_whose_launcher_is_killed_drains_and_gives_its_lease_back(tmp_path):
    code = LAUNCHER.format(directory=str(tmp_path))
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(launcher.stdout.readline())
    until(lambda: (tmp_path / "diary").exists())
    launcher.kill()
    launcher.communicate()
    until(lambda: not Path(f"/proc/{pid}").exists())
    yard = Yard(tmp_path)
    row = yard.history.rows()[0]
    assert (row.state, row.lease_pid) == ("interrupted", None)
    assert rows(yard)[0].exit_code == 143
    assert yard.run().kind is Kind.PUBLISHED


def test_a_worker_gives_way_and_cannot_have_more_than_it_may(yard, tmp_path):
    yard = Yard(tmp_path, worker__nice=7, worker__open_files=777, worker__memory_gib=100.0)
    diary = tmp_path / "diary"
    worker = yard.start({"seconds": 0.3, "diary": diary})
    until(diary.exists)
    process = Path(f"/proc/{worker.pid}")
    bounds = {line[:26].strip(): line[26:].split()[0] for line in (process / "limits").read_text().splitlines()[1:]}
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 7
    assert (bounds["Max open files"], bounds["Max data size"]) == ("777", str(100 << 30))
    assert (process / "oom_score_adj").read_text().strip() == "500"
    worker.kill()
    ended(worker)


def test_beyond_its_memory_a_process_gets_an_error_and_no_more():
    code = (
        "from ops.executors import limits; from ops.worker_settings import WorkerSettings; import numpy\n"
        "limits.impose(WorkerSettings(memory_gib=0.5))\n"
        "try: numpy.ones(1 << 28)\n"
        "except MemoryError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused"


def test_what_is_no_job_is_refused():
    done = subprocess.run([sys.executable, "-m", "ops.work"], input="nonsense\n", capture_output=True, text=True)
    assert done.returncode == 2
    assert "expected a job as one line of JSON" in done.stderr


def test_a_job_survives_its_way_to_the_worker(yard):
    job = yard.job(**{"forecast.members": 2})
    assert Job.from_json(job.to_json()).options["forecast.members"] == 2
    assert Job.from_json(job.to_json()).cycle == job.cycle


def test_how_a_worker_ended_is_recorded_when_the_history_is_back(yard, monkeypatch):
    from sqlalchemy.exc import OperationalError

    def away(*_args, **_options):
        raise OperationalError("UPDATE", {}, Exception("no answer"))

    worker = yard.start({"fail_at": 0})
    with monkeypatch.context() as patch:
        patch.setattr(workers, "end", away)
        ended(worker)
    before = rows(yard)[0]
    assert yard.launcher.settle()
    after = rows(yard)[0]
    assert after.exit_code == 1 and before.reason != after.reason
    assert yard.launcher.settle()


def test_a_log_is_begun_again_before_it_grows_too_large(tmp_path):
    log = tmp_path / "worker.log"
    with log.open("ab") as file:
        file.write(b"early\n" * 100)
        file.flush()
        logs.bound(log, 100)
        file.write(b"late\n")
    assert log.read_text() == "late\n"
    assert log.with_name("worker.log.1").read_text() == "early\n" * 100


def test_only_the_newest_logs_are_kept(tmp_path):
    for second in range(4):
        from datetime import UTC, datetime

        logs.new_log(tmp_path, f"run-{second}", datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)).write_text("x")
    logs.prune(tmp_path, 2)
    assert sorted(path.name for path in (tmp_path / "logs").glob("*")) == ["run-2", "run-3"]


def test_two_logs_of_one_second_are_two(tmp_path):
    from datetime import UTC, datetime

    now = datetime(2026, 1, 1, tzinfo=UTC)
    first = logs.new_log(tmp_path, "run", now)
    first.write_text("x")
    assert logs.new_log(tmp_path, "run", now) != first


def test_the_end_of_a_log_is_whole_lines(tmp_path):
    log = tmp_path / "log"
    log.write_text("one\ntwo\nthree\n")
    assert logs.tail(log, 1) == ["three"]
    assert logs.tail(log, 100) == ["one", "two", "three"]
    assert logs.tail(tmp_path / "absent", 10) == []
    log.write_text("é" * logs.LINE_BYTES + "\nthe last\n")
    assert logs.tail(log, 1) == ["the last"]
