"""Mirrors of ECMWF's open data that fail, lag or are cut: the file arrives from another, or an error tells why."""

import random
import signal
import subprocess
import sys

import pytest

from ingest.errors import Broken, Busy, Denied, NotYetAvailable
from ingest.mirrors import Mirror, Mirrors
from tests.ingest.feeds.ecmwf import publish_analysis
from tests.ingest.feeds.grib_maker import CYCLE
from tests.ingest.feeds.place import FEW, ITEMS, Place, fields_of
from tests.ingest.feeds.server import Corrupt, Cut, IgnoreRange, Loopback, Refuse, Slow, Stall, Status, WrongLength


@pytest.fixture
def servers():
    with Loopback("ecmwf") as first, Loopback("google") as second, Loopback("aws") as third:
        yield [first, second, third]


@pytest.fixture
def place(servers, tmp_path):
    return Place(servers, tmp_path)


def test_a_mirror_that_fails_is_followed_by_the_next_and_asked_last_for_a_while(servers, place):
    for server in servers:
        publish_analysis(server, CYCLE)
    servers[0].inject(Status(503), times=99)
    assert place.feed().fetch(CYCLE, FEW)[0].details["mirror"] == "google"
    servers[0].forget()
    assert place.feed().fetch(CYCLE, ITEMS)[0].details["mirror"] == "google"
    assert servers[0].requests == [] and servers[2].requests == []
    place.clock.now += 3600
    assert place.feed().available(CYCLE, ITEMS).mirror == "ecmwf"


def test_a_mirror_that_lags_is_passed_over_without_blame(servers, place):
    publish_analysis(servers[2], CYCLE)
    publish_analysis(servers[1], CYCLE, without=[("t", 500)])
    assert place.feed().available(CYCLE, ITEMS).mirror == "aws"
    assert place.feed().fetch(CYCLE, FEW)[0].details["mirror"] == "aws"
    assert [mirror.name for mirror in place.mirrors.in_order()] == ["ecmwf", "google", "aws"]


@pytest.mark.parametrize(
    "faults, kind",
    [
        ((503, 403, 403), Busy),
        ((403, 503, 403), Denied),
        ((503, 404, 404), Busy),
        ((404, 404, 403), NotYetAvailable),
        ((404, 503, 403), Busy),
    ],
)
def test_when_no_mirror_gives_it_the_most_telling_answer_is_told(servers, place, faults, kind):
    for server, status in zip(servers, faults, strict=True):
        server.inject(Status(status), times=99)
    with pytest.raises(kind, match="the server answered"):
        place.feed().fetch(CYCLE, FEW)
    place.mirrors.memory.unlink(missing_ok=True)
    if 404 in faults:
        assert not place.feed().available(CYCLE, FEW).present
    else:
        with pytest.raises(kind):
            place.feed().available(CYCLE, FEW)


def test_a_download_cut_at_one_mirror_goes_on_at_the_next(servers, place):
    for server in servers:
        path = publish_analysis(server, CYCLE)
    servers[0].inject(Status(403), at=14)
    (fetched,) = place.feed().fetch(CYCLE, ITEMS)
    assert fetched.details["mirror"] == "google" and set(fields_of(fetched)) == ITEMS
    assert servers[1].bytes_asked(path) < 0.9 * fetched.bytes


FAULTS = [
    Status(404),
    Status(403),
    Status(429, retry_after=1),
    Status(503, retry_after=10**6),
    Cut(after=100),
    Refuse(),
    Slow(0.3),
    Stall(0.3),
    WrongLength(by=-90),
    WrongLength(by=90),
    IgnoreRange(),
]


@pytest.mark.parametrize("fault", [Status(404), Status(403), Status(503, retry_after=10**6), Refuse()], ids=repr)
def test_a_fault_at_any_request_of_one_mirror_is_survived(tmp_path, fault):
    with Loopback("ecmwf") as first, Loopback("google") as second:
        for server in (first, second):
            publish_analysis(server, CYCLE, levels=(500, 850))
        expected = Place([first], tmp_path / "0").feed().fetch(CYCLE, FEW)[0].path.read_bytes()
        requests = len(first.requests)
        for number in range(1, requests + 1):
            first.forget()
            first.inject(fault, at=number)
            place = Place([first, second], tmp_path / str(number))
            assert place.feed().available(CYCLE, FEW).complete
            first.forget()
            first.inject(fault, at=number)
            assert place.feed().fetch(CYCLE, FEW)[0].path.read_bytes() == expected


