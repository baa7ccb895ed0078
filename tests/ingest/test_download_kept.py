"""What is here of a download is kept, found sound, and never mixed with another issue of the file."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from ingest.download import Promise
from ingest.errors import Busy, Changed, Denied
from ingest.patience import Deadline
from tests.ingest.feeds.downloads import (
    CHOSEN_CONTENT,
    CONTENT,
    MESSAGES,
    PATH,
    download,
    left,
    remote,
    transfer,
)
from tests.ingest.feeds.grib_maker import Field, message
from tests.ingest.feeds.server import (
    Loopback,
    Slow,
    Status,
)


@pytest.fixture
def server():
    with Loopback() as server:
        server.publish(PATH, CONTENT)
        yield server


def test_finished_pieces_are_not_fetched_again(server, tmp_path):
    mover = transfer(connections=1, piece_bytes=2000, attempts=1)
    server.inject(Status(403), at=6)
    with pytest.raises(Denied):
        download(server, tmp_path, None, mover=mover)
    server.forget()
    seen = []
    assert download(server, tmp_path, None, mover=mover, progress=lambda had, _: seen.append(had)) == CONTENT
    assert server.bytes_asked() == len(CONTENT) - 8000 and seen[0] == 8000


@pytest.mark.parametrize("damage", ["part", "journal", "torn", "gone"])
def test_damage_to_what_was_kept_is_found(server, tmp_path, damage):
    mover = transfer(connections=1, piece_bytes=2000, attempts=1)
    server.inject(Status(403), at=6)
    with pytest.raises(Denied):
        download(server, tmp_path, None, mover=mover)
    part, journal = tmp_path / "file.grib2.part", tmp_path / "file.grib2.journal"
    if damage == "part":
        part.write_bytes(bytes([part.read_bytes()[0] ^ 1]) + part.read_bytes()[1:])
    elif damage == "journal":
        journal.write_bytes(os.urandom(500))
    elif damage == "torn":
        journal.write_text(journal.read_text()[:-4])
    else:
        part.unlink()
    server.forget()
    assert download(server, tmp_path, None, mover=mover) == CONTENT


def test_an_object_replaced_between_two_tries_is_fetched_from_its_start(server, tmp_path):
    server.inject(Status(403), at=4)
    with pytest.raises(Denied):
        download(server, tmp_path, None, mover=transfer(connections=1, attempts=1))
    server.publish(PATH, CONTENT[::-1])
    assert download(server, tmp_path, None, messages=None) == CONTENT[::-1]


def test_an_object_replaced_while_it_is_read_is_never_mixed(server, tmp_path):
    class Replacing(Loopback):
        def answer(self, request):
            if request.number == 3:
                self.publish(PATH, other)
            return super().answer(request)

    other = b"".join(reversed(MESSAGES))
    with Replacing() as replacing:
        replacing.publish(PATH, CONTENT)
        assert download(replacing, tmp_path, None) == other


def test_an_object_that_changes_all_the_time_is_given_up(tmp_path):
    class Restless(Loopback):
        def answer(self, request):
            self.publish(PATH, CONTENT[:-8] + request.number.to_bytes(4, "big") + b"7777")
            return super().answer(request)

    with Restless() as server, pytest.raises(Changed, match="replaced"):
        download(server, tmp_path, None)


def test_two_processes_do_not_write_one_file(server, tmp_path):
    server.inject(Slow(0.15), path=PATH, method="GET", times=1)
    first = threading.Thread(target=download, args=(server, tmp_path))
    first.start()
    while not (tmp_path / "file.grib2.journal").exists():
        time.sleep(0.01)
    with pytest.raises(Busy, match="another process"):
        download(server, tmp_path)
    first.join()
    assert (tmp_path / "file.grib2").read_bytes() == CHOSEN_CONTENT


_CHILD = """
import json, sys
from pathlib import Path
from ingest.download import Promise, Transfer
from ingest.feed import Part
from ingest.http import HttpRemote, new_session
from ingest.patience import Deadline
url, target, parts, messages = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
mover = Transfer(connections=2, piece_bytes=40_000, first_wait=0.01)
print("ready", flush=True)
mover.download(HttpRemote(url, new_session(2)), Path(target), [Part(*part) for part in parts],
               deadline=Deadline.after(60), promise=Promise(messages))
"""


def test_a_killed_process_resumes_where_it_was(tmp_path, repository):
    messages = [message(Field(name, level), spacing=1.0) for name in ("t", "u", "v", "q") for level in (300, 500, 850)]
    content = b"".join(messages)
    parts = [[sum(map(len, messages[:n])), len(one)] for n, one in enumerate(messages)]
    target = tmp_path / "file.grib2"
    rng = random.Random(7)
    with Loopback() as server:
        server.publish(PATH, content)
        server.inject(Slow(0.004, every=4096), path=PATH, method="GET", times=10**6)
        arguments = [sys.executable, "-c", _CHILD, server.url + PATH, str(target), json.dumps(parts), str(len(parts))]
        killed = 0
        while not target.exists():
            claimed = _claimed(target)
            server.requests.clear()
            child = subprocess.Popen(arguments, cwd=repository, stdout=subprocess.PIPE)
            assert child.stdout.readline() == b"ready\n"
            try:
                child.wait(timeout=rng.uniform(0.05, 0.35))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                killed += 1
            child.wait()
            child.stdout.close()
            asked = [request.ranges for request in server.requests if request.method == "GET"]
            assert not any(_start(text) in claimed for text in asked), "a finished piece was fetched again"
        assert killed >= 2
    assert target.read_bytes() == content
    assert left(tmp_path) == ["file.grib2"]


def _start(ranges):
    return int(ranges.removeprefix("bytes=").split("-")[0])


def _claimed(target):
    """Where in the object the finished pieces start, by the journal."""
    journal = target.with_name("file.grib2.journal")
    if not journal.exists():
        return set()
    header, *lines = journal.read_text().splitlines(keepends=True)
    lengths, at = {}, 0
    for offset, length in json.loads(header)["pieces"]:
        lengths[at] = offset, length
        at += length
    claims = [json.loads(line) for line in lines if line.endswith("\n")]
    return {lengths[at][0] for at, had, _ in claims if had == lengths[at][1]}


def test_what_was_begun_at_one_mirror_goes_on_at_another(server, tmp_path):
    mover = transfer(connections=1, piece_bytes=2000, attempts=1)
    with Loopback() as other:
        other.publish("/elsewhere/same.grib2", CONTENT)
        server.inject(Status(403), at=6)
        with pytest.raises(Denied):
            download(server, tmp_path, None, mover=mover, promise=Promise(9, "index 1"))
        target = tmp_path / "file.grib2"
        elsewhere = remote(other, "/elsewhere/same.grib2")
        mover.download(elsewhere, target, None, deadline=Deadline.after(20), promise=Promise(9, "index 1"))
        assert target.read_bytes() == CONTENT
        assert other.bytes_asked() == len(CONTENT) - 8000
