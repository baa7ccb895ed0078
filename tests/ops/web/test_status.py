"""How it stands, what comes next, and what somebody asked for, over HTTP."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

import db
from db import arrivals, orders
from ops.config import load
from ops.web.app import create
from tests.ops.web import filled


@pytest.fixture
def names(engine, tmp_path) -> list[str]:
    return filled.fill(engine, tmp_path / "store")


def test_the_status_names_what_is_not_over_and_counts_what_is_open(client, engine, names):
    status = client.get("/api/v1/status").json()
    assert (status["latest"], status["open_alerts"], status["open_orders"]) == (names[0], 1, 0)
    assert {run["state"] for run in status["unfinished"]} == {"running", "interrupted", "created"}
    assert next(run["progress"] for run in status["unfinished"] if run["state"] == "running")["lead_hours"] == 24
    assert [daemon["host"] for daemon in status["daemons"]] == ["here"]
    with db.writing(engine) as session:
        orders.place(session, [filled.NOW], "hindcast", {}, filled.NOW)
    assert client.get("/api/v1/status").json()["open_orders"] == 1


def test_the_next_cycles_tell_what_their_feeds_have(settings, engine, clock):
    options = {"source.name": "gfs", "database.url": settings.database.url.get_secret_value()}
    with db.writing(engine) as session:
        arrivals.saw(session, "gfs", clock.now, False, clock.now, "3 of 37 levels")
    with TestClient(create(load(None, options), engine, clock)) as client:
        cycles = client.get("/api/v1/cycles").json()["cycles"]
    this = next(each for each in cycles if each["cycle"] == "2026-11-21T06:00:00Z")
    assert (this["feeds"][0]["name"], this["feeds"][0]["state"]) == ("gfs", "incomplete")
    assert [each["cycle"] for each in cycles] == sorted(each["cycle"] for each in cycles)


def test_a_source_that_has_its_data_already_has_no_cycles_to_wait_for(client):
    assert client.get("/api/v1/cycles").json() == {"cycles": []}


def test_a_cycle_is_ordered_once_with_a_key(client, engine, names):
    headers, wanted = filled.key(engine, "order"), {"date": "2026-11-01", "hour": 12, "purpose": "hindcast"}
    assert client.post("/api/v1/orders", json=wanted).status_code == 401
    first, second = (client.post("/api/v1/orders", json=wanted, headers=headers).json() for _ in range(2))
    assert (first["placed"], second) == (True, {"placed": False, "order": None})
    listed = client.get("/api/v1/orders").json()["orders"]
    assert [(one["id"], one["init_time"]) for one in listed] == [(first["order"], "2026-11-01T12:00:00Z")]
    with db.writing(engine) as session:
        orders.end(session, first["order"], "published", filled.NOW + timedelta(hours=1))
    assert client.get("/api/v1/orders").json()["orders"] == []
    assert client.get("/api/v1/orders?only_open=false").json()["orders"][0]["outcome"] == "published"


def test_an_order_for_no_cycle_is_refused(client, engine):
    headers = filled.key(engine, "order")
    for wrong in ({"date": "2026-11-01", "hour": 7}, {"date": 5, "hour": 6}, {"date": "2026-13-01", "hour": 6}, {}):
        assert client.post("/api/v1/orders", json=wrong, headers=headers).status_code == 422
