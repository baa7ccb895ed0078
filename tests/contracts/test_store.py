"""What every store promises: the local directory and a real S3 server pass the same suite."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from publish.layout import LATEST
from publish.manifest import Manifest, verify
from publish.product import ProductSettings
from publish.publisher import Publisher
from publish.stores import (
    InvalidKey,
    LocalStore,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    S3Options,
    S3Store,
    Store,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    open_store,
)
from publish.stores.base import sha256_of
from tests.publish.frames import make_frame, make_run
from tests.servers import S3Server

OpenStore = Callable[[], Store]


@pytest.fixture(params=["local", "s3"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens one and the same store, empty at first, as often as asked."""
    if request.param == "local":
        return lambda: open_store((tmp_path / "store").as_uri())
    server: S3Server = request.getfixturevalue("s3_environment")
    bucket = server.new_bucket()
    return lambda: open_store(f"s3://{bucket}/some/prefix", endpoint_url=server.endpoint_url)


@pytest.fixture
def store(reopen: OpenStore) -> Store:
    return reopen()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "content.bin"
    path.write_bytes(bytes(range(256)) * 400)
    return path


def test_what_is_put_is_got_from_bytes_and_from_files(store: Store, file: Path):
    store.put("a/b/bytes.json", b"{}")
    store.put("a/b/file.bin", file)
    assert store.get("a/b/bytes.json") == b"{}"
    assert store.get("a/b/file.bin") == file.read_bytes()


def test_an_object_outlives_the_store_that_wrote_it(reopen: OpenStore):
    reopen().put("key", b"content")
    assert reopen().get("key") == b"content"


def test_put_and_head_tell_size_and_sha256(store: Store, file: Path):
    info = store.put("file.bin", file)
    assert (info.key, info.bytes, info.sha256) == ("file.bin", 102_400, sha256_of(file))
    assert store.head("file.bin") == info


def test_head_of_nothing_is_none(store: Store):
    assert store.head("no/such/object") is None


def test_an_empty_object_is_an_object(store: Store):
    store.put("empty", b"")
    assert store.get("empty") == b""
    assert store.head("empty").bytes == 0


def test_put_replaces(store: Store):
    store.put("key", b"long first content")
    store.put("key", b"second")
    assert store.get("key") == b"second"
    assert store.head("key").bytes == 6


def test_put_if_absent_refuses_a_taken_key_and_leaves_it_alone(store: Store):
    store.put("key", b"first", if_absent=True)
    with pytest.raises(ObjectExists, match="key already"):
        store.put("key", b"second", if_absent=True)
    assert store.get("key") == b"first"


def raced(reopen: OpenStore, key: str, refusal: type[Exception], **condition: Any) -> list[str]:
    """What became of six writers that put the key at once: the name of each that succeeded, or `refused`."""
    outcomes: list[str] = []
    together = threading.Barrier(6)

    def write(number: int) -> None:
        store = reopen()
        together.wait()
        try:
            store.put(key, f"writer {number}".encode(), **condition)
            outcomes.append(f"writer {number}")
        except refusal:
            outcomes.append("refused")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_many_writers_of_an_absent_key_exactly_one_succeeds(reopen: OpenStore):
    outcomes = raced(reopen, "lock", ObjectExists, if_absent=True)
    assert sorted(outcomes)[:5] == ["refused"] * 5
    assert reopen().get("lock").decode() in outcomes


def test_download_gives_the_file(store: Store, file: Path, tmp_path: Path):
    store.put("a/file.bin", file)
    target = tmp_path / "target.bin"
    store.download("a/file.bin", target)
    assert target.read_bytes() == file.read_bytes()


def test_a_failed_download_leaves_no_file(store: Store, tmp_path: Path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    with pytest.raises(ObjectNotFound, match="no/such"):
        store.download("no/such", folder / "target.bin")
    assert list(folder.iterdir()) == []


def test_get_of_nothing_names_the_key(store: Store):
    with pytest.raises(ObjectNotFound, match="no object no/such"):
        store.get("no/such")


def test_list_gives_the_objects_below_a_prefix_in_order(store: Store):
    for key in ("b/2", "a/1", "b/1/x", "c", "b/10"):
        store.put(key, key.encode())
    assert [info.key for info in store.list()] == ["a/1", "b/1/x", "b/10", "b/2", "c"]
    assert [(info.key, info.bytes) for info in store.list("b/1")] == [("b/1/x", 5), ("b/10", 4)]
    assert list(store.list("nothing")) == []


def test_list_of_an_empty_store_is_empty(store: Store):
    assert list(store.list()) == []


def test_delete_removes_and_may_be_repeated(store: Store):
    store.put("a/key", b"content")
    store.delete("a/key")
    store.delete("a/key")
    assert store.head("a/key") is None
    assert list(store.list()) == []


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../up", "a/../../up", "a//b", "a/./b", "a/", ".hidden", "a\\b", "a\nb"]
)
def test_keys_that_could_leave_the_store_are_refused(store: Store, key: str):
    with pytest.raises(InvalidKey, match="expected an object key"):
        store.put(key, b"content")
    with pytest.raises(InvalidKey):
        store.get(key)
    with pytest.raises(InvalidKey):
        store.delete(key)


