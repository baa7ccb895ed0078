"""The catalogue: valid STAC that a stock reader walks, whatever happens to the publisher."""

import json
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pystac
import pytest
from pystac.validation import validate_dict

from publish import discovery, stac
from publish.manifest import Manifest
from publish.product import ProductSettings
from publish.publisher import Publisher
from publish.stac import Entry
from publish.status import State, change
from publish.stores import LocalStore, S3Store
from tests.publish.frames import INIT_TIME, make_frame, make_run

SMALL = ProductSettings(levels=(500,), fields=("air_temperature",), chart_lead_hours=(), places=())
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN = "19590102/00z/sigmacast/5p0/"


def publish(store: Any, settings: ProductSettings = SMALL, run_id: str = "run-1") -> Manifest:
    run = make_run(run_id=run_id, institution="Example Weather Service", licence="CC BY-SA 4.0")
    publisher = Publisher(store, run, settings, clock=lambda: NOW)
    for hours in publisher.missing_lead_hours:
        publisher.publish(make_frame(hours))
    return publisher.close()


def complete(store: Any, product: str, day: int = 0) -> str:
    """A manifest and a status as a complete run has them, without the data; the key of the manifest."""
    init_time = INIT_TIME + timedelta(days=day)
    manifest = replace(TEMPLATE, product=product, init_time=init_time, run_id=f"{product}-{day}")
    key = f"{init_time:%Y%m%d}/00z/{product}/5p0/manifest.json"
    store.put(key, manifest.to_json())
    return key


TEMPLATE = Manifest(
    "run-1", "sigmacast", INIT_TIME, NOW, (0, 6), 4, (0, 1, 2, 3), (), 0.9, 5.0, "unspecified", "CC BY 4.0", {}, ()
)  # fmt: skip


def documents(store: Any) -> dict[str, dict[str, Any]]:
    keys = [info.key for info in store.list() if info.key.startswith("stac/") or info.key == stac.CATALOG]
    return {key: json.loads(store.get(key)) for key in keys}


def require_forecast(document: dict[str, Any]) -> None:
    """The rules of the extension forecast 0.2.0: its name, a reference time, UTC times and ISO durations."""
    assert "https://stac-extensions.github.io/forecast/v0.2.0/schema.json" in document["stac_extensions"]
    properties = document["properties"]
    assert datetime.fromisoformat(properties["forecast:reference_datetime"]).utcoffset() == timedelta(0)
    for fields in (properties, *document["assets"].values()):
        known = {"reference_datetime", "horizon", "duration", "variable", "perturbed"}
        assert {name.removeprefix("forecast:") for name in fields if name.startswith("forecast:")} <= known
        for name in ("forecast:horizon", "forecast:duration"):
            assert re.fullmatch(r"PT\d+H", fields.get(name, "PT0H"))
        assert isinstance(fields.get("forecast:perturbed", False), bool)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStore, Manifest]:
    store = LocalStore(tmp_path_factory.mktemp("stac"))
    return store, publish(store)


def test_every_document_is_valid(published: tuple[LocalStore, Manifest], monkeypatch: pytest.MonkeyPatch):
    """Against the schemas of STAC 1.1.0 that pystac carries; extensions by their rules; nothing is fetched."""
    monkeypatch.setattr("urllib.request.urlopen", lambda *_a, **_k: pytest.fail("the network was asked"))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_a, **_k: pytest.fail("the network was asked"))
    found = documents(published[0])
    assert set(found) == {"catalog.json", "stac/sigmacast/collection.json", "stac/sigmacast/19590102T00-5p0.json"}
    for document in found.values():
        assert document["stac_version"] == "1.1.0"
        core = document | {"stac_extensions": []}
        assert validate_dict(core)
    require_forecast(found["stac/sigmacast/19590102T00-5p0.json"])
    wrong = found["catalog.json"] | {"links": [{"rel": "child"}]}
    with pytest.raises(pystac.STACValidationError):
        validate_dict(wrong)


def test_a_stock_reader_walks_from_the_catalogue_to_the_bytes(published: tuple[LocalStore, Manifest]):
    store, manifest = published
    catalog = pystac.Catalog.from_file(str(store.path(stac.CATALOG)))
    (item,) = catalog.get_items(recursive=True)
    (collection,) = catalog.get_children()
    assert isinstance(collection, pystac.Collection)
    assert (collection.id, collection.license) == ("sigmacast", "CC-BY-SA-4.0")
    assert item.get_collection() is not None and item.properties["sigmacast:run_id"] == "run-1"
    data = {each.key: each for each in manifest.objects if each.kind not in ("index", "inventory", "zarr part")}
    assert len(item.assets) == len(data) + 1
    for asset in item.assets.values():
        path = Path(asset.get_absolute_href() or "")
        key = path.resolve().relative_to(store.path("x").parent.resolve()).as_posix()
        known = published[0].head(key)
        assert known is not None
        assert asset.extra_fields["file:checksum"] == f"1220{known.sha256}"
        assert asset.extra_fields["file:size"] == path.stat().st_size
    assert item.assets["6h-enfo-ef.nc"].extra_fields["forecast:horizon"] == "PT6H"
    assert item.assets["6h-oper-fc.grib2"].media_type == "application/wmo-GRIB2"


