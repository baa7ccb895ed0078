"""Runs over HTTP: pages, filters, ETags, one run with all that belongs to it, changes with a key."""

from itertools import pairwise

import pytest

import db
from db import runs
from db.schema import Worker
from tests.ops.web import filled

ALL = 12


@pytest.fixture
def names(engine, tmp_path) -> list[str]:
    return filled.fill(engine, tmp_path / "store", ALL)


def test_pages_give_every_run_once_the_newest_cycle_first(client, names):
    found = filled.walked(client, "/api/v1/runs", "runs")
    assert [run["id"] for run in found] == names
    assert all(earlier["init_time"] >= later["init_time"] for earlier, later in pairwise(found))


def test_a_page_goes_on_after_the_same_run_when_newer_ones_were_added(client, engine, names, tmp_path):
    first = client.get("/api/v1/runs?limit=3").json()
    with db.writing(engine) as session:
        session.add(filled.run(-1, "20261121T12-demo-000000", tmp_path))
    second = client.get("/api/v1/runs", params={"limit": 3, "after": first["next"]}).json()
    assert [run["id"] for run in second["runs"]] == names[3:6]


@pytest.mark.parametrize(
    "query, wanted",
    [
        ("state=failed", lambda run: run["state"] == "failed"),
        ("model=other", lambda run: run["model_name"] == "other"),
        ("purpose=hindcast", lambda run: run["purpose"] == "hindcast"),
        ("since=2026-11-20T06:00:00Z", lambda run: run["init_time"] >= "2026-11-20T06:00:00Z"),
        ("until=2026-11-20T07:00:00%2B01:00", lambda run: run["init_time"] <= "2026-11-20T06:00:00Z"),
        ("state=published&model=other", lambda run: (run["state"], run["model_name"]) == ("published", "other")),
    ],
)
def test_a_filter_lets_through_what_it_names_and_all_of_it(client, names, query, wanted):
    everything = client.get("/api/v1/runs").json()["runs"]
    expected = [run["id"] for run in everything if wanted(run)]
    assert 0 < len(expected) < ALL
    assert [run["id"] for run in client.get(f"/api/v1/runs?{query}").json()["runs"]] == expected


@pytest.mark.parametrize(
    "query", ["stat=failed", "limit=0", "limit=201", "since=yesterday", "since=1700000000", "state=x"]
)
def test_a_query_that_cannot_be_meant_is_refused_with_its_place(client, query):
    answer = client.get(f"/api/v1/runs?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["where"] == f"query.{query.partition('=')[0]}"


def test_nothing_new_is_told_with_304_and_a_change_with_another_etag(client, engine, names):
    first = client.get("/api/v1/runs")
    again = client.get("/api/v1/runs", headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    with db.writing(engine) as session:
        runs.amend(session, names[0], device="another")
        runs.amend(session, names[0], failures=1)
    changed = client.get("/api/v1/runs", headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, changed.json()["runs"][0]["failures"]) == (200, 1)


def test_one_run_is_shown_with_all_that_belongs_to_it(client, names):
    run = client.get(f"/api/v1/runs/{names[0]}").json()
    assert run["spec"] == {"members": 4, "product": "demo"}
    assert [stage["name"] for stage in run["stages"]] == ["fetch"]
    assert run["workers"][0]["peak_memory_bytes"] == 1 << 30
    assert "log_path" not in run["workers"][0]
    assert run["member_losses"][0]["reason"] == "wind"
    assert run["products"] == {
        "count": 7,
        "bytes": 7 * len(filled.CONTENT),
        "lead_times_hours": [6, 12, 18, 24, 30, 42],
    }


def test_latest_is_the_newest_published_run_that_stands(client, engine, names):
    assert client.get("/api/v1/runs/latest").json()["id"] == names[0]
    with db.writing(engine) as session:
        runs.amend(session, names[0], retracted_at=filled.NOW)
    assert client.get("/api/v1/runs/latest").json()["id"] == names[6]


def test_the_timeline_is_told_in_order_page_by_page(client, names):
    events = filled.walked(client, f"/api/v1/runs/{names[1]}/events", "events")
    assert [event["message"] for event in events] == [f"event {number}" for number in range(5)]


def test_the_end_of_the_log_is_shown_on_the_machine_that_has_it(client, engine, names):
    assert client.get(f"/api/v1/runs/{names[0]}/log?lines=2").json()["lines"] == ["line 48", "line 49"]
    with db.writing(engine) as session:
        session.query(Worker).update({"host": "elsewhere"})
    answer = client.get(f"/api/v1/runs/{names[0]}/log")
    assert (answer.status_code, "is on elsewhere" in answer.json()["detail"]) == (404, True)


def test_what_is_not_there_is_told_as_a_problem(client, names):
    for path in ("/runs/nobody", "/runs/nobody/events", "/runs/nobody/products", f"/runs/{names[0]}/products/nothing"):
        answer = client.get(f"/api/v1{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert "there is no run" in answer.json()["detail"] or "no product" in answer.json()["detail"]


def test_a_method_that_is_not_for_an_address_is_refused_with_those_that_are(client, names):
    answer = client.delete(f"/api/v1/runs/{names[0]}/products/x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_body_that_is_too_large_is_refused(client, engine, names):
    headers = filled.key(engine, "cancel")
    answer = client.post(f"/api/v1/runs/{names[1]}/cancel", json={"reason": "x" * 70_000}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_a_run_is_cancelled_with_the_reason_and_the_name_of_the_key(client, engine, names):
    answer = client.post(
        f"/api/v1/runs/{names[1]}/cancel", json={"reason": "bad input"}, headers=filled.key(engine, "cancel")
    )
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    last = client.get(f"/api/v1/runs/{names[1]}/events?after=5").json()["events"][-1]
    assert (last["state"], last["message"]) == ("cancelled", "cancelled through the API by test: bad input")


def test_a_run_that_cannot_be_cancelled_stays_as_it_is(client, engine, names):
    answer = client.post(f"/api/v1/runs/{names[0]}/cancel", headers=filled.key(engine, "cancel"))
    assert (answer.status_code, "it is published" in answer.json()["detail"]) == (409, True)


def test_a_failed_run_is_tried_again_at_once(client, engine, clock, names):
    answer = client.post(f"/api/v1/runs/{names[2]}/retry", headers=filled.key(engine, "retry"))
    assert (answer.status_code, answer.json()["next_try_at"]) == (200, "2026-11-21T06:00:00Z")
    assert client.post(f"/api/v1/runs/{names[0]}/retry", headers=filled.key(engine, "retry")).status_code == 409
