"""Products over HTTP: listed, streamed in whole or in ranges, or handed over to the store."""

import httpx
import pytest
from fastapi.testclient import TestClient

import db
from db.schema import Product, Run
from ops.config import load
from ops.web.app import create
from publish.stores import LocalStore, open_store
from tests.ops.web import filled
from tests.ops.web.filled import CONTENT, models

HREF = f"/api/v1/runs/{models.A_RUN}/products/{models.A_KEY}"
SIZE = len(CONTENT)


@pytest.fixture
def names(engine, tmp_path) -> list[str]:
    return filled.fill(engine, tmp_path / "store")


def test_products_are_listed_by_key_with_the_address_of_their_content(client, names):
    found = filled.walked(client, f"/api/v1/runs/{names[0]}/products", "products")
    assert len(found) == 7 and [one["key"] for one in found] == sorted(one["key"] for one in found)
    href = next(one["href"] for one in found if one["key"] == models.A_KEY)
    assert client.get(href).content == CONTENT


def test_products_are_chosen_by_kind_and_lead_time(client, names):
    path = f"/api/v1/runs/{names[1]}/products"
    assert {one["lead_time_hours"] for one in client.get(f"{path}?kind=control").json()["products"]} == {None, 12, 24}
    assert [one["lead_time_hours"] for one in client.get(f"{path}?lead_time_hours=18").json()["products"]] == [18]


def test_a_product_comes_whole_with_its_hash_as_etag(client, names):
    answer = client.get(HREF)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "application/wmo-GRIB2"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert client.get(HREF, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    "asked, begin, end",
    [
        ("0-0", 0, 1),
        ("100-199", 100, 200),
        (f"{SIZE - 1}-", SIZE - 1, SIZE),
        ("-10", SIZE - 10, SIZE),
        ("5-99999999", 5, SIZE),
    ],
)
def test_a_range_is_given_exactly(client, names, asked, begin, end):
    answer = client.get(HREF, headers={"Range": f"bytes={asked}"})
    assert (answer.status_code, answer.content) == (206, CONTENT[begin:end])
    assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - begin)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-3", "bytes=-", "lines=1-2", "bytes=x-y"])
def test_a_range_that_this_server_does_not_know_is_ignored(client, names, asked):
    answer = client.get(HREF, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", [f"{SIZE}-", f"{SIZE + 5}-{SIZE + 9}", "-0"])
def test_a_range_beyond_the_end_is_refused_with_the_size(client, names, asked):
    answer = client.get(HREF, headers={"Range": f"bytes={asked}"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{SIZE}")


def test_if_range_gives_the_range_of_the_same_version_and_all_of_another(client, names):
    whole = client.get(HREF).headers
    given = {
        whole["etag"]: 206,
        whole["last-modified"]: 206,
        '"another"': 200,
        f"W/{whole['etag']}": 200,
        "Sat, 21 Nov 2020 06:00:00 GMT": 200,
    }
    statuses = {tag: client.get(HREF, headers={"Range": "bytes=0-9", "If-Range": tag}).status_code for tag in given}
    assert statuses == given


def test_head_tells_what_get_would_without_a_body(client, names):
    head, whole = client.head(HREF), client.get(HREF)
    same = ("etag", "content-length", "content-type", "last-modified", "accept-ranges")
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers[name] for name in same} == {name: whole.headers[name] for name in same}


def test_what_was_removed_is_told_as_such(client, engine, names, tmp_path):
    removed = filled.key_of(names[0], 36)
    answer = client.get(f"/api/v1/runs/{names[0]}/products/{removed}")
    assert (answer.status_code, "removed from the store on 2026-11-21" in answer.json()["detail"]) == (404, True)
    LocalStore(tmp_path / "store").delete(models.A_KEY)
    assert client.get(HREF).status_code == 404


def test_no_key_leads_out_of_the_store(client, engine, names, tmp_path):
    (tmp_path / "secret").write_text("secret")
    for key in ("../secret", "%2e%2e/secret", "..%2fsecret", "//etc/passwd"):
        answer = client.get(f"/api/v1/runs/{names[0]}/products/{key}")
        assert answer.status_code == 404 and answer.text != "secret"


def test_a_large_product_is_streamed_in_blocks_that_join(client, engine, names, tmp_path):
    content = bytes(range(251)) * 12_000
    store = LocalStore(tmp_path / "store")
    info = store.put("large.bin", content)
    with db.writing(engine) as session:
        session.add(
            Product(
                run_id=names[0],
                key="large.bin",
                kind="control",
                bytes=len(content),
                sha256=info.sha256,
                published_at=filled.NOW,
            )
        )
    href = f"/api/v1/runs/{names[0]}/products/large.bin"
    assert client.get(href).content == content
    assert client.get(href, headers={"Range": "bytes=1000000-2999999"}).content == content[1_000_000:3_000_000]


@pytest.fixture
def on_s3(s3_environment, engine, names):
    """The settings of a store on S3 that holds the example's product."""
    url = f"s3://{s3_environment.new_bucket()}/forecasts"
    open_store(url, s3_environment.endpoint_url).put(models.A_KEY, CONTENT)
    with db.writing(engine) as session:
        session.query(Run).filter(Run.id == names[0]).update({"store_url": url})
    return {
        "database.url": engine.url.render_as_string(hide_password=False),
        "store.url": url,
        "store.endpoint_url": s3_environment.endpoint_url,
    }


def test_a_product_on_s3_is_handed_over_by_a_presigned_address(on_s3, engine, clock):
    with TestClient(create(load(None, on_s3), engine, clock)) as client:
        answer = client.get(HREF, follow_redirects=False)
        assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
        assert httpx.get(answer.headers["location"], headers={"Range": "bytes=0-9"}).content == CONTENT[:10]
        assert client.head(HREF).headers["content-length"] == str(SIZE)


def test_a_product_on_s3_is_streamed_where_readers_cannot_reach_the_store(on_s3, engine, clock):
    with TestClient(create(load(None, on_s3 | {"web.downloads": "stream"}), engine, clock)) as client:
        answer = client.get(HREF, headers={"Range": "bytes=10-19"}, follow_redirects=False)
        assert (answer.status_code, answer.content) == (206, CONTENT[10:20])


def test_last_modified_is_the_time_of_publication(client, names):
    assert client.head(HREF).headers["last-modified"] == "Sat, 21 Nov 2026 06:00:00 GMT"
