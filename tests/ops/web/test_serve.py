"""`sigmacast serve` as an operator runs it: its processes, its end, its warnings."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest
from structlog.testing import capture_logs

from ops.web.server import listening
from ops.web_settings import WebSettings
from tests.servers import free_port

CODE = "from ops.cli import main; main()"


def answer(port: int, process: subprocess.Popen) -> httpx.Response:
    """What the server says once it is there."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/v1/runs", timeout=10)
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the server did not start")


def test_served_by_two_processes_until_sigterm_which_is_a_good_end(settings, engine, repository):
    port = free_port()
    environment = os.environ | {"SIGMACAST_DATABASE__URL": settings.database.url.get_secret_value()}
    command = [sys.executable, "-c", CODE, "serve", "--port", str(port), "--processes", "2", "--json"]
    process = subprocess.Popen(command, env=environment, cwd=repository, stdout=subprocess.PIPE, text=True)
    assert answer(port, process).json() == {"runs": [], "next": None}
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, f'"http://127.0.0.1:{port}"' in out) == (0, True)


def test_a_server_that_strangers_can_reach_says_so():
    with capture_logs() as told:
        listening(WebSettings(port=free_port())).close()
        assert told == []
        listening(WebSettings(host="0.0.0.0", port=free_port())).close()
    assert [(one["log_level"], one["host"]) for one in told] == [("warning", "0.0.0.0")]
