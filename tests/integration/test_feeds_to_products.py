"""From a provider's server to published products, through the command line and the real clients."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.errors import ExitCode
from publish.stores import LocalStore
from tests.ingest.feeds import era5_files
from tests.ingest.feeds.cds_server import CdsServer
from tests.ingest.feeds.cycles import newest, publish_ecmwf, publish_gfs
from tests.ingest.feeds.server import Cut, Loopback, Status
from tests.ops.fakes import FakeForecaster, save_model
from tests.ops.test_cli import TINY, Shell

RUN = ("run", "--days", "1", "--members", "3")
SIX_HOURS = timedelta(hours=6)


@pytest.fixture
def cycle():
    return newest(datetime.now(UTC))


@pytest.fixture
def gfs():
    with Loopback() as server:
        yield server


@pytest.fixture
def ecmwf():
    with Loopback("ecmwf") as server:
        yield server


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys, gfs, ecmwf) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name, value in TINY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SIGMACAST_GFS__ENDPOINT_URL", gfs.url)
    monkeypatch.setenv("SIGMACAST_ECMWF__MIRRORS", json.dumps([ecmwf.url]))
    save_model(Path("var/models"))
    return Shell(monkeypatch, capsys)


def provenance(run: str) -> dict:
    store = LocalStore(Path("var/products"))
    manifests = [info.key for info in store.list() if info.key.endswith("manifest.json")]
    found = [json.loads(store.get(key)) for key in manifests]
    return next(one["provenance"] for one in found if one["run_id"] == run)


def test_the_newest_cycle_of_gfs_becomes_products(shell, gfs, cycle):
    publish_gfs(gfs, cycle)
    gfs.inject(Status(503), times=2)
    gfs.inject(Cut(1000), path="f000", method="GET", times=2)
    ended = shell.json(*RUN, "--source", "gfs")
    assert ended["cycle"].startswith(cycle.isoformat()[:13])
    told = provenance(ended["run_id"])
    assert {one["source"] for one in told["inputs"]} == {"gfs"}
    assert all("gfs." in one["uri"] and len(one["sha256"]) == 64 for one in told["inputs"])
    assert told["degraded"] == [] and told["plan"]["chain"] == ["gfs"]


def test_ecmwf_is_completed_by_gfs_and_each_member_starts_from_its_own_analysis(shell, ecmwf, gfs, cycle, monkeypatch):
    publish_gfs(gfs, cycle)
    publish_ecmwf(ecmwf, cycle, members=2)
    monkeypatch.setenv("SIGMACAST_INGEST__INITIAL_CONDITIONS", "ens")
    forecaster = FakeForecaster()
    shell.forecaster(forecaster)
    ended = shell.json(*RUN, "--source", "ecmwf")
    told = provenance(ended["run_id"])
    assert {one["source"] for one in told["inputs"]} == {"ecmwf", "gfs"}
    assert len(told["members"]) == 2
    for member in (1, 2):
        warmer = forecaster.starts[member]["air_temperature"] - forecaster.starts[0]["air_temperature"]
        assert float(warmer.sel(level=500).mean()) == pytest.approx(0.1 * member, abs=5e-3)
        assert float(abs(warmer.sel(level=5)).max()) == 0.0


def test_what_is_half_published_ends_with_three_and_starts_degraded_where_allowed(
    shell, ecmwf, gfs, cycle, monkeypatch
):
    publish_gfs(gfs, cycle)
    publish_ecmwf(ecmwf, cycle - SIX_HOURS)
    publish_gfs(gfs, cycle - SIX_HOURS)
    wanted = ("--source", "ecmwf", "--cycle", f"{cycle:%Y-%m-%dT%H}")
    assert shell("ingest", "check", *wanted) == ExitCode.INPUT_REFUSED
    assert "0/70" in shell.out and "impossible" in shell.out
    assert shell(*RUN, *wanted) == ExitCode.INPUT_REFUSED
    assert "ecmwf lacks all 70 fields" in shell.err
    assert shell.json(*RUN, "--source", "ecmwf")["cycle"].startswith((cycle - SIX_HOURS).isoformat()[:13])
    monkeypatch.setenv("SIGMACAST_INGEST__DEGRADED", '["previous_analysis"]')
    ended = shell.json(*RUN, *wanted)
    (entry,) = provenance(ended["run_id"])["degraded"]
    assert entry["mode"] == "previous_analysis" and "ecmwf lacks all 70 fields" in entry["why"]


def test_fetched_inputs_are_not_fetched_again_by_the_run(shell, gfs, cycle):
    publish_gfs(gfs, cycle)
    assert shell("ingest", "fetch", "--source", "gfs", "--cycle", f"{cycle:%Y-%m-%dT%H}") == ExitCode.OK, shell.err
    gfs.forget()
    shell.json(*RUN, "--source", "gfs")
    assert gfs.requests
    assert not [one for one in gfs.requests if one.path.endswith("f000") and one.method == "GET"]


def test_the_newest_cycle_of_era5_comes_days_later_by_way_of_the_queue(shell, monkeypatch):
    with CdsServer(era5_files.grib) as store:
        store.statuses = ["successful"]
        last = newest(datetime.now(UTC)) - timedelta(days=6)
        store.last_date = f"{last:%Y-%m-%dT%H:%M:%SZ}"
        monkeypatch.setenv("CDSAPI_URL", store.address)
        monkeypatch.setenv("CDSAPI_KEY", store.key)
        ended = shell.json(*RUN, "--source", "era5")
        assert ended["cycle"].startswith(f"{last:%Y-%m-%d}")
        told = provenance(ended["run_id"])
        assert {one["source"] for one in told["inputs"]} == {"era5"}
        assert store.key not in json.dumps(told)