def test_the_catalogue_stands_before_the_pointer(tmp_path: Path):
    order = []

    class Watched(LocalStore):
        def put(self, key: str, content: Any, *args: Any, **options: Any):
            order.append(key)
            return super().put(key, content, *args, **options)

    publish(Watched(tmp_path))
    after = order[order.index(f"{RUN}manifest.json") :]
    assert [key for key in after if not key.endswith("status.json")] == [
        f"{RUN}manifest.json",
        f"{RUN}index.html",
        "stac/sigmacast/19590102T00-5p0.json",
        "stac/sigmacast/collection.json",
        "catalog.json",
        "index.html",
        "latest.json",
    ]


def test_doing_it_again_changes_nothing(published: tuple[LocalStore, Manifest]):
    store = published[0]
    before = {info.key: store.get(info.key) for info in store.list()}
    discovery.refresh(store, f"{RUN}manifest.json")
    assert {info.key: store.get(info.key) for info in store.list()} == before


def test_a_retracted_run_leaves_the_catalogue_and_its_page_says_why(store: LocalStore):
    publish(store)
    other = complete(store, "other")
    discovery.refresh(store, other)
    change(
        store,
        f"{RUN}status.json",
        lambda: NOW,
        lambda status: replace(status, state=State.RETRACTED, reason="wrong <analysis>"),
    )
    discovery.refresh(store, f"{RUN}manifest.json")
    assert set(documents(store)) == {"catalog.json", "stac/other/collection.json", "stac/other/19590102T00-5p0.json"}
    assert [link["title"] for link in documents(store)["catalog.json"]["links"] if link["rel"] == "child"] == ["other"]
    page = store.get(f"{RUN}index.html").decode()
    assert "This run is retracted." in page and "wrong &lt;analysis&gt;" in page


def test_a_run_that_was_removed_is_forgotten(store: LocalStore):
    keys = [complete(store, "sigmacast", day) for day in (0, 1)]
    for key in keys:
        discovery.refresh(store, key)
    store.delete(keys[1])
    discovery.refresh(store, keys[1])
    collection = documents(store)["stac/sigmacast/collection.json"]
    assert [link["href"] for link in collection["links"] if link["rel"] == "item"] == ["./19590102T00-5p0.json"]
    assert "19590103" not in store.get("index.html").decode()
    store.delete(keys[0])
    discovery.refresh(store, keys[0])
    assert list(store.list()) == []


def test_runs_that_end_at_once_are_all_listed(store: LocalStore):
    manifests = [complete(store, f"line-{day % 2}", day) for day in range(12)]
    failures = []

    def enter(key: str) -> None:
        try:
            discovery.refresh(store, key)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=enter, args=(key,)) for key in manifests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    catalog = pystac.Catalog.from_file(str(store.path(stac.CATALOG)))
    assert len(list(catalog.get_items(recursive=True))) == 12
    assert store.get("index.html").decode().count('<th scope="row">') == 12


def test_killed_at_any_write_the_next_run_lists_both(tmp_path: Path):
    class Cut(LocalStore):
        left = 10**6

        def put(self, *args: Any, **options: Any):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().put(*args, **options)

    for writes in range(20):
        store = Cut(tmp_path / f"{writes}")
        first, second = complete(store, "sigmacast", 0), complete(store, "sigmacast", 1)
        store.left = writes
        try:
            discovery.refresh(store, first)
        except KeyboardInterrupt:
            store.left = 10**6
            discovery.refresh(store, second)
            discovery.refresh(store, first)
            collection = documents(store)["stac/sigmacast/collection.json"]
            assert len([link for link in collection["links"] if link["rel"] == "item"]) == 2
        else:
            assert writes == 5
            return
    pytest.fail("it never ended")


def test_the_same_on_s3(s3_environment):
    store = S3Store(s3_environment.new_bucket(), "a", s3_environment.endpoint_url)
    for day in (0, 1):
        discovery.refresh(store, complete(store, "sigmacast", day))
    links = documents(store)["stac/sigmacast/collection.json"]["links"]
    assert len([link for link in links if link["rel"] == "item"]) == 2
    head = s3_environment.client().head_object(Bucket=store.url.split("/")[2], Key="a/index.html")
    assert head["ContentType"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ("CC BY-SA 4.0", "CC-BY-SA-4.0"),
        ("CC0 1.0", "CC0-1.0"),
        ("Apache-2.0", "Apache-2.0"),
        ("unspecified", "other"),
        ("see our terms", "other"),
        ("", "other"),
    ],
)
def test_a_licence_is_named_as_in_spdx_or_not_at_all(told: str, known: str):
    assert stac.licence(told) == known


def test_the_key_of_an_item_says_all_that_lists_need():
    entry = Entry(INIT_TIME, "sigmacast-2", "0p25")
    assert Entry.from_key(entry.key) == entry
    assert Entry.of_run(entry.run_prefix) == entry
    assert Entry.from_key("stac/sigmacast-2/collection.json") is None
    with pytest.raises(ValueError, match="prefix of a run"):
        Entry.of_run("somewhere/else")
