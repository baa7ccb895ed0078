"""A cache of inputs, a clock that waits for nobody, and a Climate Data Store with the feed that asks it."""

import os

import pytest

from ingest.cache import InputCache
from tests.ingest.feeds.cds_server import CdsServer
from tests.ingest.feeds.clock import WaitingClock
from tests.ingest.feeds.era5_files import era5_feed, grib


@pytest.fixture
def clock():
    return WaitingClock()


@pytest.fixture
def inputs(tmp_path):
    with InputCache(tmp_path, 1 << 30) as inputs:
        yield inputs


@pytest.fixture
def cds_server(monkeypatch):
    """The store, which the environment names; its client is made impatient."""
    monkeypatch.setattr("ingest.sources.cds_jobs._SECONDS_BETWEEN_TRIES", 0.01)
    monkeypatch.setattr("ingest.sources.cds_jobs._TRIES", 2)
    with CdsServer(grib) as server:
        monkeypatch.setenv("CDSAPI_URL", server.address)
        monkeypatch.setenv("CDSAPI_KEY", server.key)
        monkeypatch.setenv("CDSAPI_RC", os.devnull)
        yield server


@pytest.fixture
def era5(cds_server, inputs, clock):
    return era5_feed(inputs, clock)