def test_a_reader_never_sees_part_of_an_object(reopen: OpenStore):
    versions = [bytes([number]) * 300_000 for number in range(8)]
    reopen().put("key", versions[0])
    seen: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        store = reopen()
        while not done.is_set():
            seen.append(store.get("key"))

    reader = threading.Thread(target=read)
    reader.start()
    writer = reopen()
    for version in versions * 3:
        writer.put("key", version)
    done.set()
    reader.join()
    assert seen
    assert all(content in versions for content in seen)


def test_the_url_names_the_store_and_no_secret(store: Store):
    assert store.url.startswith(("file:///", "s3://test-"))
    assert "secret" not in store.url


@pytest.mark.parametrize("url", ["", "http://host/bucket", "s3://", "file://host/directory"])
def test_other_addresses_are_refused(url: str):
    with pytest.raises(ValueError, match="expected a store as a path"):
        open_store(url)


def test_a_plain_path_is_a_local_store(tmp_path: Path):
    open_store(str(tmp_path / "store")).put("key", b"content")
    assert (tmp_path / "store" / "key").read_bytes() == b"content"


def test_local_failure_while_writing_leaves_neither_object_nor_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = LocalStore(tmp_path)
    store.put("a/key", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("publish.stores.local.os.fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.put("a/key", b"new")
    assert store.get("a/key") == b"old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["key"]


def test_local_objects_and_directories_do_not_mix(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.put("a/b", b"content")
    with pytest.raises(StoreError, match="names a directory or a file"):
        store.put("a", b"content")
    with pytest.raises(StoreError):
        store.put("a/b/c", b"content")


def test_local_files_being_written_are_not_listed(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.put("a/key", b"content")
    (tmp_path / "a" / ".other.part").write_bytes(b"half")
    assert [info.key for info in store.list()] == ["a/key"]


def test_s3_large_files_go_in_parts_and_come_back_whole(s3_environment: S3Server, file: Path, tmp_path: Path):
    large = tmp_path / "large.bin"
    large.write_bytes(file.read_bytes() * 120)
    store = S3Store(s3_environment.new_bucket(), "", s3_environment.endpoint_url, S3Options(part_bytes=5 << 20))
    info = store.put("large.bin", large)
    assert store.head("large.bin") == info
    store.download("large.bin", tmp_path / "back.bin")
    assert sha256_of(tmp_path / "back.bin") == info.sha256


def test_s3_wrong_credentials_are_a_matter_of_configuration(s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch):
    bucket = s3_environment.new_bucket()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreDenied, match="check bucket, endpoint and credentials"):
        S3Store(bucket, "", s3_environment.endpoint_url).put("key", b"content")


def test_s3_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreDenied, match="AWS_ACCESS_KEY_ID"):
        S3Store("bucket", "", "http://127.0.0.1:9").put("key", b"content")


def test_s3_a_bucket_that_does_not_exist_is_a_matter_of_configuration(s3_environment: S3Server):
    with pytest.raises(StoreDenied, match="NoSuchBucket"):
        list(S3Store("no-such-bucket", "", s3_environment.endpoint_url).list())


def test_s3_a_server_that_does_not_answer_is_a_matter_of_time(s3_environment: S3Server):
    store = S3Store("bucket", "", "http://127.0.0.1:9", S3Options(deadline_seconds=1.0))
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="could not be reached"):
        store.put("key", b"content")
    assert time.monotonic() - begun < 5


def test_a_whole_run_is_published_and_verifies_on_every_store(reopen: OpenStore):
    settings = ProductSettings(levels=(500,), fields=("geopotential",))
    run = make_run(lead_hours=(0, 6))
    Publisher(reopen(), run, settings).publish(make_frame(0))
    resumed = Publisher(reopen(), run, settings)
    assert resumed.missing_lead_hours == (6,)
    resumed.publish(make_frame(6))
    manifest = resumed.close()
    latest = json.loads(reopen().get(LATEST))
    assert Manifest.from_json(reopen().get(latest["manifest"])) == manifest
    assert verify(reopen(), manifest) == []


def test_a_version_is_replaced_by_exactly_one_of_many_writers(reopen: OpenStore):
    version = reopen().put("pointer", b"first").version
    outcomes = raced(reopen, "pointer", ObjectChanged, if_version=version)
    assert sorted(outcomes)[:5] == ["refused"] * 5
    content, now = reopen().read("pointer")
    assert content.decode() in outcomes and now != version


def test_a_version_that_is_no_more_is_neither_replaced_nor_deleted(store: Store):
    first = store.put("pointer", b"first").version
    second = store.put("pointer", b"second", if_version=first).version
    for attempt in (lambda: store.put("pointer", b"third", if_version=first), lambda: store.delete("pointer", first)):
        with pytest.raises(ObjectChanged):
            attempt()
    with pytest.raises(ObjectChanged):
        store.put("nothing", b"content", if_version=first)
    assert store.read("pointer") == (b"second", second)
    store.delete("pointer", if_version=second)
    assert store.head("pointer") is None


def test_a_link_leads_to_the_object_without_credentials(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.put("a/key.json", b"{}")
    link = store.link("a/key.json", seconds=60)
    assert "testsecret" not in link
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with urlopen(link, timeout=10) as answer:
        assert answer.read() == b"{}"
    with pytest.raises(ObjectNotFound):
        store.link("nothing", seconds=60)
