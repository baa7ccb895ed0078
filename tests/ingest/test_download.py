"""A download ends as the whole file or as an error that says what to do, whatever goes wrong on the way."""

import threading
import time

import pytest

from ingest.download import Promise
from ingest.errors import Broken, Busy, Changed, Denied, Gone, NotYetAvailable, Refused, SourceError
from ingest.feed import Part
from ingest.http import HttpRemote, new_session, without_secrets
from ingest.patience import Deadline
from tests.ingest.feeds.clock import WaitingClock
from tests.ingest.feeds.downloads import (
    CHOSEN,
    CHOSEN_CONTENT,
    CONTENT,
    MESSAGES,
    PARTS,
    PATH,
    STARTS,
    download,
    left,
    remote,
    transfer,
)
from tests.ingest.feeds.server import (
    Corrupt,
    Cut,
    IgnoreRange,
    Loopback,
    NoLength,
    Refuse,
    Slow,
    Stall,
    Status,
    WrongLength,
)


@pytest.fixture
def server():
    with Loopback() as server:
        server.publish(PATH, CONTENT)
        yield server


@pytest.mark.parametrize("parts, expected", [(None, CONTENT), (CHOSEN, CHOSEN_CONTENT), (PARTS, CONTENT)])
def test_the_file_holds_the_parts_one_behind_the_other(server, tmp_path, parts, expected):
    assert download(server, tmp_path, parts) == expected
    assert left(tmp_path) == ["file.grib2"]


