"""ECMWF's open data, fetched from loopback servers laid out as the real ones, through the provider's client."""

import json
import random
import re
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from ecmwf.opendata import Client

from forecast.constants import STANDARD_GRAVITY
from forecast.grids import GaussianGrid, Regridder
from ingest.cache import InputCache
from ingest.download import Transfer
from ingest.errors import Broken, Busy, Denied, Gone, Incomplete, NotYetAvailable, WrongTime
from ingest.feed import Item
from ingest.grib import read_fields
from ingest.mirrors import Mirror, Mirrors
from ingest.sources.ecmwf_client import MIRRORS, AnalysisFile
from ingest.sources.ecmwf_open import EcmwfOpenData
from tests.ingest.feeds.clock import WaitingClock
from tests.ingest.feeds.ecmwf import LEVELS, path_of, publish_analysis, publish_members
from tests.ingest.feeds.grib_maker import CYCLE, IFS, Field, message, values_of
from tests.ingest.feeds.server import Corrupt, Cut, IgnoreRange, Loopback, Refuse, Slow, Stall, Status, WrongLength

NAMES = {
    "gh": "geopotential_height",
    "t": "air_temperature",
    "u": "eastward_wind",
    "v": "northward_wind",
    "q": "specific_humidity",
    "r": "relative_humidity",
    "skt": "surface_temperature",
    "lsm": "land_area_fraction",
}
ITEMS = frozenset(
    [Item(NAMES[name], level) for name in ("gh", "t", "u", "v", "q") for level in LEVELS]
    + [Item("surface_temperature"), Item("land_area_fraction")]
)
FEW = frozenset([Item("air_temperature", 500), Item("geopotential_height", 850), Item("surface_temperature")])


@pytest.fixture
def servers():
    with Loopback("ecmwf") as first, Loopback("google") as second, Loopback("aws") as third:
        yield [first, second, third]


class Place:
    """Feeds whose cache is one folder and whose mirrors are the servers."""

    def __init__(self, servers, folder):
        self.urls = {server.name: server.url for server in servers}
        self.folder = folder
        self.clock = WaitingClock()
        self.mirrors = Mirrors(self.urls, folder / "mirrors.json", clock=lambda: 1e9 + self.clock.now)

    def feed(self, member=None, now=CYCLE + timedelta(hours=7)):
        mover = Transfer(connections=2, block_timeout=0.2, first_wait=0.01)
        cache = InputCache(self.folder, 10**9)
        return EcmwfOpenData(cache, self.mirrors, member, mover, now=lambda: now, deadline=self.clock.deadline)


@pytest.fixture
def place(servers, tmp_path):
    return Place(servers, tmp_path)


def fields_of(fetched):
    found = {}
    for field in read_fields(fetched.path, lambda header: True):
        found[Item(field.quantity.name, field.level)] = field
    return found


def short(item):
    return next(name for name, quantity in NAMES.items() if quantity == item.quantity)


@pytest.mark.parametrize(
    "cycle",
    [
        datetime(2026, 5, 11, 18, tzinfo=UTC),
        datetime(2026, 5, 12, 0, tzinfo=UTC),
        datetime(2026, 5, 12, 6, tzinfo=UTC),
        CYCLE,
    ],
)
def test_the_control_is_step_0_of_oper_whatever_the_stream_is_called(servers, place, cycle):
    path = publish_analysis(servers[0], cycle, levels=(500, 850))
    publish_members(servers[0], cycle, [1], levels=(500,))
    wanted = [item for item in ITEMS if item.level in (500, 850, None)]
    feed = place.feed(now=cycle + timedelta(hours=7))
    assert feed.available(cycle, wanted).complete
    (fetched,) = feed.fetch(cycle, wanted)
    fields = fields_of(fetched)
    assert set(fields) == set(wanted) == fetched.items
    assert {field.valid_time for field in fields.values()} == {cycle}
    assert {field.member for field in fields.values()} == {0}
    assert fetched.details == {"mirror": "ecmwf", "stream": "oper", "type": "fc", "step": 0}
    assert fetched.uri == servers[0].url + path and fetched.source == "ecmwf"
    assert not any("enfo" in request.path for request in servers[0].requests)


