"""A publisher is killed at random moments, again and again, while readers look on: they never see half of anything."""

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from publish.manifest import Manifest, verify
from publish.status import State, Status
from publish.stores import HttpReader, LocalStore, ObjectNotFound, Reader, S3Options, S3Store
from publish.stores.base import sha256_of
from publish.verify import check, latest_manifest
from tests.publish.killing import layout
from tests.publish.test_verify import Quiet
from tests.servers import S3Server, started, temporary_directory

PAUSE = 0.005
"""Between two looks [s], so that readers leave some of the processor to the publisher."""


class Watcher:
    """A reader that looks at the store without a pause and notes what is wrong, and what it saw."""

    def __init__(self, reader: Reader) -> None:
        self.problems: list[str] = []
        self.seen: Counter[str] = Counter()
        self._reader = reader
        self._number = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    @contextmanager
    def looking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _look_on(self) -> None:
        while not self._stop.wait(PAUSE):
            try:
                self._look()
            except ObjectNotFound as error:
                self.problems.append(f"named and not there: {error}")
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")

    def _look(self) -> None:
        self.seen["looks"] += 1
        try:
            key, digest = latest_manifest(self._reader)
        except ObjectNotFound:
            self.seen["no run yet"] += 1
        else:
            content = self._reader.get(key)
            if sha256_of(content) != digest:
                self.problems.append(f"{key} is not the manifest that the pointer names")
            self._look_at_manifest(content)
        self._look_at_run()

    def _look_at_manifest(self, content: bytes) -> None:
        manifest = Manifest.from_json(content)
        self.problems += verify(self._reader, manifest)
        self.seen["whole runs"] += 1

    def _look_at_run(self) -> None:
        """The run that is being published: what its status releases is there, and its manifest is if it is complete."""
        try:
            status = Status.from_json(self._reader.get(layout(self._number).status))
        except ObjectNotFound:
            return
        for one in status.objects.values():
            if sha256_of(self._reader.get(one.key)) != one.sha256:
                self.problems.append(f"{one.key} is not what was released")
        self.seen[f"{status.state} with {len(status.releases)} releases"] += 1
        if status.state is State.COMPLETE:
            self._look_at_manifest(self._reader.get(str(status.manifest)))
            self._number += 1


def campaign(url: str, endpoint: str, kills: int, seed: int, directory: Path) -> list[str]:
    """Kill so often; the keys of the manifests of the acknowledged runs."""
    acknowledged = directory / "acknowledged"
    command = [sys.executable, "-m", "tests.publish.killing", url, endpoint, str(kills), str(seed), str(acknowledged)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    told = re.fullmatch(r"(\d+) kills, (\d+) runs\n", ended.stdout)
    assert told is not None and int(told[1]) == kills
    keys = acknowledged.read_text().splitlines()
    assert len(set(keys)) == int(told[2])
    sys.stdout.write(ended.stdout)
    return keys


def require_all_whole(store: Reader, keys: list[str], watchers: list[Watcher]) -> None:
    for watcher in watchers:
        sys.stdout.write(f"{dict(watcher.seen)}\n")
        assert watcher.problems == []
        assert watcher.seen["looks"] > 1
    for key in keys:
        assert check(store, key).problems == ()
    assert latest_manifest(store)[0] == sorted(keys)[-1]


def on_a_disk(directory: Path, kills: int, seed: int) -> None:
    store = LocalStore(directory / "store")
    (directory / "store").mkdir()
    handler = partial(Quiet, directory=str(directory / "store"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        watchers = [
            Watcher(LocalStore(directory / "store")),
            Watcher(HttpReader(f"http://127.0.0.1:{server.server_port}")),
        ]
        with watchers[0].looking(), watchers[1].looking():
            keys = campaign(store.url, "", kills, seed, directory)
        server.shutdown()
    require_all_whole(store, keys, watchers)


def on_s3(server: S3Server, directory: Path, kills: int, seed: int) -> None:
    bucket, options = server.new_bucket(), S3Options(deadline_seconds=120, timeout_seconds=5)
    store = S3Store(bucket, "runs", server.endpoint_url, options)
    watcher = Watcher(S3Store(bucket, "runs", server.endpoint_url, options))
    with watcher.looking():
        keys = campaign(store.url, server.endpoint_url, kills, seed, directory)
    require_all_whole(store, keys, [watcher])


def test_killed_ten_times_on_a_disk(tmp_path: Path):
    on_a_disk(tmp_path, 10, seed=1)


def test_killed_ten_times_on_s3(s3_environment: S3Server, tmp_path: Path):
    on_s3(s3_environment, tmp_path, 10, seed=2)


@pytest.mark.slow
def test_killed_two_hundred_times_on_a_disk(tmp_path: Path):
    on_a_disk(tmp_path, 200, seed=3)


@pytest.mark.slow
def test_killed_two_hundred_times_on_s3_while_the_server_is_killed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with temporary_directory() as directory:
        server = S3Server(Path(directory))
        started(server)
        for name, value in server.credentials.items():
            monkeypatch.setenv(name, value)
        stop, deaths = threading.Event(), []

        def kill_now_and_then() -> None:
            while not stop.wait(20):
                server.kill()
                server.start()
                deaths.append(1)

        killer = threading.Thread(target=kill_now_and_then)
        killer.start()
        try:
            on_s3(server, tmp_path, 200, seed=4)
        finally:
            stop.set()
            killer.join()
            server.stop()
        sys.stdout.write(f"the server was killed {len(deaths)} times\n")
        assert deaths
