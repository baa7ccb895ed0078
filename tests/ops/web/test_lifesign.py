"""What `sigmacast serve` tells the service manager."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from ops.systemd import Systemd, watchdog_seconds
from ops.web import lifesign
from tests.failure.workers import until
from tests.ops.managers import Manager
from tests.ops.web.test_serve import CODE
from tests.servers import free_port

PATIENCE = 120.0


@pytest.fixture
def manager(tmp_path, monkeypatch) -> Iterator[Manager]:
    made = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", made.address)
    yield made
    made.close()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_it_is_ready_when_it_answers_and_lives_as_long_as_it_does(settings, engine, repository, manager, processes):
    port = free_port()
    environment = os.environ | {"SIGMACAST_DATABASE__URL": settings.database.url.get_secret_value()}
    environment |= {"WATCHDOG_USEC": "400000"}
    command = [sys.executable, "-c", CODE, "serve", "--port", str(port), "--processes", processes]
    process = subprocess.Popen(command, env=environment, cwd=repository, stdout=subprocess.DEVNULL)
    try:
        until(lambda: "READY=1" in manager.listen() or process.poll() is not None, PATIENCE)
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE).status_code == 200
        until(lambda: manager.listen().count("WATCHDOG=1") > 2, PATIENCE)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
    assert code == 0
    assert manager.listen().count("READY=1") == manager.told.count("STOPPING=1") == 1
    assert f"STATUS=serving on http://127.0.0.1:{port}" in manager.told


def test_a_server_that_accepts_and_does_not_answer_is_neither_ready_nor_alive(manager):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert not lifesign.answers(address, 0.2)
        with lifesign.given(Systemd(), address):
            pass
    assert manager.listen() == []


def test_a_server_that_hangs_later_gives_no_sign_of_life_any_more(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    alive = True
    monkeypatch.setattr(lifesign, "answers", lambda *_: alive)
    with lifesign.given(Systemd(), "http://127.0.0.1:1"):
        until(lambda: manager.listen().count("WATCHDOG=1") > 2, PATIENCE)
        alive = False
        until(lambda: not _told_more(manager), PATIENCE)


def _told_more(manager: Manager) -> bool:
    before = len(manager.listen())
    time.sleep(0.2)
    return len(manager.listen()) > before


@pytest.mark.parametrize(
    ("microseconds", "watched", "seconds"),
    [("30000000", "nobody", 30.0), ("30000000", "this", 30.0), ("30000000", "another", None), ("0", "nobody", None)],
)
def test_the_watchdog_is_for_the_process_that_it_names(monkeypatch, microseconds, watched, seconds):
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if watched != "nobody":
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() if watched == "this" else 1))
    assert watchdog_seconds() == seconds
