"""ERA5 from a Climate Data Store on the loopback interface, asked by its own client."""

from datetime import timedelta

import numpy as np
import pytest

from forecast.fields import PRESSURE_LEVELS
from ingest.cache import InputCache
from ingest.errors import Broken, Busy, Denied, Incomplete, NotYetAvailable, Refused, SourceError
from ingest.execute import carry_out, fetch_inputs
from ingest.feed import Item
from ingest.planner import Offer, make_plan
from ingest.source import ModelNeeds
from tests.ingest import examples
from tests.ingest.examples import CYCLE
from tests.ingest.feeds import era5_files
from tests.ingest.feeds.cds_server import LICENCE, NO_DATA, NOT_YET, QUEUE_LIMIT, Says
from tests.ingest.feeds.era5_files import FEW, ONE, era5_feed, journal
from tests.ingest.feeds.server import Cut, Refuse, Status, WrongLength

NEEDS = ModelNeeds(32, 16)


def test_a_cycle_becomes_an_analysis_on_all_37_levels(cds_server, era5):
    plan = make_plan(NEEDS, CYCLE, [Offer("era5", CYCLE, era5.capability(CYCLE))])
    assert plan.refused == ()
    analysis = carry_out(plan, NEEDS, fetch_inputs(plan, {"era5": era5}))
    assert tuple(analysis.dataset["level"].values) == PRESSURE_LEVELS
    assert all(np.isfinite(variable).all() for variable in analysis.dataset.values())
    temperature = examples.state()["t", 500]
    assert float(analysis.dataset["air_temperature"].sel(level=500).max()) == pytest.approx(temperature.max(), abs=1.0)
    levels = {}
    for one in analysis.inputs:
        assert list(one["details"]["expver"]) == ["0005"]
        levels |= one["details"]["expver"]["0005"]
    assert levels["air_temperature"] == list(PRESSURE_LEVELS)
    assert levels["sea_surface_temperature"] == []


def test_a_start_takes_few_small_requests_that_wait_together(cds_server, era5):
    items = {item for item in era5.capability(CYCLE) if item.quantity != "relative_humidity"}
    files = era5.fetch(CYCLE, items)
    assert sorted(len(file.items) for file in files) == [4, 37, 74, 74, 74]
    routes = [one.method + one.path.rpartition("/")[2] for one in cds_server.requests]
    first_result = next(number for number, one in enumerate(routes) if one == "GETresults")
    assert routes.index("POSTexecution") < first_result
    assert routes[:first_result].count("POSTexecution") == 5


def test_final_and_preliminary_fields_are_told_apart(cds_server, era5):
    def make(dataset, request):
        first = era5_files.grib(dataset, request | {"variable": request["variable"][:1]}, "0001")
        return first + era5_files.grib(dataset, request | {"variable": request["variable"][1:]}, "0005")

    cds_server.make = make
    (file,) = era5.fetch(CYCLE, FEW - {Item("sea_surface_temperature")})
    assert file.details["expver"] == {"0001": {"air_temperature": [500]}, "0005": {"geopotential": [500]}}
    assert file.details["dataset"] == "reanalysis-era5-pressure-levels"
    assert file.details["request_id"] == "job-0001"


def test_the_wait_grows_and_ends(cds_server, era5, clock):
    cds_server.statuses = ["accepted"] * 12 + ["running"] * 8 + ["successful"]
    era5.fetch(CYCLE, ONE)
    assert clock.waits[:3] == [1.0, 1.5, 2.25]
    assert max(clock.waits) == clock.waits[-1] == 30.0
    assert cds_server.count("execution") == 1


def test_at_the_deadline_a_job_keeps_its_place(cds_server, inputs, clock):
    cds_server.statuses = ["accepted"]
    with pytest.raises(Busy, match="keep their places"):
        era5_feed(inputs, clock, fetch_seconds=100.0).fetch(CYCLE, ONE)
    assert clock.now <= 100.0
    cds_server.jobs["job-0001"].to_come = ["successful"]
    (file,) = era5_feed(inputs, clock).fetch(CYCLE, ONE)
    assert file.details["request_id"] == "job-0001"
    assert cds_server.count("execution") == 1
    assert journal(inputs) == []


def test_what_is_in_the_cache_is_not_asked_for_again(cds_server, era5):
    files = era5.fetch(CYCLE, FEW)
    cds_server.forget()
    assert era5.fetch(CYCLE, FEW) == files
    assert cds_server.requests == []


