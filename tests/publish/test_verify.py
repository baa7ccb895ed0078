"""What `verify` finds in a store that somebody has meddled with, read from the disk and over plain HTTP."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from publish import status
from publish.layout import LATEST, status_of
from publish.manifest import Manifest
from publish.publisher import Publisher
from publish.signature import Signer, create_key, read_public_key
from publish.stores import HttpReader, LocalStore, ObjectNotFound, Reader
from publish.verify import check, latest_manifest, root_and_key
from tests.publish.frames import make_frame, make_run
from tests.publish.test_publisher import SMALL

NOW = datetime(1959, 1, 2, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return create_key(tmp_path_factory.mktemp("keys") / "key.pem")


@pytest.fixture
def published(store: LocalStore, signer: Signer) -> LocalStore:
    each = Publisher(store, make_run(lead_hours=(6,)), SMALL, lambda: NOW, signer=signer)
    each.publish(make_frame(6))
    each.close()
    return store


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(published: LocalStore, tmp_path: Path) -> Iterator[str]:
    """The address of the store on a plain HTTP server."""
    handler = partial(Quiet, directory=str(tmp_path / "store"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def problems(store: Reader, **options: object) -> tuple[str, ...]:
    return check(store, *latest_manifest(store), **options).problems


def named(store: LocalStore, suffix: str) -> Path:
    return store.path(next(info.key for info in store.list() if info.key.endswith(suffix)))


def test_a_sound_run_is_found_sound_with_its_signer(published: LocalStore, signer: Signer):
    report = check(published, *latest_manifest(published), key=read_public_key(signer.public_key))
    assert report.problems == ()
    assert (report.run_id, report.signed_by) == ("run-1", signer.public_key)
    assert report.objects == len(Manifest.from_json(published.get(report.manifest)).objects)


def test_the_same_over_http(web: str, published: LocalStore, tmp_path: Path):
    reader = HttpReader(web)
    assert problems(reader) == ()
    assert reader.head("no/such") is None
    with pytest.raises(ObjectNotFound):
        reader.download("no/such", tmp_path / "nothing")
    assert not list(tmp_path.glob(".nothing*"))
    named(published, ".nc").write_bytes(b"damaged")
    assert len(problems(reader)) == 1


def test_the_root_of_a_store_is_found_from_the_address_of_a_manifest(published: LocalStore):
    key, _ = latest_manifest(published)
    manifest = Manifest.from_json(published.get(key))
    assert root_and_key(f"https://host/some/where/{key}", manifest) == ("https://host/some/where", key)
    with pytest.raises(ValueError, match=r"manifest\.json"):
        root_and_key("https://host/other/manifest.json", manifest)


def test_a_changed_manifest_is_found_by_pointer_and_signature(published: LocalStore):
    path = named(published, "manifest.json")
    path.write_text(path.read_text().replace("tiny-model", "tony-model"))
    found = problems(published)
    assert len(found) == 2
    assert "latest.json says" in found[0] and "does not fit the manifest" in found[1]


def test_a_key_that_is_expected_must_be_the_one(published: LocalStore, tmp_path: Path):
    other = read_public_key(create_key(tmp_path / "other.pem").public_key)
    assert "another key" in problems(published, key=other)[0]
    named(published, ".sig").unlink()
    assert problems(published) == ()
    assert "not signed" in problems(published, key=other)[0]


def test_every_damage_to_an_object_is_found(published: LocalStore):
    named(published, "-em.grib2").unlink()
    path = named(published, "-es.grib2")
    path.write_bytes(path.read_bytes()[:-1])
    found = " ".join(problems(published))
    assert "-em.grib2: missing" in found and "-es.grib2: " in found and "bytes, expected" in found


def test_an_index_that_leads_astray_is_found(published: LocalStore):
    """Even where the manifest vouches for it: then the publisher was wrong."""
    key, _ = latest_manifest(published)
    path = named(published, "-em.index")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["_length"] += 1
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = check(published, key).problems
    assert any("-em.index: there is no message of" in one for one in found)


def test_a_retracted_run_is_told(published: LocalStore):
    key, _ = latest_manifest(published)
    status.retract(published, status_of(key), "wrong sea surface", lambda: NOW)
    assert any("was retracted: wrong sea surface" in one for one in check(published, key).problems)


def test_a_store_without_a_pointer_is_told(tmp_path: Path):
    with pytest.raises(ObjectNotFound, match=LATEST):
        latest_manifest(LocalStore(tmp_path))
