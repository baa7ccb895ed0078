"""ERA5 from a Climate Data Store on the loopback interface, asked by its own client."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from datetime import timedelta

import numpy as np
import pytest

from forecast.fields import PRESSURE_LEVELS
from ingest.cache import InputCache
from ingest.download import Transfer
from ingest.errors import Broken, Busy, Denied, Incomplete, NotYetAvailable, Refused, SourceError
from ingest.execute import carry_out, fetch_inputs
from ingest.feed import Item
from ingest.planner import Offer, make_plan
from ingest.source import ModelNeeds
from ingest.sources import cds_jobs
from ingest.sources.cds import Cds
from tests.ingest import examples
from tests.ingest.feeds import era5_files
from tests.ingest.feeds.cds_server import KEY, LICENCE, NO_DATA, NOT_YET, QUEUE_LIMIT, CdsServer, Says
from tests.ingest.feeds.clock import WaitingClock
from tests.ingest.feeds.server import Cut, Refuse, Slow, Status, WrongLength

CYCLE = examples.CYCLE
NEEDS = ModelNeeds(32, 16)
FEW = frozenset({Item("air_temperature", 500), Item("geopotential", 500), Item("sea_surface_temperature")})
ONE = frozenset({Item("air_temperature", 500)})


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(cds_jobs, "_SECONDS_BETWEEN_TRIES", 0.01)
    monkeypatch.setattr(cds_jobs, "_TRIES", 2)


@pytest.fixture
def server(monkeypatch):
    with CdsServer(era5_files.grib) as server:
        monkeypatch.setenv("CDSAPI_URL", server.address)
        monkeypatch.setenv("CDSAPI_KEY", server.key)
        monkeypatch.setenv("CDSAPI_RC", os.devnull)
        yield server


@pytest.fixture
def clock():
    return WaitingClock()


@pytest.fixture
def inputs(tmp_path):
    with InputCache(tmp_path, 1 << 30) as inputs:
        yield inputs


@pytest.fixture
def feed(server, inputs, clock):
    return feed_of(inputs, clock)


def feed_of(inputs, clock, **options):
    transfer = Transfer(2, block_timeout=0.5, first_wait=0.01)
    options = {"now": lambda: CYCLE + timedelta(days=30), "deadline": clock.deadline} | options
    return Cds(inputs, transfer=transfer, **options)


def journal(inputs):
    return sorted((inputs.directory / "era5-jobs").glob("*"))


def test_a_cycle_becomes_an_analysis_on_all_37_levels(server, feed):
    plan = make_plan(NEEDS, CYCLE, [Offer("era5", CYCLE, feed.capability(CYCLE))])
    assert plan.refused == ()
    analysis = carry_out(plan, NEEDS, fetch_inputs(plan, {"era5": feed}))
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


def test_a_start_takes_few_small_requests_that_wait_together(server, feed):
    items = {item for item in feed.capability(CYCLE) if item.quantity != "relative_humidity"}
    files = feed.fetch(CYCLE, items)
    assert sorted(len(file.items) for file in files) == [4, 37, 74, 74, 74]
    routes = [one.method + one.path.rpartition("/")[2] for one in server.requests]
    first_result = next(number for number, one in enumerate(routes) if one == "GETresults")
    assert routes.index("POSTexecution") < first_result
    assert routes[:first_result].count("POSTexecution") == 5


def test_final_and_preliminary_fields_are_told_apart(server, feed):
    def make(dataset, request):
        first = era5_files.grib(dataset, request | {"variable": request["variable"][:1]}, "0001")
        return first + era5_files.grib(dataset, request | {"variable": request["variable"][1:]}, "0005")

    server.make = make
    (file,) = feed.fetch(CYCLE, FEW - {Item("sea_surface_temperature")})
    assert file.details["expver"] == {"0001": {"air_temperature": [500]}, "0005": {"geopotential": [500]}}
    assert file.details["dataset"] == "reanalysis-era5-pressure-levels"
    assert file.details["request_id"] == "job-0001"


def test_the_wait_grows_and_ends(server, feed, clock):
    server.statuses = ["accepted"] * 12 + ["running"] * 8 + ["successful"]
    feed.fetch(CYCLE, ONE)
    assert clock.waits[:3] == [1.0, 1.5, 2.25]
    assert max(clock.waits) == clock.waits[-1] == 30.0
    assert server.count("execution") == 1


def test_at_the_deadline_a_job_keeps_its_place(server, inputs, clock):
    server.statuses = ["accepted"]
    with pytest.raises(Busy, match="keep their places"):
        feed_of(inputs, clock, fetch_seconds=100.0).fetch(CYCLE, ONE)
    assert clock.now <= 100.0
    server.jobs["job-0001"].to_come = ["successful"]
    (file,) = feed_of(inputs, clock).fetch(CYCLE, ONE)
    assert file.details["request_id"] == "job-0001"
    assert server.count("execution") == 1
    assert journal(inputs) == []


def test_what_is_in_the_cache_is_not_asked_for_again(server, feed):
    files = feed.fetch(CYCLE, FEW)
    server.forget()
    assert feed.fetch(CYCLE, FEW) == files
    assert server.requests == []


KILLED = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from ingest.cache import InputCache
from ingest.download import Transfer
from ingest.feed import Item
from ingest.sources.cds import Cds

with InputCache(Path(sys.argv[1]), 1 << 30) as inputs:
    items = [Item(*item) for item in json.loads(sys.argv[3])]
    Cds(inputs, transfer=Transfer(1)).fetch(datetime.fromisoformat(sys.argv[2]), items)
"""