@pytest.mark.parametrize(
    "route, words, status, kind, text",
    [
        ("execution", LICENCE, 403, Denied, "accept the licence"),
        ("execution", {"title": "authentication failed"}, 401, Denied, "check the key"),
        ("execution", NOT_YET, 400, NotYetAvailable, "2020-02-25 15:00"),
        ("execution", {"title": "invalid request", "detail": "cost limits exceeded"}, 400, Refused, "fewer fields"),
        ("execution", {"title": "invalid request"}, 400, Refused, "check the request"),
        ("process", {"title": "dataset not found"}, 404, SourceError, "not found"),
        ("execution", {"title": "too many requests"}, 429, Busy, "later"),
        ("job", {"title": "bad gateway"}, 502, Busy, "later"),
        ("results", {"title": "unavailable"}, 503, Busy, "later"),
    ],
)
def test_what_the_store_says_tells_what_to_do(cds_server, era5, route, words, status, kind, text):
    path = {"execution": "execution", "process": "pressure-levels", "job": "jobs/", "results": "results"}[route]
    cds_server.inject(Says(status, words), path=path, times=99)
    with pytest.raises(kind, match=text):
        era5.fetch(CYCLE, ONE)


@pytest.mark.parametrize(
    "status, failure, kind, text",
    [
        ("failed", NO_DATA, Busy, "MultiAdaptorNoDataError"),
        ("failed", NOT_YET, NotYetAvailable, "2020-02-25"),
        ("failed", {"title": "The job has failed", "traceback": "MARS died"}, Busy, "MARS died"),
        ("rejected", LICENCE, Denied, "accept the licence"),
        ("rejected", QUEUE_LIMIT, Busy, "limited to 50"),
    ],
)
def test_a_job_that_failed_is_told_and_asked_for_anew_next_time(cds_server, era5, inputs, status, failure, kind, text):
    cds_server.statuses, cds_server.failure = ["accepted", status], failure
    with pytest.raises(kind, match=text):
        era5.fetch(CYCLE, ONE)
    assert journal(inputs) == []
    cds_server.statuses, cds_server.failure = ["successful"], {}
    assert era5.fetch(CYCLE, ONE)
    assert cds_server.count("execution") == 2


@pytest.mark.parametrize("how", ["dismissed", "unknown", "results gone"])
def test_a_job_that_the_store_lost_is_asked_for_again_once(cds_server, inputs, clock, how):
    cds_server.statuses = ["accepted"]
    with pytest.raises(Busy):
        era5_feed(inputs, clock, fetch_seconds=0.5).fetch(CYCLE, ONE)
    cds_server.statuses = ["successful"]
    if how == "dismissed":
        cds_server.jobs["job-0001"].to_come = ["dismissed"]
    elif how == "unknown":
        del cds_server.jobs["job-0001"]
        cds_server.jobs["another"] = None
    else:
        cds_server.jobs["job-0001"].to_come = ["successful"]
        cds_server.inject(Says(404, {"title": "results expired"}), path="job-0001/results")
    (file,) = era5_feed(inputs, clock).fetch(CYCLE, ONE)
    assert file.details["request_id"] == "job-0002"
    assert cds_server.count("execution") == 2


@pytest.mark.parametrize(
    "fault", [Status(503), Status(429, retry_after=0.01), Cut(after=100), Refuse(), WrongLength(by=7)], ids=str
)
def test_a_fault_at_any_request_ends_in_a_file_or_an_error_that_says_what_to_do(cds_server, tmp_path, clock, fault):
    """At most one further attempt is needed, and what was queued is not queued again."""
    with InputCache(tmp_path / "whole", 1 << 30) as inputs:
        expected = [file.sha256 for file in era5_feed(inputs, clock).fetch(CYCLE, ONE)]
    for at in range(1, len(cds_server.requests) + 1):
        cds_server.forget()
        cds_server.jobs.clear()
        cds_server.inject(fault, at=at)
        with InputCache(tmp_path / str(at), 1 << 30) as inputs:
            try:
                files = era5_feed(inputs, clock).fetch(CYCLE, ONE)
            except (Busy, Broken):
                files = era5_feed(inputs, clock).fetch(CYCLE, ONE)
            assert [file.sha256 for file in files] == expected


