"""ECMWF's open data, fetched from loopback servers laid out as the real ones, through the provider's client."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from ecmwf.opendata import Client

from forecast.constants import STANDARD_GRAVITY
from forecast.grids import GaussianGrid, Regridder
from ingest.errors import Broken, Gone, Incomplete, NotYetAvailable, WrongTime
from ingest.feed import Item
from ingest.grib import read_fields
from ingest.sources.ecmwf_client import MIRRORS, AnalysisFile
from tests.ingest.feeds.ecmwf import path_of, publish_analysis, publish_members
from tests.ingest.feeds.grib_maker import CYCLE, IFS, Field, message, values_of
from tests.ingest.feeds.place import FEW, ITEMS, NAMES, Place, fields_of, short
from tests.ingest.feeds.server import Loopback


@pytest.fixture
def servers():
    with Loopback("ecmwf") as first, Loopback("google") as second, Loopback("aws") as third:
        yield [first, second, third]


@pytest.fixture
def place(servers, tmp_path):
    return Place(servers, tmp_path)


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