@pytest.mark.parametrize("member", [1, 7, 50])
def test_a_member_is_step_0_of_type_pf_with_its_number(servers, place, member):
    path = publish_members(servers[0], CYCLE, [1, 7, 50], levels=(500, 850))
    wanted = [item for item in ITEMS if item.level in (500, 850, None)]
    (fetched,) = place.feed(member).fetch(CYCLE, wanted)
    fields = fields_of(fetched)
    assert {field.member for field in fields.values()} == {member} and len(fields) == len(wanted)
    temperature = fields[Item("air_temperature", 500)].values.T
    assert temperature == pytest.approx(values_of(Field("t", 500, CYCLE, member)), abs=0.02)
    assert fetched.details["number"] == member and fetched.uri.endswith(path)
    assert servers[0].bytes_asked(path) == fetched.bytes


def test_before_50r1_the_control_in_the_file_of_members_is_left_alone(servers, place):
    cycle = datetime(2026, 5, 11, 12, tzinfo=UTC)
    publish_members(servers[0], cycle, [3], levels=(500,))
    (fetched,) = place.feed(3, now=cycle).fetch(cycle, [Item("air_temperature", 500)])
    assert [field.member for field in fields_of(fetched).values()] == [3]


def test_members_are_kept_apart_and_streamed_one_at_a_time(servers, place):
    publish_members(servers[0], CYCLE, [1, 2], levels=(500,))
    item = [Item("air_temperature", 500)]
    paths = [place.feed(member).fetch(CYCLE, item)[0].path for member in (1, 2)]
    assert paths[0] != paths[1] and paths[0].read_bytes() != paths[1].read_bytes()
    feed = place.feed(1)
    fetched = feed.fetch(CYCLE, item)[0]
    feed.cache.release(fetched.path)


@pytest.mark.parametrize("member", [0, -1, 51])
def test_there_are_fifty_perturbed_members(place, member):
    with pytest.raises(ValueError, match="1 to 50"):
        place.feed(member)


@pytest.mark.parametrize("spacing", [5.0, 0.25])
def test_longitudes_that_start_at_180_come_out_where_they_belong(servers, place, spacing, tmp_path):
    publish_analysis(servers[0], CYCLE, spacing, levels=(500,), without=[(name, 0) for name in ("sp", "msl", "z")])
    (fetched,) = place.feed().fetch(CYCLE, [Item("air_temperature", 500)])
    (field,) = fields_of(fetched).values()
    assert field.grid.longitudes[0] == 180.0
    from_zero = tmp_path / "from_zero.grib2"
    from_zero.write_bytes(message(Field("t", 500), replace(IFS, first_longitude=0.0), spacing))
    (other,) = read_fields(from_zero, lambda header: True)
    target = GaussianGrid(64, 32)
    ours, theirs = (Regridder(each.grid, target)(each.values) for each in (field, other))
    assert ours == pytest.approx(theirs, abs=0.01)
    assert np.ptp(ours) > 30.0 and not np.allclose(ours, np.roll(ours, 32, axis=0), atol=5.0)


def test_the_real_file_is_fetched_and_starts_at_180(servers, place, samples):
    cycle = datetime(2024, 1, 1, tzinfo=UTC)
    content = (samples / "ifs-20240101000000-0h-oper-fc.first10.grib2").read_bytes()
    lengths = [205483, 222120, 224, 212482, 238202, 276038, 204268, 204006, 236277, 215843]
    names = ["gh250", "gh925", "tp", "gh700", "r850", "sot1", "gh200", "gh300", "r500", "r925"]
    lines, at = [], 0
    for name, length in zip(names, lengths, strict=True):
        param, level = re.fullmatch(r"([a-z]+)(\d*)", name).groups()
        keys = {"type": "fc", "stream": "oper", "step": "0", "param": param, "_offset": at, "_length": length}
        keys |= {"levelist": level, "levtype": "pl"} if len(level) == 3 else {"levtype": "sfc"}
        lines.append(json.dumps(keys) + "\n")
        at += length
    path = path_of(cycle, "oper", "fc")
    servers[0].publish(path, content)
    servers[0].publish(path.replace(".grib2", ".index"), "".join(lines).encode())
    items = [Item("geopotential_height", level) for level in (200, 300, 700)] + [Item("relative_humidity", 500)]
    feed = place.feed(now=cycle)
    assert feed.available(cycle, ITEMS).present == {Item("geopotential_height", n) for n in (200, 250, 300, 700, 925)}
    fields = fields_of(feed.fetch(cycle, items)[0])
    assert set(fields) == set(items)
    height = fields[Item("geopotential_height", 700)]
    assert height.grid.longitudes[0] == 180.0
    on_model = Regridder(height.grid, GaussianGrid(128, 64))(height.values) / STANDARD_GRAVITY
    trough, ridge = on_model[_column(140), 48], on_model[_column(340), 48]
    assert trough < ridge - 50.0


