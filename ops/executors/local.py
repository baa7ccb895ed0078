"""Workers on this machine: a process each, in a session of its own, with its log, its limits and a time it may take."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import db
from db import workers
from ops import alerts, log
from ops.clock import Clock, utc_now
from ops.config import PathSettings
from ops.executors import exits, limits, logs
from ops.executors.base import Exit, Job, Kind
from ops.process import this_process
from ops.start import MEMORY, TUNABLES
from ops.worker_settings import WorkerSettings

PROGRAM = (sys.executable, "-m", "ops.work")
LAST_LINES = 40
"""Among so many lines at the end of its log is what a worker ended with."""
MIB = 1 << 20
GRACE_SECONDS = 30.0
"""How much longer than it may take a worker is waited for before it is killed: it ends by itself first."""

Write = Callable[[Session], None]


class Process(Protocol):
    """A child process of this one: its number, the pipe to its standard input, and its exit code once it is reaped."""

    pid: int
    stdin: IO[bytes] | None
    returncode: int


Spawn = Callable[[Sequence[str], IO[bytes]], Process]
"""Starts the program of a worker in a session of its own, which tells what it tells in the log that is handed in."""


def spawned(program: Sequence[str], log_file: IO[bytes]) -> Process:
    """The program as a process."""
    return subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        stdout=log_file,
        stderr=log_file,
        start_new_session=True,
        env={TUNABLES: MEMORY, "PYTHONFAULTHANDLER": "1"} | os.environ,
    )


class LocalLauncher:
    """Starts workers on this machine and keeps their rows in the run history.

    A worker whose launcher's process is gone, however it went, drains and ends: nobody would watch it, and the next
    launcher could start another one on the same device.
    """

    def __init__(
        self,
        engine: Engine,
        settings: WorkerSettings,
        paths: PathSettings,
        clock: Clock = utc_now,
        program: Sequence[str] = PROGRAM,
        spawn: Spawn = spawned,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._work = paths.work
        self._clock = clock
        self._program = program
        self._spawn = spawn
        self._owed: list[Write] = []
        self._lock = threading.Lock()

    def start(self, job: Job) -> "LocalHandle":
        """See Launcher.start; raises also what the database raises when it does not take the worker's row."""
        now = self._clock()
        logs.prune(self._work, self._settings.logs - 1)
        path = logs.new_log(self._work, job.run_id, now)
        with path.open("ab") as file:
            process = self._spawn(self._program, file)
        try:
            host = this_process().host
            with db.writing(self._engine) as session:
                number = workers.begin(session, job.run_id, host, process.pid, now, str(path))
            _hand_over(process, job)
        except BaseException:
            _kill_group(process.pid)
            _reap(process)
            raise
        return LocalHandle(job, process, path, self._settings, lambda ended: self._ended(job, number, ended))

    def _ended(self, job: Job, number: int, ended: Exit) -> None:
        """Note how a worker ended; what a database that is away does not take is kept for later."""
        now = self._clock()
        told = {"peak_memory_bytes": ended.peak_memory_bytes, "cpu_seconds": ended.cpu_seconds}

        def write(session: Session) -> None:
            workers.end(session, number, now, code=ended.code, kind=ended.kind, reason=ended.reason, **told)
            _watch_device(session, job, ended, now)

        with self._lock:
            self._owed.append(write)
        self.settle()

    def settle(self) -> bool:
        """Write what is owed to the run history; whether nothing is owed any more. Never raises for a database."""
        with self._lock:
            while self._owed:
                try:
                    with db.writing(self._engine) as session:
                        self._owed[0](session)
                except (SQLAlchemyError, db.DatabaseError) as error:
                    log.get().warning("a worker's end is not recorded yet", reason=" ".join(str(error).split())[:200])
                    return False
                del self._owed[0]
        return True


def _hand_over(process: Process, job: Job) -> None:
    """Give the worker its job, as one line; the pipe stays open for as long as this process lives."""
    if process.stdin is None:
        raise OSError("the worker has no standard input")
    process.stdin.write(job.to_json().encode() + b"\n")
    process.stdin.flush()


def _watch_device(session: Session, job: Job, ended: Exit, now: datetime) -> None:
    """A lost device is an alert of its host, until a worker publishes there again."""
    host = this_process().host
    if ended.kind is Kind.DEVICE:
        message = f"a worker of run {job.run_id} on {host} lost its device: {ended.reason}"
        alerts.raise_(session, alerts.Kind.DEVICE_LOST, host, message, now=now, run_id=job.run_id)
    elif ended.kind is Kind.PUBLISHED:
        alerts.resolve(session, alerts.Kind.DEVICE_LOST, host, now=now)


