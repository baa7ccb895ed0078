"""What holds for every answer of the application, and the server around it."""

import subprocess
import sys

import httpx
import pytest

from ops.errors import RunFailed
from ops.web.app import create
from ops.web.server import ServerThread, is_loopback
from ops.web_settings import WebSettings
from tests.servers import free_port


def test_the_process_says_that_it_lives(client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_every_answer_tells_a_browser_to_trust_nothing_foreign(client):
    for path in ("/healthz", "/no-such-page"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'self'" in headers["content-security-policy"]


def test_a_server_in_a_thread_answers_until_it_is_stopped(settings, engine, clock):
    web = WebSettings(port=free_port())
    server = ServerThread(create(settings, engine, clock), web)
    server.start()
    assert httpx.get(f"http://127.0.0.1:{web.port}/healthz").status_code == 200
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{web.port}/healthz")


def test_a_server_loads_nothing_that_only_forecasts_need():
    heavy = {"jax", "matplotlib", "numpy", "pandas", "xarray"}
    code = f"import sys, ops.web.server; sys.exit(' '.join({heavy} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_a_second_server_on_a_port_says_that_it_is_taken(settings, engine, clock):
    web = WebSettings(port=free_port())
    first = ServerThread(create(settings, engine, clock), web)
    first.start()
    with pytest.raises(RunFailed, match=f"port {web.port}: address already in use"):
        ServerThread(create(settings, engine, clock), web).start()
    first.stop()


@pytest.mark.parametrize(
    "host, expected", [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_only_loopback_is_loopback(host, expected):
    assert is_loopback(host) is expected
