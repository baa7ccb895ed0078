"""Stores amid faults of real servers, networks and disks: nothing damaged is taken for good, nothing is lost."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from publish.layout import LATEST
from publish.publisher import Publisher
from publish.stores import (
    LocalStore,
    ObjectChanged,
    ObjectDamaged,
    ObjectExists,
    S3Options,
    S3Store,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from publish.verify import check, latest_manifest
from tests.fault_proxy import Fault, Proxy, fault_proxy
from tests.publish.frames import make_frame, make_run
from tests.publish.test_publisher import SMALL
from tests.servers import S3Server, started, temporary_directory

QUICK = S3Options(deadline_seconds=30, timeout_seconds=5)
PARTS = S3Options(deadline_seconds=30, timeout_seconds=5, part_bytes=5 << 20)
CONTENT = bytes(range(256)) * 40
ALL_BUT_SLOW = [fault for fault in Fault if fault is not Fault.SLOW]


@pytest.fixture
def proxy(s3_environment: S3Server) -> Iterator[Proxy]:
    with fault_proxy(s3_environment.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def bucket(s3_environment: S3Server) -> str:
    return s3_environment.new_bucket()


@pytest.fixture
def store(proxy: Proxy, bucket: str) -> S3Store:
    return S3Store(bucket, "some/prefix", proxy.url, QUICK)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(11 << 20))
    return path


@pytest.mark.parametrize("fault", ALL_BUT_SLOW)
def test_what_is_put_amid_a_fault_is_whole(store: S3Store, proxy: Proxy, fault: Fault):
    proxy.inject(fault, "PUT", times=2)
    info = store.put("key", CONTENT)
    assert set(proxy.done) == {fault}
    assert store.read("key") == (CONTENT, info.version)


@pytest.mark.parametrize("fault", ALL_BUT_SLOW)
def test_what_is_fetched_amid_a_fault_is_whole(store: S3Store, proxy: Proxy, fault: Fault, tmp_path: Path):
    store.put("key", CONTENT)
    proxy.inject(fault, "GET", times=1)
    assert store.get("key") == CONTENT
    proxy.inject(fault, "GET", times=1)
    store.download("key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert proxy.done == [fault] * 2


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.CUT_ANSWER])
def test_a_writer_whose_answer_was_lost_knows_that_it_won(store: S3Store, proxy: Proxy, fault: Fault):
    proxy.inject(fault, "PUT")
    first = store.put("lock", b"mine", if_absent=True)
    proxy.inject(fault, "PUT")
    second = store.put("lock", b"mine again", if_version=first.version)
    assert store.read("lock") == (b"mine again", second.version)


@pytest.mark.parametrize("fault", ALL_BUT_SLOW)
def test_a_writer_that_came_too_late_knows_that_it_lost_amid_faults(store: S3Store, proxy: Proxy, fault: Fault):
    first = store.put("lock", b"theirs", if_absent=True)
    proxy.inject(fault, "PUT")
    with pytest.raises(ObjectExists):
        store.put("lock", b"mine", if_absent=True)
    store.put("lock", b"theirs again")
    proxy.inject(fault, "PUT")
    with pytest.raises(ObjectChanged):
        store.put("lock", b"mine", if_version=first.version)
    assert store.get("lock") == b"theirs again"


@pytest.mark.parametrize("fault", [Fault.CUT_REQUEST, Fault.FLIP_UP, Fault.FLIP_DOWN])
def test_parts_of_a_large_file_are_sent_and_fetched_again_one_by_one(
    proxy: Proxy, bucket: str, large: Path, tmp_path: Path, fault: Fault
):
    store = S3Store(bucket, "", proxy.url, PARTS)
    proxy.inject(fault, "PUT", "partNumber=2")
    info = store.put("large.bin", large, if_absent=True)
    proxy.inject(fault, "GET", "large.bin")
    store.download("large.bin", tmp_path / "back.bin")
    assert proxy.done == [fault] * 2
    assert (tmp_path / "back.bin").read_bytes() == large.read_bytes()
    assert store.head("large.bin") == info
    with pytest.raises(ObjectExists):
        store.put("large.bin", large, if_absent=True)


def test_the_end_of_an_upload_whose_answer_was_lost_is_the_end(proxy: Proxy, bucket: str, large: Path):
    store = S3Store(bucket, "", proxy.url, PARTS)
    proxy.inject(Fault.LOST_ANSWER, "POST", "uploadId=")
    info = store.put("large.bin", large, if_absent=True)
    assert store.head("large.bin") == info


def test_an_upload_that_fails_leaves_no_parts(s3_environment: S3Server, proxy: Proxy, bucket: str, large: Path):
    store = S3Store(bucket, "", proxy.url, S3Options(deadline_seconds=1, timeout_seconds=1, part_bytes=5 << 20))
    proxy.inject(Fault.UNAVAILABLE, "PUT", "partNumber=2", times=1000)
    with pytest.raises(StoreUnavailable):
        store.put("large.bin", large)
    assert "Uploads" not in s3_environment.client().list_multipart_uploads(Bucket=bucket)
    assert store.head("large.bin") is None


def test_a_server_that_stays_away_is_given_up_at_the_deadline(proxy: Proxy, bucket: str):
    store = S3Store(bucket, "", proxy.url, S3Options(deadline_seconds=1.5, timeout_seconds=1))
    proxy.inject(Fault.UNAVAILABLE, times=1000)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="SlowDown"):
        store.put("key", CONTENT)
    assert time.monotonic() - begun < 8
    assert len(proxy.done) > 2


def test_an_answer_that_trickles_is_given_up_at_the_deadline(proxy: Proxy, bucket: str):
    S3Store(bucket, "", proxy.url, QUICK).put("key", CONTENT)
    store = S3Store(bucket, "", proxy.url, S3Options(deadline_seconds=1.5, timeout_seconds=1))
    proxy.inject(Fault.SLOW, "GET", times=1000)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.get("key")
    assert time.monotonic() - begun < 8


def test_what_was_damaged_in_the_store_is_told(s3_environment: S3Server, store: S3Store, bucket: str, tmp_path: Path):
    digest = store.put("key", CONTENT).sha256
    s3_environment.client().put_object(
        Bucket=bucket, Key="some/prefix/key", Body=CONTENT[:-1] + b"?", Metadata={"sha256": str(digest)}
    )
    with pytest.raises(ObjectDamaged, match="key in s3://"):
        store.get("key")
    with pytest.raises(ObjectDamaged):
        store.download("key", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_the_server_will_never_take_is_not_repeated(proxy: Proxy, bucket: str):
    store = S3Store(bucket, "", proxy.url, S3Options(storage_class="NO_SUCH_CLASS", deadline_seconds=20))
    begun = time.monotonic()
    with pytest.raises(StoreDenied, match="options"):
        store.put("key", CONTENT)
    assert time.monotonic() - begun < 10


def test_objects_are_encrypted_and_classed_as_configured(
    s3_environment: S3Server, proxy: Proxy, bucket: str, large: Path
):
    options = S3Options(encryption="AES256", storage_class="STANDARD_IA", part_bytes=5 << 20)
    store = S3Store(bucket, "", proxy.url, options)
    store.put("small.json", b"{}")
    store.put("large.bin", large)
    for key, media_type in (("small.json", "application/json"), ("large.bin", "application/octet-stream")):
        told = s3_environment.client().head_object(Bucket=bucket, Key=key)
        assert (told["ServerSideEncryption"], told["StorageClass"]) == ("AES256", "STANDARD_IA")
        assert told["ContentType"] == media_type
    assert store.get("small.json") == b"{}"


def test_a_run_is_published_whole_amid_all_faults_at_once(proxy: Proxy, store: S3Store):
    proxy.chance = 0.15
    run = make_run(lead_hours=(0, 6))
    each = Publisher(store, run, SMALL)
    for hours in run.lead_hours:
        each.publish(make_frame(hours))
    each.close()
    assert check(store, *latest_manifest(store)).problems == ()
    assert len(set(proxy.done)) > 3


def test_a_server_killed_in_the_middle_of_a_run_and_started_again_loses_nothing(monkeypatch: pytest.MonkeyPatch):
    with temporary_directory() as directory:
        server = S3Server(Path(directory))
        started(server)
        for name, value in server.credentials.items():
            monkeypatch.setenv(name, value)
        store = S3Store(server.new_bucket(), "", server.endpoint_url, S3Options(deadline_seconds=60, timeout_seconds=5))
        run = make_run(lead_hours=(0, 6, 12))
        each = Publisher(store, run, SMALL)
        each.publish(make_frame(0))
        released = {key: store.get(key) for key in (one.key for one in each.objects)}
        server.kill()
        threading.Timer(1.0, server.start).start()
        each.publish(make_frame(6))
        assert {key: store.get(key) for key in released} == released
        server.kill()
        threading.Timer(1.0, server.start).start()
        each.publish(make_frame(12))
        each.close()
        assert check(store, *latest_manifest(store)).problems == ()
        server.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "sigmacast-test", str(path)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only who may mount file systems can fill one: run as root with CAP_SYS_ADMIN")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_on_a_full_disk_nothing_is_half_written_and_the_run_goes_on_when_there_is_room(small_disk: Path):
    store = LocalStore(small_disk / "store")
    ballast = small_disk / "ballast"
    run = make_run(lead_hours=(0, 6))
    each = Publisher(store, run, SMALL)
    each.publish(make_frame(0))
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    with pytest.raises(StoreError):
        each.publish(make_frame(6))
    assert not [path for path in small_disk.rglob("*") if path.name.endswith(".part")]
    assert each.missing_lead_hours == (6,)
    ballast.unlink()
    again = Publisher(store, run, SMALL)
    assert again.missing_lead_hours == (6,)
    again.publish(make_frame(6))
    again.close()
    assert store.head(LATEST) is not None
    assert check(store, *latest_manifest(store)).problems == ()