class LocalHandle:
    """A worker on this machine. Whoever has it must `poll`: its times and its log are kept within bounds by that."""

    def __init__(
        self,
        job: Job,
        process: Process,
        path: Path,
        settings: WorkerSettings,
        ended: Callable[[Exit], None],
    ) -> None:
        self.run_id = job.run_id
        self.pid = process.pid
        self.log_path = path
        self._process = process
        self._settings = settings
        self._ended = ended
        self._exit: Exit | None = None
        self._peak: int | None = None
        self._until = time.monotonic() + settings.seconds
        self._sent: dict[signal.Signals, float] = {}
        self._overdue = False
        self._killed_before = exits.killed_for_memory()
        self._lock = threading.Lock()

    def poll(self) -> Exit | None:
        """See Handle.poll."""
        with self._lock:
            if self._exit is None:
                self._look()
            return self._exit

    def terminate(self) -> None:
        """See Handle.terminate; it is killed when it does not end within the time for that."""
        with self._lock:
            self._terminate()

    def kill(self) -> None:
        """See Handle.kill."""
        with self._lock:
            if self._exit is None:
                self._sent.setdefault(signal.SIGKILL, time.monotonic())
                _kill_group(self.pid)

    def _look(self) -> None:
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            self._exit = self._reaped()
            self._ended(self._exit)
            return
        self._peak = limits.peak_memory(self.pid) or self._peak
        logs.bound(self.log_path, int(self._settings.log_mib * MIB))
        now = time.monotonic()
        if now > self._until and not self._overdue:
            self._overdue = True
            self._terminate()
        asked = self._sent.get(signal.SIGTERM)
        if asked is not None and now > asked + self._settings.drain_seconds + GRACE_SECONDS:
            self._sent.setdefault(signal.SIGKILL, now)
            _kill_group(self.pid)

    def _terminate(self) -> None:
        if self._exit is None and signal.SIGTERM not in self._sent:
            self._sent[signal.SIGTERM] = time.monotonic()
            os.kill(self.pid, signal.SIGTERM)

    def _reaped(self) -> Exit:
        """End whatever the worker has started and left, then take its exit status and what it used."""
        _kill_group(self.pid)
        code, used = _reap(self._process)
        kind, reason = self._meaning(code)
        return Exit(code, reason, kind, self._peak_memory(used.ru_maxrss * 1024), used.ru_utime + used.ru_stime)

    def _meaning(self, code: int) -> tuple[Kind, str]:
        if self._overdue and code != 0:
            return Kind.TIMEOUT, f"stopped after {self._settings.seconds:g} s, the most that a worker may take"
        if code == -signal.SIGKILL:
            return self._why_killed()
        return exits.kind_of(code), self._last_words(code)

    def _why_killed(self) -> tuple[Kind, str]:
        if signal.SIGTERM in self._sent and signal.SIGKILL in self._sent:
            return Kind.INTERRUPTED, f"killed: it did not end within {self._settings.drain_seconds:g} s after SIGTERM"
        if signal.SIGKILL in self._sent:
            return Kind.INTERRUPTED, "killed by its launcher"
        if exits.killed_for_memory() > self._killed_before:
            return Kind.MEMORY, "killed by the kernel, which was out of memory"
        return Kind.FAILED, "killed by SIGKILL from outside"

    def _last_words(self, code: int) -> str:
        """The sentence for the code, and for a failure the paragraph that the worker ended with."""
        lines = [line for line in logs.tail(self.log_path, LAST_LINES) if line.startswith("sigmacast: ")]
        said = f": {lines[-1].removeprefix('sigmacast: ')}" if lines and code > 0 else ""
        return exits.sentence(code) + said

    def _peak_memory(self, reaped: int) -> int | None:
        """What the system says at the end, unless that may be what this process had when it started the worker."""
        own = limits.peak_memory()
        return reaped if own is None or reaped > own else self._peak


def _kill_group(pid: int) -> None:
    """Kill a worker that is not reaped yet, so that its number is still its own, with all it has started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap(process: Process) -> tuple[int, resource.struct_rusage]:
    """Take the exit code of a process that has ended or is about to, and what it used."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stdin is not None:
        process.stdin.close()
    return process.returncode, used