def test_parts_that_adjoin_are_one_request_and_long_ones_several(server, tmp_path):
    download(server, tmp_path, CHOSEN, mover=transfer(piece_bytes=1 << 20))
    assert [request.method for request in server.requests].count("GET") == 3
    server.forget()
    download(server, tmp_path, None, mover=transfer(piece_bytes=5000))
    assert [request.method for request in server.requests].count("GET") == -(-len(CONTENT) // 5000)
    assert server.bytes_asked() == len(CONTENT)


def test_progress_grows_to_the_total(server, tmp_path):
    seen = []
    download(server, tmp_path, progress=lambda had, total: seen.append((had, total)))
    assert seen[0] == (0, len(CHOSEN_CONTENT)) and seen[-1] == (len(CHOSEN_CONTENT),) * 2
    assert [had for had, _ in seen] == sorted(had for had, _ in seen)


def test_no_more_connections_at_once_than_the_source_allows(tmp_path):
    class Counting(Loopback):
        open = most = 0
        guard = threading.Lock()

        def answer(self, request):
            with self.guard:
                self.open += 1
                self.most = max(self.most, self.open)
            time.sleep(0.02)
            with self.guard:
                self.open -= 1
            return super().answer(request)

    mover = transfer(connections=3, piece_bytes=1000, block_timeout=5.0)
    with Counting() as server:
        server.publish(PATH, CONTENT)
        folders = [tmp_path / str(n) for n in range(3)]
        jobs = [threading.Thread(target=download, args=(server, folder), kwargs={"mover": mover}) for folder in folders]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        heads = len(folders)
        assert 2 <= server.most <= mover.connections + heads - 1
    assert all((folder / "file.grib2").read_bytes() == CHOSEN_CONTENT for folder in folders)


FAULTS = [
    Status(404),
    Status(403),
    Status(410),
    Status(429, retry_after=0.02),
    Status(500),
    Status(503, retry_after="Wed, 01 Jul 2026 00:00:00 GMT"),
    Status(503),
    Cut(after=0),
    Cut(after=700),
    Cut(after=700, reset=True),
    Refuse(),
    Slow(0.3),
    Stall(0.3),
    Slow(0.06, every=40),
    WrongLength(by=-900),
    WrongLength(by=900),
    IgnoreRange(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("parts, expected", [(None, CONTENT), (CHOSEN, CHOSEN_CONTENT)], ids=["whole", "parts"])
def test_a_fault_at_any_request_gives_the_same_file_or_an_error_and_no_file(server, tmp_path, fault, parts, expected):
    pieces = {"piece_bytes": 10_000 if parts is None else 4000}
    download(server, tmp_path, parts, mover=transfer(**pieces))
    requests = len(server.requests)
    for number in range(1, requests + 1):
        folder = tmp_path / str(number)
        server.forget()
        server.inject(fault, at=number)
        try:
            content = download(server, folder, parts, mover=transfer(**pieces))
        except SourceError:
            assert not (folder / "file.grib2").exists()
            server.forget()
            content = download(server, folder, parts, mover=transfer(**pieces))
        assert content == expected, number
        assert left(folder) == ["file.grib2"]


@pytest.mark.parametrize("fault", [f for f in FAULTS if not isinstance(f, Status) or f.status >= 429], ids=repr)
def test_what_time_mends_is_mended_without_the_caller(server, tmp_path, fault):
    for number in range(1, 5):
        server.forget()
        server.inject(fault, at=number)
        assert download(server, tmp_path / str(number)) == CHOSEN_CONTENT


@pytest.mark.parametrize(
    "status, kind",
    [(404, NotYetAvailable), (403, Denied), (401, Denied), (400, Denied), (410, Gone), (416, Changed)]
    + [(status, Busy) for status in (408, 425, 429, 500, 502, 503, 504)],
)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_error_says_what_to_do(server, tmp_path, status, kind, method):
    server.inject(Status(status), method=method, times=99)
    with pytest.raises(kind, match=str(status)):
        download(server, tmp_path, deadline=WaitingClock().deadline(1e6))
    assert "file.grib2" not in left(tmp_path)
    asked = [request for request in server.requests if request.method == method]
    assert len(asked) >= 5 if kind is Busy else len(asked) <= 6


@pytest.mark.parametrize("fault", [Status(405), Status(501), NoLength()], ids=repr)
@pytest.mark.parametrize("spoils_range", [False, True])
def test_where_head_tells_no_length_the_first_byte_does(server, tmp_path, fault, spoils_range):
    server.inject(fault, method="HEAD", times=99)
    if spoils_range:
        server.inject(IgnoreRange(), method="GET", times=99)
    assert download(server, tmp_path) == CHOSEN_CONTENT
    assert transfer().read(remote(server), Deadline.after(20)) == CONTENT


def test_an_object_whose_length_nobody_tells_is_broken(server, tmp_path):
    server.inject(IgnoreRange(), times=99)
    server.inject(NoLength(), times=99)
    with pytest.raises(Broken, match="its length"):
        download(server, tmp_path)


def test_a_server_that_is_not_there_is_busy(server, tmp_path):
    with Loopback() as other:
        pass
    with pytest.raises(Busy, match="connection"):
        download(other, tmp_path, deadline=WaitingClock().deadline(1e6))


def test_the_wait_that_the_source_asks_for_is_kept(server, tmp_path):
    clock = WaitingClock()
    server.inject(Status(503, retry_after=7), method="HEAD", times=2)
    assert download(server, tmp_path, deadline=clock.deadline(60)) == CHOSEN_CONTENT
    assert clock.waits == [7.0, 7.0]


def test_a_wait_past_the_deadline_is_not_begun(server, tmp_path):
    clock = WaitingClock()
    server.inject(Status(429, retry_after=3600), times=99)
    with pytest.raises(Busy, match="429") as caught:
        download(server, tmp_path, deadline=clock.deadline(600))
    assert clock.waits == [] and caught.value.retry_after == 3600


def test_waits_grow_and_end_with_the_attempts(server, tmp_path):
    clock = WaitingClock()
    server.inject(Status(500), times=99)
    with pytest.raises(Busy, match="500"):
        download(server, tmp_path, mover=transfer(attempts=5, first_wait=1.0), deadline=clock.deadline(1e6))
    assert len(clock.waits) == 4
    assert all(0.75 * 2**n <= wait <= 1.25 * 2**n for n, wait in enumerate(clock.waits))


def test_a_body_that_drips_past_the_deadline_ends_there_and_is_taken_up(server, tmp_path):
    server.inject(Slow(0.05, every=100), method="GET", times=99)
    begun = time.monotonic()
    with pytest.raises(Busy):
        download(server, tmp_path, seconds=1.0, mover=transfer(block_timeout=30.0))
    assert time.monotonic() - begun < 3.0
    assert left(tmp_path) == ["file.grib2.journal", "file.grib2.part"]
    server.forget()
    assert download(server, tmp_path) == CHOSEN_CONTENT


def test_a_connection_cut_again_and_again_still_gets_there(server, tmp_path):
    server.inject(Cut(after=300), method="GET", times=9999)
    clock = WaitingClock()
    assert download(server, tmp_path, deadline=clock.deadline(1e6)) == CHOSEN_CONTENT
    assert max(clock.waits) < 0.02
    assert server.bytes_asked() < 8 * len(CHOSEN_CONTENT)


@pytest.mark.parametrize(
    "content, messages, text",
    [
        (CONTENT[:-4] + b"0000", 9, "7777"),
        (b"GRIP" + CONTENT[4:], 9, "GRIB"),
        (CONTENT[:-100], 9, "GRIB"),
        (CONTENT, 8, "expected 8 GRIB messages, found 9"),
        (CONTENT[: STARTS[4]] + b"\0" * len(MESSAGES[4]) + CONTENT[STARTS[5] :], 9, "GRIB"),
    ],
)
def test_what_is_not_the_file_that_the_index_promised_is_not_published(server, tmp_path, content, messages, text):
    server.publish(PATH, content)
    with pytest.raises(Broken, match=text):
        download(server, tmp_path, None, messages=messages)
    assert "file.grib2" not in left(tmp_path)


@pytest.mark.parametrize("where", [0, -16])
def test_a_message_that_came_damaged_is_fetched_once_more_alone(server, tmp_path, where):
    download(server, tmp_path, PARTS, mover=transfer(piece_bytes=1 << 20))
    ends = [start + len(one) for start, one in zip(STARTS, MESSAGES, strict=True)]
    server.forget()
    server.inject(Corrupt(at=ends[3] + where), method="GET")
    assert download(server, tmp_path, PARTS, mover=transfer(connections=1, piece_bytes=len(MESSAGES[0]) * 5)) == CONTENT
    assert server.bytes_asked() < 2 * len(CONTENT)


def test_an_index_that_speaks_of_more_than_there_is_does_not_hang(server, tmp_path):
    with pytest.raises(Broken, match="read its index again"):
        download(server, tmp_path, [*PARTS, Part(len(CONTENT), 10)])


def test_a_small_object_is_read_whole_or_not_at_all(server):
    for fault in FAULTS[3:]:
        for number in (1, 2):
            server.forget()
            server.inject(fault, at=number)
            assert transfer().read(remote(server), Deadline.after(20)) == CONTENT, fault
    server.publish("/empty", b"")
    assert transfer().read(remote(server, "/empty"), Deadline.after(20)) == b""


def test_addresses_are_told_without_credentials():
    url = "https://user:secret@host:8443/a/b.grib2?sig=secret&x=1#secret"
    assert without_secrets(url) == "https://host:8443/a/b.grib2"
    with pytest.raises(SourceError) as caught:
        HttpRemote(url.replace("host:8443", "127.0.0.1:1"), new_session(1)).size()
    assert "secret" not in str(caught.value)


def test_what_fails_a_check_is_not_published_and_not_kept(server, tmp_path):
    def check(path):
        assert path.read_bytes() == CHOSEN_CONTENT
        raise Refused("of another world")

    with pytest.raises(Refused, match="another world"):
        download(server, tmp_path, promise=Promise(4, check=check))
    assert not (tmp_path / "file.grib2").exists()
    server.forget()
    download(server, tmp_path)
    assert server.bytes_asked() == len(CHOSEN_CONTENT)
