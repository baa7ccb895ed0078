"""What the OpenAPI document says is what the API does, for requests that a machine makes up."""

import subprocess
import sys
from pathlib import Path

import httpx

from ops.web.app import create
from ops.web.server import ServerThread
from ops.web_settings import WebSettings
from tests.ops.web import filled
from tests.servers import free_port

PROGRAM = Path(sys.executable).with_name("schemathesis")


def test_requests_made_up_from_the_document_find_no_breach_of_it(settings, engine, clock, tmp_path):
    filled.fill(engine, tmp_path / "store")
    headers = filled.key(engine, "cancel", "retry", "order")
    web = WebSettings(port=free_port())
    server = ServerThread(create(settings, engine, clock), web)
    server.start()
    url = f"http://127.0.0.1:{web.port}/openapi.json"
    wanted = ["--checks", "all", "--max-examples", "6", "--seed", "1", "--no-color", "--generation-database", "none"]
    key = ["-H", f"Authorization: {headers['Authorization']}"]
    done = subprocess.run(
        [PROGRAM, "run", url, *wanted, *key], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    operations = [each for path in httpx.get(url).json()["paths"].values() for each in path]
    server.stop()
    assert done.returncode == 0, done.stdout[-6000:]
    assert f"Operations:       {len(operations)} selected / {len(operations)} total" in done.stdout
    assert "passed" in done.stdout and "failed" not in done.stdout