def killed_once(server, repository, folder, when):
    """Run a fetch in a process of its own, and kill it when the server has seen something."""
    environment = os.environ | {"PYTHONPATH": str(repository)}
    arguments = [str(folder), CYCLE.isoformat(), json.dumps(sorted(FEW, key=str))]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], cwd=repository, env=environment)
    deadline = time.monotonic() + 120
    while not when():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_in_the_queue_it_finds_its_requests_again(server, inputs, clock, repository):
    server.statuses = ["accepted"]
    killed_once(
        server, repository, inputs.directory, lambda: server.count("execution") == 2 and server.count("job") > 4
    )
    assert len(journal(inputs)) == 2
    for job in server.jobs.values():
        job.to_come = ["running", "successful"]
    files = feed_of(inputs, clock).fetch(CYCLE, FEW)
    assert sorted(file.details["request_id"] for file in files) == ["job-0001", "job-0002"]
    assert server.count("execution") == 2


def test_killed_while_it_downloads_it_goes_on_with_the_same_file(server, inputs, clock, repository):
    server.inject(Slow(0.5, every=500), method="GET", path="/files/", times=99)
    killed_once(server, repository, inputs.directory, lambda: server.count("file") > 0)
    server.forget()
    files = feed_of(inputs, clock).fetch(CYCLE, FEW)
    assert {item for file in files for item in file.items} == FEW
    assert len(server.jobs) == 2


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
def test_what_the_store_says_tells_what_to_do(server, feed, route, words, status, kind, text):
    path = {"execution": "execution", "process": "pressure-levels", "job": "jobs/", "results": "results"}[route]
    server.inject(Says(status, words), path=path, times=99)
    with pytest.raises(kind, match=text):
        feed.fetch(CYCLE, ONE)


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
def test_a_job_that_failed_is_told_and_asked_for_anew_next_time(server, feed, inputs, status, failure, kind, text):
    server.statuses, server.failure = ["accepted", status], failure
    with pytest.raises(kind, match=text):
        feed.fetch(CYCLE, ONE)
    assert journal(inputs) == []
    server.statuses, server.failure = ["successful"], {}
    assert feed.fetch(CYCLE, ONE)
    assert server.count("execution") == 2


