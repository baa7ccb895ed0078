"""`/metrics`: shown to whoever may reach the server, with a database or without."""

from fastapi.testclient import TestClient

import db
from ops.config import load
from ops.web.app import create


def test_metrics_are_shown_as_prometheus_reads_them(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\nsigmacast_database_up 1.0\n" in answer.text and 'sigmacast_runs{state="running"} 0.0' in answer.text


def test_metrics_are_shown_without_a_database(clock):
    url = "postgresql+psycopg://app:topsecret@127.0.0.1:9/none"
    with TestClient(create(load(None, {"database.url": url}), db.engine(url), clock)) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "\nsigmacast_database_up 0.0\n" in answer.text and "topsecret" not in answer.text
