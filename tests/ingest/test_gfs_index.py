"""What a line of a GFS index means, on made lines and on a whole real index."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from ingest.errors import Broken
from ingest.feed import Item, Part
from ingest.sources.gfs import ITEMS
from ingest.sources.gfs_index import analysis_entries, message_parts, parse_index

CYCLE = datetime(2023, 11, 4, tzinfo=UTC)


def entries(*fields):
    lines = [f"{n + 1}:{n * 100}:d=2023110400:{text}:" for n, text in enumerate(fields)]
    return parse_index("\n".join(lines), "test.idx")


@pytest.mark.parametrize(
    "text, item",
    [
        ("HGT:500 mb:anl", Item("geopotential_height", 500)),
        ("TMP:1 mb:anl", Item("air_temperature", 1)),
        ("UGRD:925 mb:0 hour fcst", Item("eastward_wind", 925)),
        ("VGRD:925 mb:anl", Item("northward_wind", 925)),
        ("SPFH:1000 mb:anl", Item("specific_humidity", 1000)),
        ("RH:775 mb:anl", Item("relative_humidity", 775)),
        ("CLWMR:850 mb:anl", Item("cloud_mixing_ratio", 850)),
        ("CLMR:850 mb:anl", Item("cloud_mixing_ratio", 850)),
        ("ICMR:300 mb:anl", Item("cloud_ice_mixing_ratio", 300)),
        ("TMP:surface:anl", Item("surface_temperature")),
        ("ICEC:surface:anl", Item("sea_ice_area_fraction")),
        ("LAND:surface:anl", Item("land_area_fraction")),
    ],
)
def test_a_field_of_the_analysis_is_known_by_our_name(text, item):
    assert set(analysis_entries(entries(text), CYCLE, "test.idx")) == {item}


@pytest.mark.parametrize(
    "text",
    [
        "TMP:0.4 mb:anl",
        "TMP:15 mb:anl",
        "TMP:30-0 mb above ground:anl",
        "TMP:2 m above ground:anl",
        "HGT:surface:anl",
        "O3MR:500 mb:anl",
        "TMP:500 mb:6 hour fcst",
        "TMP:500 mb:0-6 hour ave fcst",
        "ICEC:surface:0-6 hour acc fcst",
    ],
)
def test_other_levels_times_and_quantities_are_none_of_ours(text):
    assert analysis_entries(entries(text), CYCLE, "test.idx") == {}


def test_a_message_ends_where_the_next_begins_and_the_last_with_the_file():
    assert message_parts(entries("TMP:500 mb:anl", "HGT:500 mb:anl"), 170, "x") == {0: Part(0, 100), 100: Part(100, 70)}


def test_two_fields_of_one_message_share_its_bytes():
    text = "1.1:0:d=2023110400:UGRD:500 mb:anl:\n1.2:0:d=2023110400:VGRD:500 mb:anl:\n2:80:d=2023110400:TMP:1 mb:anl:"
    assert message_parts(parse_index(text, "x"), 100, "x") == {0: Part(0, 80), 80: Part(80, 20)}


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "no lines"),
        ("<html>not here</html>", "expected number:offset"),
        ("1:0:d=2023110400:TMP:500 mb:anl:\n2:50", "line 2"),
        ("1:0:d=2023119900:TMP:500 mb:anl:", "2023119900"),
        ("1:90:d=2023110400:TMP:500 mb:anl:\n2:0:d=2023110400:HGT:500 mb:anl:", "rise"),
    ],
)
def test_what_is_no_index_is_broken(text, says):
    with pytest.raises(Broken, match=says):
        parse_index(text, "test.idx")


def test_an_index_of_another_cycle_is_broken():
    with pytest.raises(Broken, match="2023-11-04 06 UTC, found 2023-11-04 00 UTC"):
        analysis_entries(entries("TMP:500 mb:anl"), CYCLE.replace(hour=6), "test.idx")


def test_an_index_that_goes_beyond_the_file_is_broken():
    with pytest.raises(Broken, match="do not belong together"):
        message_parts(entries("TMP:500 mb:anl", "HGT:500 mb:anl"), 100, "x")


@pytest.fixture(scope="module")
def real(samples):
    path = samples / "gfs.t00z.pgrb2.0p25.f000.idx"
    return parse_index(path.read_text(), path.name)


def test_the_real_index_holds_what_is_declared_of_the_first_file(real):
    found = set(analysis_entries(real, CYCLE, "real"))
    assert found == ITEMS["pgrb2"]
    assert len(real) == 696
    by_quantity = {name: sum(item.quantity == name for item in found) for name in {item.quantity for item in found}}
    assert by_quantity["specific_humidity"] == by_quantity["air_temperature"] == 31
    assert by_quantity["cloud_mixing_ratio"] == by_quantity["cloud_ice_mixing_ratio"] == 22


def test_the_fields_of_a_start_are_118_ranges_of_the_real_file(real):
    """204 messages with the surface's height and pressure, which the start does without."""
    found = analysis_entries(real, CYCLE, "real")
    offsets = sorted(entry.offset for item, entry in found.items() if item.quantity != "relative_humidity")
    parts = message_parts(real, 511_900_000, "real")
    chosen = [parts[offset] for offset in offsets]
    joined = 1 + sum(b.offset != a.offset + a.length for a, b in pairwise(chosen))
    assert (len(chosen), joined) == (202, 118)
    assert sum(part.length for part in chosen) == 146_331_389