@pytest.mark.parametrize("how", ["dismissed", "unknown", "results gone"])
def test_a_job_that_the_store_lost_is_asked_for_again_once(server, inputs, clock, how):
    server.statuses = ["accepted"]
    with pytest.raises(Busy):
        feed_of(inputs, clock, fetch_seconds=0.5).fetch(CYCLE, ONE)
    server.statuses = ["successful"]
    if how == "dismissed":
        server.jobs["job-0001"].to_come = ["dismissed"]
    elif how == "unknown":
        del server.jobs["job-0001"]
        server.jobs["another"] = None
    else:
        server.jobs["job-0001"].to_come = ["successful"]
        server.inject(Says(404, {"title": "results expired"}), path="job-0001/results")
    (file,) = feed_of(inputs, clock).fetch(CYCLE, ONE)
    assert file.details["request_id"] == "job-0002"
    assert server.count("execution") == 2


@pytest.mark.parametrize(
    "fault", [Status(503), Status(429, retry_after=0.01), Cut(after=100), Refuse(), WrongLength(by=7)], ids=str
)
def test_a_fault_at_any_request_ends_in_a_file_or_an_error_that_says_what_to_do(server, tmp_path, clock, fault):
    """At most one further attempt is needed, and what was queued is not queued again."""
    with InputCache(tmp_path / "whole", 1 << 30) as inputs:
        expected = [file.sha256 for file in feed_of(inputs, clock).fetch(CYCLE, ONE)]
    for at in range(1, len(server.requests) + 1):
        server.forget()
        server.jobs.clear()
        server.inject(fault, at=at)
        with InputCache(tmp_path / str(at), 1 << 30) as inputs:
            try:
                files = feed_of(inputs, clock).fetch(CYCLE, ONE)
            except (Busy, Broken):
                files = feed_of(inputs, clock).fetch(CYCLE, ONE)
            assert [file.sha256 for file in files] == expected


def test_a_file_of_another_size_than_the_store_says_is_broken(server, feed, inputs):
    server.size_error = 5
    with pytest.raises(Broken, match="as the store says"):
        feed.fetch(CYCLE, ONE)
    assert len(journal(inputs)) == 1


def test_a_file_with_other_fields_than_asked_for_is_broken(server, feed):
    server.make = lambda dataset, request: era5_files.grib(dataset, request | {"pressure_level": ["850"]})
    with pytest.raises(Broken, match="air_temperature at 500 hPa"):
        feed.fetch(CYCLE, ONE)


def test_a_file_that_the_store_has_removed_is_asked_for_anew(server, feed):
    server.inject(Status(404), path="/files/", times=9)
    with pytest.raises(Busy, match="no longer keeps"):
        feed.fetch(CYCLE, ONE)
    server.forget()
    assert feed.fetch(CYCLE, ONE)[0].details["request_id"] == "job-0002"


def test_an_archive_is_unpacked(server, feed):
    def make(dataset, request):
        halves = [era5_files.grib(dataset, request | {"variable": [one]}) for one in request["variable"]]
        return era5_files.zipped(*((f"../../part-{number}.grib", half) for number, half in enumerate(halves)))

    server.make, server.media_type = make, "application/zip"
    files = feed.fetch(CYCLE, FEW)
    assert {item for file in files for item in file.items} == FEW
    assert all(file.path.read_bytes().startswith(b"GRIB") for file in files)


def test_an_archive_with_netcdf_is_read_too(server, feed, tmp_path):
    def make(dataset, request):
        given = examples.example().but(fields={("t", 500): examples.state()["t", 500]})
        data = examples.dataset(given).assign_coords(number=0, expver=("valid_time", ["0005"]))
        data.to_netcdf(tmp_path / "instant.nc")
        return era5_files.zipped(("data_stream-oper_stepType-instant.nc", (tmp_path / "instant.nc").read_bytes()))

    server.make = make
    (file,) = feed.fetch(CYCLE, ONE)
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
def test_what_is_no_such_file_leaves_nothing_in_the_cache(server, feed, inputs, content, kind):
    server.make = lambda dataset, request: content
    with pytest.raises(kind):
        feed.fetch(CYCLE, ONE)
    assert not list(inputs.directory.rglob("*.data"))