def test_a_file_of_another_size_than_the_store_says_is_broken(cds_server, era5, inputs):
    cds_server.size_error = 5
    with pytest.raises(Broken, match="as the store says"):
        era5.fetch(CYCLE, ONE)
    assert journal(inputs) == []


def test_a_file_with_other_fields_than_asked_for_is_broken(cds_server, era5):
    cds_server.make = lambda dataset, request: era5_files.grib(dataset, request | {"pressure_level": ["850"]})
    with pytest.raises(Broken, match="air_temperature at 500 hPa"):
        era5.fetch(CYCLE, ONE)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_the_store_has_removed_is_asked_for_anew(cds_server, era5, status):
    cds_server.inject(Status(status), path="/files/", times=9)
    with pytest.raises(Broken, match="no longer keeps"):
        era5.fetch(CYCLE, ONE)
    cds_server.forget()
    assert era5.fetch(CYCLE, ONE)[0].details["request_id"] == "job-0002"


def test_an_archive_is_unpacked(cds_server, era5):
    def make(dataset, request):
        halves = [era5_files.grib(dataset, request | {"variable": [one]}) for one in request["variable"]]
        return era5_files.zipped(*((f"../../part-{number}.grib", half) for number, half in enumerate(halves)))

    cds_server.make, cds_server.media_type = make, "application/zip"
    files = era5.fetch(CYCLE, FEW)
    assert {item for file in files for item in file.items} == FEW
    assert all(file.path.read_bytes().startswith(b"GRIB") for file in files)


def test_an_archive_with_netcdf_is_read_too(cds_server, era5, tmp_path):
    def make(dataset, request):
        given = examples.example().but(fields={("t", 500): examples.state()["t", 500]})
        data = examples.dataset(given).assign_coords(number=0, expver=("valid_time", ["0005"]))
        data.to_netcdf(tmp_path / "instant.nc")
        return era5_files.zipped(("data_stream-oper_stepType-instant.nc", (tmp_path / "instant.nc").read_bytes()))

    cds_server.make = make
    (file,) = era5.fetch(CYCLE, ONE)
    assert file.path.read_bytes().startswith(b"\x89HDF")
    assert file.details["expver"] == {"0005": {"air_temperature": [500]}}


@pytest.mark.parametrize(
    "content, kind",
    [
        (era5_files.zipped(("bomb.grib", bytes(200_000_000))), Refused),
        (b"PK\x03\x04rubbish", Broken),
        (b"<html>", Refused),
    ],
    ids=["bomb", "damaged", "page"],
)
def test_what_is_no_such_file_leaves_nothing_in_the_cache(cds_server, era5, inputs, content, kind):
    cds_server.make = lambda dataset, request: content
    with pytest.raises(kind):
        era5.fetch(CYCLE, ONE)
    assert not list(inputs.directory.rglob("*.data"))


def test_in_the_first_days_nobody_is_asked(cds_server, inputs, clock):
    era5 = era5_feed(inputs, clock, now=lambda: CYCLE + timedelta(days=3, hours=23))
    found = era5.available(CYCLE, FEW)
    assert (found.present, found.missing) == (frozenset(), FEW)
    assert found.expected_at == CYCLE + timedelta(days=5)
    assert cds_server.requests == []


@pytest.mark.parametrize(
    "last, days, present",
    [
        ("2020-02-29T00:00:00Z", 6.0, False),
        ("2020-03-01T00:00:00Z", 4.5, True),
        ("2020-03-09T23:00:00Z", 9.0, True),
        (None, 4.9, False),
        (None, 5.1, True),
    ],
)
def test_the_catalogue_tells_how_far_era5t_has_come_or_else_the_latency(cds_server, inputs, clock, last, days, present):
    cds_server.last_date = last
    found = era5_feed(inputs, clock, now=lambda: CYCLE + timedelta(days=days)).available(CYCLE, FEW)
    assert found.complete is present
    assert (found.expected_at is None) is (present or days > 5)


def test_what_era5_does_not_have_is_missing_and_not_asked_for(cds_server, era5):
    absent = {Item("cloud_mixing_ratio", 500)}
    assert era5.available(CYCLE, absent).missing == absent
    with pytest.raises(Incomplete, match="cloud_mixing_ratio"):
        era5.fetch(CYCLE, absent)