def _column(longitude):
    """That of a model grid of 128 columns."""
    return round(longitude / 360.0 * 128)


def test_availability_is_proven_field_by_field(servers, place):
    path = publish_analysis(servers[0], CYCLE, without=[("q", 10), ("skt", 0)])
    feed = place.feed(now=CYCLE + timedelta(hours=5))
    answer = feed.available(CYCLE, ITEMS)
    assert answer.missing == {Item("specific_humidity", 10), Item("surface_temperature")}
    assert answer.mirror == "ecmwf" and answer.expected_at == CYCLE + timedelta(hours=5, minutes=50)
    with pytest.raises(NotYetAvailable, match="specific_humidity at 10 hPa, surface_temperature not published"):
        feed.fetch(CYCLE, ITEMS)
    assert feed.fetch(CYCLE, answer.present)[0].items == answer.present
    assert not any(request.method == "GET" and request.path == path for request in servers[1].requests)


def test_a_file_shorter_than_its_index_lacks_its_last_fields(servers, place):
    path = publish_analysis(servers[0], CYCLE)
    lines = [json.loads(line) for line in servers[0].objects[path.replace("grib2", "index")].splitlines()]
    last = max(lines, key=lambda line: line["_offset"])
    servers[0].publish(path, servers[0].objects[path][:-1])
    offered = place.feed().capability(CYCLE)
    answer = place.feed().available(CYCLE, offered)
    assert {short(item) for item in answer.missing} <= {last["param"]}
    assert len(answer.missing) == (last["param"] in NAMES)
    servers[0].publish(path, servers[0].objects[path][:5])
    with pytest.raises(NotYetAvailable, match="not published"):
        place.feed().fetch(CYCLE, FEW)
    servers[0].objects.pop(path)
    with pytest.raises(NotYetAvailable, match="404"):
        place.feed().fetch(CYCLE, FEW)
    assert not place.mirrors.memory.exists()


@pytest.mark.parametrize("cut", [1, 20, 150])
def test_an_index_that_is_being_written_counts_up_to_its_last_line(servers, place, cut):
    path = publish_analysis(servers[0], CYCLE).replace("grib2", "index")
    servers[0].publish(path, servers[0].objects[path][:-cut])
    missing = place.feed().available(CYCLE, place.feed().capability(CYCLE)).missing
    assert len(missing) <= 1


def test_nothing_is_published_before_its_time(servers, place):
    for minutes, expected in ((60, CYCLE + timedelta(hours=5, minutes=50)), (700, None)):
        answer = place.feed(now=CYCLE + timedelta(minutes=minutes)).available(CYCLE, ITEMS)
        assert answer.missing == ITEMS and not answer.present and answer.mirror is None
        assert answer.expected_at == expected
    with pytest.raises(NotYetAvailable, match="404"):
        place.feed().fetch(CYCLE, ITEMS)
    with pytest.raises(Gone, match="too old"):
        place.feed(now=CYCLE + timedelta(days=5)).fetch(CYCLE, ITEMS)
    assert not place.mirrors.memory.exists()


def test_asking_is_cheap(servers, place):
    publish_analysis(servers[0], CYCLE)
    place.feed().available(CYCLE, ITEMS)
    assert len(servers[0].requests) == 3 and sum(len(server.requests) for server in servers[1:]) == 0
    assert servers[0].bytes_asked(".grib2") == 0


def test_what_is_in_the_cache_asks_nobody(servers, place):
    publish_analysis(servers[0], CYCLE)
    first = place.feed().fetch(CYCLE, FEW)
    servers[0].forget()
    assert place.feed().fetch(CYCLE, FEW) == first
    assert [request for server in servers for request in server.requests] == []
    assert place.feed().fetch(CYCLE, []) == []


def test_what_is_not_offered_is_said_to_be_so(place):
    with pytest.raises(Incomplete, match="does not offer sea_ice_area_fraction"):
        place.feed().fetch(CYCLE, [Item("sea_ice_area_fraction"), Item("air_temperature", 500)])
    assert Item("air_temperature", 1) not in place.feed().capability(CYCLE)


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