@pytest.mark.parametrize("fault", [*FAULTS, Corrupt(at=0)], ids=repr)
def test_a_fault_at_any_request_of_the_only_mirror_is_survived_or_told(tmp_path, fault):
    with Loopback("ecmwf") as server:
        publish_analysis(server, CYCLE, levels=(500, 850))
        expected = Place([server], tmp_path / "0").feed().fetch(CYCLE, FEW)[0].path.read_bytes()
        for number in range(1, len(server.requests) + 1):
            server.forget()
            server.inject(fault, at=number)
            place = Place([server], tmp_path / str(number))
            try:
                content = place.feed().fetch(CYCLE, FEW)[0].path.read_bytes()
            except (NotYetAvailable, Denied, Busy, Broken):
                assert list(place.folder.rglob("*.data")) == [] and list(place.folder.rglob("??*-*.json")) == []
                server.forget()
                content = place.feed().fetch(CYCLE, FEW)[0].path.read_bytes()
            assert content == expected


def test_mirrors_that_failed_are_forgiven_in_order_and_a_damaged_memory_is_none(tmp_path):
    now = [1000.0]
    mirrors = Mirrors({"a": "u", "b": "v", "c": "w"}, tmp_path / "m.json", rest_seconds=100.0, clock=lambda: now[0])

    def order():
        return "".join(mirror.name for mirror in mirrors.in_order())

    assert order() == "abc"
    mirrors.failed(Mirror("a", "u"))
    now[0] += 10
    mirrors.failed(Mirror("b", "v"))
    assert order() == "cab"
    mirrors.worked(Mirror("b", "v"))
    assert order() == "bca"
    now[0] += 91
    assert order() == "abc"
    mirrors.failed(Mirror("a", "u"))
    for text in ("", "[]", "{", '{"a": "x"}', '{"a": null}'):
        mirrors.memory.write_text(text)
        assert order() == "abc"


_CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ingest.cache import InputCache
from ingest.download import Transfer
from ingest.mirrors import Mirrors
from ingest.sources.ecmwf_open import EcmwfOpenData
urls = {"ecmwf": sys.argv[2], "google": sys.argv[3]}
folder = Path(sys.argv[1])
cycle = datetime(2026, 7, 1, tzinfo=UTC)
mover = Transfer(connections=3, first_wait=0.02, piece_bytes=100_000)
with InputCache(folder, 10**9) as cache:
    feed = EcmwfOpenData(cache, Mirrors(urls, folder / "mirrors.json"), transfer=mover)
    items = [item for item in feed.capability(cycle) if item.level in (500, 850, None)]
    print("ready", flush=True)
    print(feed.fetch(cycle, items)[0].sha256, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_amid_faults_the_same_file_arrives(tmp_path, repository, seed):
    rng = random.Random(seed)
    faults = [Cut(after=20_000), Cut(after=300, reset=True), Status(503), Refuse(), WrongLength(by=-500), IgnoreRange()]
    with Loopback("ecmwf") as first, Loopback("google") as second:
        for server in (first, second):
            publish_analysis(server, CYCLE, spacing=1.0, levels=(500, 850))
        offered = Place([second], tmp_path / "whole").feed()
        items = [item for item in offered.capability(CYCLE) if item.level in (500, 850, None)]
        expected = offered.fetch(CYCLE, items)[0].sha256
        first.inject(Slow(0.01, every=8192), method="GET", path=".grib2", times=10**6)
        arguments = [sys.executable, "-c", _CHILD, str(tmp_path / "cache"), first.url, second.url]
        kills, output = 0, ["ready"]
        while len(output) < 2:
            first.inject(rng.choice(faults), at=len(first.requests) + rng.randrange(1, 12))
            child = subprocess.Popen(arguments, cwd=repository, stdout=subprocess.PIPE, text=True)
            assert child.stdout.readline() == "ready\n"
            try:
                child.wait(timeout=rng.uniform(0.05, 0.5))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                kills += 1
            output += child.communicate()[0].split()
        assert output[1] == expected and kills > 2
        left = [path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file() and "locks" not in path.parts]
        assert sorted(left) in ([".data", ".json"], [".data", ".json", ".json"])
