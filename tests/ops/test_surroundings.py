"""The doctor's look at the machine: each thing that can be wrong is found, with a way to mend it."""

import os
import socket
import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from db import migrate
from ops import surroundings
from ops.config import load, resolve
from tests.ops.fakes import settings as small
from tests.servers import free_port


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@contextmanager
def http(date: datetime | None = None, body: bytes = b"") -> Iterator[int]:
    """A server that tells a time of its own; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(200)
            if date is not None:
                self.send_header("Date", format_datetime(date, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()


def test_every_directory_that_runs_write_to_is_looked_at(tmp_path):
    settings = small(tmp_path)
    assert surroundings.directories(settings) == {
        "paths.work": tmp_path / "work",
        "store.url": tmp_path / "products",
        "ingest.cache": settings.ingest.cache,
        "database.url": tmp_path,
    }
    elsewhere = small(tmp_path, store__url="s3://bucket", database__url="postgresql://me@host/name")
    assert list(surroundings.directories(elsewhere)) == ["paths.work", "ingest.cache"]
    assert surroundings.disk(settings).ok
    assert not list(tmp_path.rglob(".probe*"))


def test_too_little_room_is_found(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda _path: usage(2**40, 2**40, 2**20))
    finding = surroundings.disk(small(tmp_path))
    assert not finding.ok and "store.url: 2 GiB are needed" in finding.mend


def test_too_few_inodes_are_found(tmp_path, monkeypatch):
    real = os.statvfs(tmp_path)
    few = os.statvfs_result([*real[:5], 1000, 17, 17, *real[8:]])
    monkeypatch.setattr(surroundings.os, "statvfs", lambda _path: few)
    finding = surroundings.disk(small(tmp_path))
    assert not finding.ok and "17 inodes free" in finding.found and "20000 inodes are needed" in finding.mend


def test_a_disk_that_cannot_keep_what_it_takes_is_found(tmp_path, monkeypatch):
    def refused(_number: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(surroundings.os, "fsync", refused)
    finding = surroundings.disk(small(tmp_path))
    assert not finding.ok and "Input/output error" in finding.found
    assert not list(tmp_path.rglob(".probe*"))


@pytest.mark.parametrize(("minutes", "ok"), [(0, True), (3, False), (-3, False)])
def test_a_clock_that_is_wrong_is_found(minutes, ok):
    with http(datetime.now(UTC) - timedelta(minutes=minutes)) as port:
        finding = surroundings.clock(load(options={"store.endpoint_url": f"http://127.0.0.1:{port}"}))
    assert finding.ok is ok
    assert "s beside 127.0.0.1" in finding.found and "NTP" in finding.mend


def test_without_a_server_the_clock_is_compared_with_nobody():
    finding = surroundings.clock(load())
    assert finding.ok and "no server was there" in finding.found


def test_the_database_tells_its_latency_and_its_clock(postgresql_url, tmp_path):
    import db

    for url, told in ((postgresql_url, True), (f"sqlite:///{tmp_path}/history.db", False)):
        bound = db.engine(url)
        seconds, ahead = migrate.latency_and_clock(bound, lambda: datetime.now(UTC) + timedelta(minutes=2))
        bound.dispose()
        assert 0 < seconds < 5
        assert (ahead is not None) is told
        assert ahead is None or ahead == pytest.approx(120, abs=5)


def test_a_port_may_be_free_or_served_by_sigmacast_but_not_by_others():
    number = free_port()
    assert surroundings.port(load(options={"web.port": number})).found == f"127.0.0.1:{number} is free"
    with http(body=b'{"info": {"title": "sigmacast"}}') as number:
        assert surroundings.port(load(options={"web.port": number})).found.endswith("is served by sigmacast")
    with http(body=b"something else") as number:
        finding = surroundings.port(load(options={"web.port": number}))
        assert not finding.ok and "set web.port" in finding.mend
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        thread = threading.Thread(target=lambda: other.accept()[0].close(), daemon=True)
        thread.start()
        assert not surroundings.port(load(options={"web.port": other.getsockname()[1]})).ok


def test_an_address_that_this_machine_does_not_have_is_found():
    assert not surroundings.port(load(options={"web.host": "192.0.2.1", "web.port": free_port()})).ok


def test_secrets_that_everybody_may_read_are_found(tmp_path, monkeypatch):
    secret, file = tmp_path / "secret", tmp_path / "sigmacast.toml"
    secret.write_text("postgresql://me:s3cret@host/name")
    monkeypatch.setenv("SIGMACAST_DATABASE__URL_FILE", str(secret))
    secret.chmod(0o644)
    finding = surroundings.permissions(resolve())
    assert not finding.ok and finding.mend == f"take that right away: chmod o-rwx {secret}"
    secret.chmod(0o640)
    assert surroundings.permissions(resolve()).ok
    file.write_text('[notify]\nsecret = "s3cret"\n')
    file.chmod(0o644)
    assert str(file.name) in surroundings.permissions(resolve()).mend
    file.write_text('[forecast]\nmembers = 2\n[database]\nurl = "postgresql://me@host/name"\n')
    assert surroundings.permissions(resolve()).ok
