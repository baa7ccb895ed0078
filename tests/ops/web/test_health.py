"""Health: what a load balancer and a person need to know."""

from datetime import timedelta

from fastapi.testclient import TestClient

import db
from ops.config import load
from ops.web.app import create
from tests.ops.web import filled


def test_ready_means_database_store_and_a_daemon_seen_lately(client, engine, clock, tmp_path):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["daemon"]["ok"]) == (503, False)
    filled.fill(engine, tmp_path / "store")
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["daemon"]["found"] == "seen 0 s ago on here"
    clock.now += timedelta(minutes=3)
    assert client.get("/readyz").json()["daemon"] == {"ok": False, "found": "seen 180 s ago on here"}


def test_a_database_that_is_gone_is_told_without_its_password(clock):
    url = "postgresql+psycopg://app:topsecret@127.0.0.1:9/none"
    engine = db.engine(url)
    with TestClient(create(load(None, {"database.url": url}), engine, clock)) as client:
        ready, runs, lives = (client.get(path) for path in ("/readyz", "/api/v1/runs", "/healthz"))
    assert (ready.status_code, ready.json()["database"]["ok"]) == (503, False)
    assert (runs.status_code, runs.headers["retry-after"]) == (503, "5")
    assert lives.status_code == 200
    assert "topsecret" not in ready.text + runs.text