def test_in_the_first_days_nobody_is_asked(server, inputs, clock):
    feed = feed_of(inputs, clock, now=lambda: CYCLE + timedelta(days=3, hours=23))
    found = feed.available(CYCLE, FEW)
    assert (found.present, found.missing) == (frozenset(), FEW)
    assert found.expected_at == CYCLE + timedelta(days=5)
    assert server.requests == []


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
def test_the_catalogue_tells_how_far_era5t_has_come_or_else_the_latency(server, inputs, clock, last, days, present):
    server.last_date = last
    found = feed_of(inputs, clock, now=lambda: CYCLE + timedelta(days=days)).available(CYCLE, FEW)
    assert found.complete is present
    assert (found.expected_at is None) is (present or days > 5)


def test_what_era5_does_not_have_is_missing_and_not_asked_for(server, feed):
    absent = {Item("cloud_mixing_ratio", 500)}
    assert feed.available(CYCLE, absent).missing == absent
    with pytest.raises(Incomplete, match="cloud_mixing_ratio"):
        feed.fetch(CYCLE, absent)


@pytest.mark.parametrize("key", [None, "1234:5ec7e7c0-de00-4dea-9a55-0123456789ab"], ids=["none", "old"])
def test_without_a_key_that_can_be_used_it_is_denied(server, feed, monkeypatch, key):
    if key is None:
        monkeypatch.delenv("CDSAPI_KEY")
    else:
        monkeypatch.setenv("CDSAPI_KEY", key)
    with pytest.raises(Denied, match="key") as caught:
        feed.fetch(CYCLE, ONE)
    assert KEY not in str(caught.value)
    assert server.requests == []


def test_the_configuration_may_be_a_file(server, feed, monkeypatch, tmp_path):
    monkeypatch.delenv("CDSAPI_URL")
    monkeypatch.delenv("CDSAPI_KEY")
    (tmp_path / "rc").write_text(f"url: {server.address}\nkey: {server.key}\n")
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "rc"))
    assert feed.fetch(CYCLE, ONE)


def test_the_key_is_in_no_file_no_log_and_no_message(server, inputs, clock, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    told = []
    spoilers = [
        lambda: None,
        lambda: server.inject(Says(403, LICENCE | {"detail": f"the key {KEY} may not"}), path="execution", times=9),
        lambda: server.inject(Says(500, {"title": f"token {KEY} caused this"}), path="jobs", times=99),
        lambda: server.inject(Refuse(), path="jobs", times=99),
        lambda: server.inject(Status(403), path="/files/", times=99),
        lambda: setattr(server, "key", "another"),
    ]
    for day, spoil in enumerate(spoilers, start=2):
        server.forget()
        spoil()
        try:
            feed_of(inputs, clock).fetch(CYCLE.replace(day=day), ONE)
        except SourceError as error:
            told.append("".join(traceback.format_exception(error)) + repr(error) + str(error.__dict__))
    assert len(told) == 5
    texts = [caplog.text, *capfd.readouterr(), *told]
    texts += [path.read_bytes().decode("latin-1") for path in inputs.directory.rglob("*") if path.is_file()]
    assert not [text for text in texts if KEY in text]


def test_the_journal_says_what_was_asked_for(server, inputs, clock):
    server.statuses = ["accepted"]
    with pytest.raises(Busy):
        feed_of(inputs, clock, fetch_seconds=0.5).fetch(CYCLE, ONE)
    (path,) = journal(inputs)
    written = json.loads(path.read_text())
    assert written["request_id"] == "job-0001"
    assert written["inputs"] == server.jobs["job-0001"].request
