"""A cycle of GFS, from the bucket to an analysis on all 37 levels, whatever happens on the way."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache

import eccodes
import numpy as np
import pytest

from forecast.fields import PRESSURE_LEVELS
from forecast.grids import Regridder, RegularGrid
from ingest import grib
from ingest.cache import InputCache
from ingest.download import Transfer
from ingest.errors import Broken, Busy, Denied, Gone, Incomplete, NotYetAvailable
from ingest.execute import carry_out, fetch_inputs
from ingest.feed import Item
from ingest.framing import read_messages
from ingest.planner import Offer, make_plan
from ingest.source import ModelNeeds
from ingest.sources.gfs import BUCKET, ITEMS, Gfs
from ingest.sources.gfs_index import analysis_entries, parse_index
from tests.ingest import examples
from tests.ingest.feeds.gfs_files import CYCLE, PGRB2B_LEVELS
from tests.ingest.feeds.gfs_files import Gfs as Made
from tests.ingest.feeds.server import Corrupt, Cut, IgnoreRange, Loopback, Refuse, Slow, Status, WrongLength

NEEDS = ModelNeeds(32, 16)
FIRST = "gfs.20231104/00/atmos/gfs.t00z.pgrb2.0p25.f000"
SECOND = "gfs.20231104/00/atmos/gfs.t00z.pgrb2b.0p25.f000"
FEW = frozenset({Item("air_temperature", 500), Item("air_temperature", 875), Item("sea_ice_area_fraction")})
made = cache(lambda **options: Made(**options).files())


@pytest.fixture
def server():
    with Loopback() as server:
        yield server


@pytest.fixture
def feed(server, tmp_path):
    with InputCache(tmp_path, 1 << 30) as inputs:
        yield feed_of(server, inputs)


def feed_of(server, inputs, **options):
    transfer = options.pop("transfer", None) or Transfer(2, block_timeout=0.25, first_wait=0.01)
    options = {"now": lambda: CYCLE + timedelta(hours=3)} | options
    return Gfs(inputs, endpoint_url=server.url, transfer=transfer, **options)


def publish(server, files=None, *, only=""):
    for key, content in (files or made()).items():
        if only in key:
            server.publish(f"/{BUCKET}/{key}", content)


def analysis_of(feed):
    plan = make_plan(NEEDS, CYCLE, [Offer("gfs", CYCLE, feed.capability(CYCLE))])
    assert plan.refused == ()
    return carry_out(plan, NEEDS, fetch_inputs(plan, {"gfs": feed}))


state = cache(examples.state)
regridder = cache(lambda: Regridder(RegularGrid(examples.LONGITUDES, examples.LATITUDES), NEEDS.grid))


def truth(short_name, level):
    return regridder()(state()[short_name, level].T)


@pytest.fixture(scope="module", params=[{}, {"cloud_water": "CLMR", "time": "0 hour fcst"}], ids=["anl", "CLMR"])
def analysis(request, tmp_path_factory):
    with Loopback() as server, InputCache(tmp_path_factory.mktemp("inputs"), 1 << 30) as inputs:
        publish(server, made(**request.param))
        return analysis_of(feed_of(server, inputs))


def methods(analysis, name):
    """Method and source by level."""
    return {
        level: (one["method"], one["source"]) for one in analysis.provenance[name] for level in one["levels"] or [None]
    }


def test_a_cycle_becomes_an_analysis_on_all_37_levels(analysis):
    assert tuple(analysis.dataset["level"].values) == PRESSURE_LEVELS
    for name, short_name, tolerance in (
        ("geopotential", "z", 1.0),
        ("air_temperature", "t", 1e-3),
        ("eastward_wind", "u", 1e-3),
        ("northward_wind", "v", 1e-3),
        ("mass_fraction_of_cloud_liquid_water_in_air", "clwc", 1e-9),
        ("mass_fraction_of_cloud_ice_in_air", "ciwc", 1e-9),
    ):
        for level in PRESSURE_LEVELS:
            expected = truth(short_name, level)
            np.testing.assert_allclose(analysis.dataset[name].sel(level=level), expected, atol=tolerance, err_msg=name)


def test_humidity_at_the_levels_of_the_second_file_comes_from_relative_humidity(analysis):
    how = methods(analysis, "specific_humidity")
    assert {level for level in PRESSURE_LEVELS if "relative humidity" in how[level][0]} == set(PGRB2B_LEVELS)
    for level in PRESSURE_LEVELS:
        found, expected = analysis.dataset["specific_humidity"].sel(level=level).values, truth("q", level)
        if level in PGRB2B_LEVELS:
            np.testing.assert_allclose(found, expected, rtol=0.03)
            assert np.mean(found / expected) == pytest.approx(1.0, abs=0.01)
        else:
            np.testing.assert_allclose(found, expected, atol=2e-8)


def test_cloud_above_50_hpa_is_zero_and_said_to_be_filled(analysis):
    for name in ("mass_fraction_of_cloud_liquid_water_in_air", "mass_fraction_of_cloud_ice_in_air"):
        how = methods(analysis, name)
        assert [level for level in PRESSURE_LEVELS if "zero" in how[level][0]] == [1, 2, 3, 5, 7, 10, 20, 30]
        assert not analysis.dataset[name].sel(level=slice(1, 30)).any()
        assert how[70][0].startswith("from mixing ratio")


def test_the_inputs_say_where_each_file_came_from(analysis):
    inputs = {one["uri"]: one for one in analysis.inputs}
    assert set(inputs) == {f"s3://{BUCKET}/{FIRST}", f"s3://{BUCKET}/{SECOND}"}
    assert all(len(one["sha256"]) == 64 and one["bytes"] > 10_000 for one in inputs.values())


def test_only_what_is_asked_for_is_read_and_only_once(server, feed):
    publish(server)
    files = feed.fetch(CYCLE, FEW)
    assert {file.items for file in files} == {FEW & ITEMS["pgrb2"], FEW & ITEMS["pgrb2b"]}
    grib = [one for one in server.requests if one.method == "GET" and not one.path.endswith(".idx")]
    assert len(grib) == 3
    assert sum(file.bytes for file in files) < 0.02 * sum(len(content) for content in made().values())
    server.forget()
    assert feed.fetch(CYCLE, FEW) == files
    assert server.requests == []


def test_progress_ends_with_all_bytes(server, feed):
    publish(server)
    told = []
    files = feed.fetch(CYCLE, FEW, lambda had, total: told.append((had, total)))
    size = sum(file.bytes for file in files)
    assert told[-1] == (size, size)
    assert [had for had, _ in told] == sorted(had for had, _ in told)


def test_before_publication_everything_is_missing_and_expected(server, feed):
    found = feed.available(CYCLE, FEW)
    assert (found.present, found.missing) == (frozenset(), FEW)
    assert found.expected_at == CYCLE + timedelta(hours=3, minutes=40)
    with pytest.raises(NotYetAvailable, match=r"pgrb2b?\.0p25\.f000"):
        feed.fetch(CYCLE, FEW)


@pytest.mark.parametrize("only", [FIRST, f"{FIRST}.idx", f"{SECOND}.idx"])
def test_what_is_half_there_is_told_item_by_item(server, feed, only):
    publish(server, only=only)
    found = feed.available(CYCLE, FEW)
    assert found.present == (FEW & ITEMS["pgrb2"] if only == FIRST else frozenset())
    assert found.missing == FEW - found.present
    assert not found.complete and found.expected_at is not None


def test_nobody_knows_when_what_is_late_will_come(server, tmp_path):
    with InputCache(tmp_path, 1 << 30) as inputs:
        late = feed_of(server, inputs, now=lambda: CYCLE + timedelta(hours=5)).available(CYCLE, FEW)
    assert late.missing == FEW and late.expected_at is None


def test_a_complete_cycle_is_complete(server, feed):
    publish(server)
    found = feed.available(CYCLE, feed.capability(CYCLE))
    assert found.complete and found.expected_at is None
    assert server.bytes_asked() < 20_000


def test_an_index_without_a_field_that_was_declared_says_so(server, feed):
    files = dict(made())
    lines = [line for line in files[f"{FIRST}.idx"].decode().splitlines() if ":ICEC:surface:" not in line]
    publish(server, files | {f"{FIRST}.idx": "\n".join(lines).encode()})
    assert feed.available(CYCLE, FEW).missing == {Item("sea_ice_area_fraction")}
    with pytest.raises(NotYetAvailable, match="sea_ice_area_fraction"):
        feed.fetch(CYCLE, FEW)


def test_a_cycle_that_never_came_is_gone(server, tmp_path):
    with InputCache(tmp_path, 1 << 30) as inputs, pytest.raises(Gone, match="too old"):
        feed_of(server, inputs, now=lambda: CYCLE + timedelta(days=2)).fetch(CYCLE, FEW)


def test_what_gfs_does_not_have_is_told_before_a_byte(server, feed):
    absent = {Item("sea_surface_temperature")}
    with pytest.raises(Incomplete, match="sea_surface_temperature"):
        feed.fetch(CYCLE, absent)
    assert feed.available(CYCLE, absent).missing == absent
    assert server.requests == []


@pytest.mark.parametrize(
    "fault",
    [
        Status(503), Status(500), Status(429, retry_after=0.01), Cut(after=100), Cut(after=40, reset=True), Refuse(),
        IgnoreRange(), WrongLength(by=7), WrongLength(by=-7), Slow(0.3, every=200),
    ],
    ids=lambda fault: f"{fault}".replace("/", "-"),
)  # fmt: skip
def test_a_fault_at_any_request_is_survived(server, tmp_path, fault):
    publish(server)
    items = frozenset({Item("air_temperature", 500), Item("air_temperature", 875)})
    with InputCache(tmp_path / "whole", 1 << 30) as inputs:
        expected = [file.sha256 for file in feed_of(server, inputs).fetch(CYCLE, items)]
    count = len(server.requests)
    for at in range(1, count + 1):
        server.forget()
        server.inject(fault, at=at)
        with InputCache(tmp_path / str(at), 1 << 30) as inputs:
            assert [file.sha256 for file in feed_of(server, inputs).fetch(CYCLE, items)] == expected


def test_a_damaged_message_is_fetched_again(server, tmp_path):
    publish(server)
    with InputCache(tmp_path / "whole", 1 << 30) as inputs:
        expected = [file.sha256 for file in feed_of(server, inputs).fetch(CYCLE, FEW)]
    messages = [one.number for one in server.requests if one.ranges and not one.path.endswith(".idx")]
    server.forget()
    for number in messages:
        server.inject(Corrupt(at=0), at=number)
    with InputCache(tmp_path / "again", 1 << 30) as inputs:
        assert [file.sha256 for file in feed_of(server, inputs).fetch(CYCLE, FEW)] == expected


def test_a_closed_bucket_is_denied_and_not_asked_again(server, feed):
    publish(server)
    server.inject(Status(403), path=SECOND, times=9)
    with pytest.raises(Denied, match="403"):
        feed.fetch(CYCLE, FEW)
    assert len(server.requests) == 1


def test_a_server_that_stays_overloaded_is_busy(server, feed):
    publish(server)
    server.inject(Status(503), times=1000)
    with pytest.raises(Busy, match="503"):
        feed.fetch(CYCLE, FEW)
    with pytest.raises(Busy, match="503"):
        feed.available(CYCLE, FEW)


def test_an_index_whose_offsets_are_stale_is_broken(server, feed):
    """Offsets between messages have been seen in the bucket; those of other messages would be worse."""
    files = dict(made())
    lines = files[f"{FIRST}.idx"].decode().splitlines()
    shifted = [
        ":".join([n, str(int(at) + 50 * (int(n) > 1)), rest]) for n, at, rest in (x.split(":", 2) for x in lines)
    ]
    publish(server, files | {f"{FIRST}.idx": "\n".join(shifted).encode()})
    with pytest.raises(Broken, match="GRIB"):
        feed.fetch(CYCLE, FEW)
    rotated = [
        ":".join([*one.split(":", 2)[:2], other.split(":", 2)[2]])
        for one, other in zip(lines, [*lines[1:], lines[0]], strict=True)
    ]
    publish(server, files | {f"{FIRST}.idx": "\n".join(rotated).encode()})
    with pytest.raises(Broken, match="not asked for"):
        feed.fetch(CYCLE, FEW)


def test_a_fetch_that_was_cut_off_goes_on_where_it_ended(server, tmp_path):
    publish(server)
    items = frozenset({Item("air_temperature", level) for level in PRESSURE_LEVELS} & ITEMS["pgrb2"])
    server.inject(Status(403), at=20)
    with InputCache(tmp_path, 1 << 30) as inputs:
        feed = feed_of(server, inputs)
        with pytest.raises(Denied):
            feed.fetch(CYCLE, items)
        server.forget()
        (file,) = feed.fetch(CYCLE, items)
    again = [one for one in server.requests if one.method == "GET" and one.path.endswith("f000")]
    assert 0 < len(again) < len(items) - 10
    assert file.items == items


def test_two_winds_in_one_message_come_together(server, feed):
    """As NCEP writes some files: both components in one message, the index with a line for each."""
    east, north = (Made()._message(name, 500, state()[name, 500]) for name in "uv")
    both = east[:8] + (len(east) + len(north) - 41).to_bytes(8, "big") + east[16:-4] + north[37:]
    lines = [f"1.{n}:0:d=2023110400:{name}:500 mb:anl:" for n, name in enumerate(("UGRD", "VGRD"), start=1)]
    publish(server, {FIRST: both, f"{FIRST}.idx": "\n".join(lines).encode()})
    (file,) = feed.fetch(CYCLE, {Item("eastward_wind", 500)})
    assert file.path.read_bytes() == both
    assert file.items == {Item("eastward_wind", 500)}
    headers = list(grib.read_headers(file.path))
    assert [header.quantity.name for header in headers] == ["eastward_wind", "northward_wind"]


NCEP = {
    (0, 3, 5): "HGT", (0, 0, 0): "TMP", (0, 2, 2): "UGRD", (0, 2, 3): "VGRD", (0, 1, 1): "RH", (0, 1, 22): "CLWMR",
    (10, 2, 0): "ICEC", (2, 0, 0): "LAND",
}  # fmt: skip


def test_index_and_messages_of_a_real_file_mean_the_same(samples):
    """What its index would say, from the numbers that GRIB defines, is what we read in the messages."""
    path = samples / "gfs.t12z.pgrbf120.2p5deg.grib2"
    lines = []
    with open(path, "rb") as file:
        for number, message in enumerate(read_messages(file, path.name), start=1):
            handle = eccodes.codes_new_from_message(message.content)
            keys = ("discipline", "parameterCategory", "parameterNumber")
            name = NCEP.get(tuple(eccodes.codes_get(handle, key) for key in keys))
            level = {100: f"{eccodes.codes_get(handle, 'level')} mb", 1: "surface"}.get(
                eccodes.codes_get(handle, "typeOfFirstFixedSurface", int)
            )
            if name and level and eccodes.codes_get(handle, "stepType") == "instant":
                lines.append(f"{number}:{number}:d=2011011512:{name}:{level}:anl:")
            eccodes.codes_release(handle)
    by_index = analysis_entries(parse_index("\n".join(lines), "made"), datetime(2011, 1, 15, 12, tzinfo=UTC), "made")
    by_message = {Item(header.quantity.name, header.level) for header in grib.read_headers(path)}
    assert set(by_index) == by_message
    assert len(by_message) == 4 * 26 + 25 + 21 + 3


def test_it_reads_from_a_real_s3_server_that_lets_everybody_read(s3_server, tmp_path):
    bucket = s3_server.new_bucket()
    client = s3_server.client()
    allow = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{bucket}/*"]}
    for key, content in made().items():
        client.put_object(Bucket=bucket, Key=key, Body=content)
    with InputCache(tmp_path, 1 << 30) as inputs:
        feed = Gfs(inputs, bucket, s3_server.endpoint_url, now=lambda: CYCLE.astimezone(UTC))
        with pytest.raises(Denied, match="403"):
            feed.fetch(CYCLE, FEW)
        client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
        assert feed.available(CYCLE, feed.capability(CYCLE)).complete
        assert {item for file in feed.fetch(CYCLE, feed.capability(CYCLE)) for item in file.items} == feed.capability(
            CYCLE
        )
        assert not feed.available(CYCLE.replace(hour=6), FEW).present