def test_an_index_that_lies_about_places_is_found_out(servers, place):
    path = publish_analysis(servers[0], CYCLE, levels=(500, 850)).replace("grib2", "index")
    lines = [json.loads(line) for line in servers[0].objects[path].splitlines()]
    one, other = (next(n for n in lines if n["param"] == name and n.get("levelist") == "500") for name in "tu")
    one["_offset"], one["_length"], other["_offset"], other["_length"] = (
        other["_offset"],
        other["_length"],
        one["_offset"],
        one["_length"],
    )
    servers[0].publish(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
    place.mirrors.urls.pop("google"), place.mirrors.urls.pop("aws")
    with pytest.raises(Broken, match="missing: air_temperature at 500 hPa; not asked for, or twice: eastward_wind"):
        place.feed().fetch(CYCLE, FEW)
    assert list(place.folder.rglob("*.data")) == []


def test_an_index_with_a_field_twice_is_not_guessed_at(servers, place):
    path = publish_analysis(servers[0], CYCLE, levels=(500, 850)).replace("grib2", "index")
    line = next(line for line in servers[0].objects[path].splitlines() if b'"t"' in line and b'"500"' in line)
    again = json.loads(line) | {"_offset": 0}
    servers[0].publish(path, servers[0].objects[path] + json.dumps(again).encode() + b"\n")
    place.mirrors.urls.pop("google"), place.mirrors.urls.pop("aws")
    with pytest.raises(Broken, match="one line for each of 3 fields, found 4"):
        place.feed().fetch(CYCLE, FEW)


@pytest.mark.parametrize("line", [b"{}", b"<html>", b'{"_offset": -1, "_length": 3}', b"[1]"])
def test_an_index_that_is_none_is_broken(servers, place, line):
    path = publish_analysis(servers[0], CYCLE, levels=(500,)).replace("grib2", "index")
    servers[0].publish(path, line + b"\n" + servers[0].objects[path])
    place.mirrors.urls.pop("google"), place.mirrors.urls.pop("aws")
    with pytest.raises(Broken, match="line 1"):
        place.feed().available(CYCLE, FEW)


def test_a_file_of_another_cycle_under_this_name_is_refused(servers, place):
    other = publish_analysis(servers[1], CYCLE + timedelta(hours=12), levels=(500, 850))
    path = path_of(CYCLE, "oper", "fc")
    for suffix in ("grib2", "index"):
        servers[0].publish(path.replace("grib2", suffix), servers[1].objects[other.replace("grib2", suffix)])
    with pytest.raises(WrongTime, match="2026-07-01 12:00"):
        place.feed().fetch(CYCLE, FEW)


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


def test_the_provider_s_client_knows_these_addresses():
    assert list(MIRRORS) == ["ecmwf", "google", "aws"]
    assert AnalysisFile(MIRRORS["ecmwf"], CYCLE, None).url == (
        "https://data.ecmwf.int/forecasts/20260701/00z/ifs/0p25/oper/20260701000000-0h-oper-fc.grib2"
    )
    assert AnalysisFile(MIRRORS["aws"], CYCLE, 9).index_url == (
        "https://ecmwf-forecasts.s3.eu-central-1.amazonaws.com"
        "/20260701/00z/ifs/0p25/enfo/20260701000000-0h-enfo-ef.index"
    )


@pytest.mark.parametrize("name, multiple_ranges", [("nginx", True), ("AmazonS3", False)])
@pytest.mark.parametrize("member", [None, 7])
def test_the_provider_s_client_left_alone_fetches_the_same_bytes(tmp_path, name, multiple_ranges, member):
    with Loopback(name, multiple_ranges) as server:
        publish_analysis(server, CYCLE, levels=(500, 850))
        publish_members(server, CYCLE, [7, 8], levels=(500, 850))
        items = [Item(NAMES[name], level) for name in ("gh", "t", "q") for level in (500, 850)]
        (fetched,) = Place([server], tmp_path / "ours").feed(member).fetch(CYCLE, items)
        keys = (
            {"stream": "oper", "type": "fc"} if member is None else {"stream": "enfo", "type": "pf", "number": member}
        )
        request = {"date": "20260701", "time": 0, "step": 0, "param": ["gh", "t", "q"], "levelist": [500, 850], **keys}
        Client(source=server.url, maximum_retries=1).retrieve(request, target=str(tmp_path / "theirs.grib2"))
        assert (tmp_path / "theirs.grib2").read_bytes() == fetched.path.read_bytes()


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
