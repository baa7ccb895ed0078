"""One run through its stages: what is recorded, and how it goes on after every kind of mishap."""

import shutil
import subprocess
import sys
import threading
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import xarray as xr

import db
from db import leases, products, runs
from db.leases import Owner
from forecast.errors import QuorumLost
from ops import worker
from ops.errors import Interrupted, NotFound, QuorumFailed, Terminated
from ops.failures import explained
from publish import discovery, stac
from publish.manifest import Manifest, verify
from publish.product import ProductError
from tests.ops.fakes import FakeForecaster, settings
from tests.ops.histories import History

LEAD_HOURS = [0, 12, 24, 36, 48]


@pytest.fixture
def history(tmp_path) -> History:
    return History(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    """What a run publishes that nothing happens to."""
    history = History(tmp_path_factory.mktemp("undisturbed"))
    history.run()
    return history.contents()


def test_a_run_is_published_and_recorded(history):
    ended = history.run()
    row = history.rows()[0]
    assert (row.id, row.state, row.members_published, row.members_requested) == (ended.run_id, "published", 3, 3)
    assert row.init_time == datetime(1959, 1, 2, tzinfo=UTC)
    assert row.device == "1 x Imagination (fake)"
    assert row.software["jax"] and row.software["sigmacast"]
    assert row.seeds["members"] == [0, 1, 2]
    assert row.created_at <= row.started_at <= row.ended_at
    assert row.provenance["variables"]["air_temperature"]
    assert leases.holder(row) is None
    assert [(a, n, s) for a, n, s in history.attempts(row.id)] == [
        ("fetch", 1, "done"),
        ("integrate", 1, "done"),
        ("finish", 1, "done"),
    ]
    inputs = history.told(products.inputs, row.id)
    assert [one.uri for one in inputs] == ["pypi:neuralgcm/neuralgcm/data/era5_tl31_19590102T00.nc"]


def test_a_frame_is_let_go_of_before_the_next_is_asked_for(history):
    forecaster = FakeForecaster()
    history.run(forecaster)
    assert forecaster.frames_held == [False] * (len(LEAD_HOURS) - 1)


def test_the_history_lists_exactly_what_the_store_holds(history):
    history.settings = settings(history.directory, products__formats=("grib2", "netcdf"), charts__lead_hours=(24,))
    ended = history.run()
    manifest = Manifest.from_json(history.store.get(ended.manifest_key))
    assert verify(history.store, manifest) == []
    rows = {row.key: (row.bytes, row.sha256) for row in history.told(products.of_run, ended.run_id)}
    named = {one.key: (one.bytes, one.sha256) for one in manifest.objects}
    assert rows == named | {ended.manifest_key: rows[ended.manifest_key]}
    stored = {info.key for info in history.store.list()}
    beside = {"latest.json", ended.manifest_key.replace("manifest", "status")}
    assert stored == set(rows) | beside | discovery.keys(stac.Entry.of(manifest))
    assert len(ended.chart_keys) == 3


def test_the_products_name_their_run(history):
    ended = history.run()
    key = next(info.key for info in history.store.list() if info.key.endswith(".nc"))
    with xr.open_dataset(history.store.path(key)) as dataset:
        assert dataset.attrs["run_id"] == ended.run_id


def test_a_second_run_says_it_is_done_and_does_nothing(history):
    first = history.run()
    forecaster = FakeForecaster()
    second = history.run(forecaster)
    assert second.already and not first.already
    assert asdict(second) | {"already": False} == asdict(first)
    assert forecaster.started_from == []
    assert len(history.rows()) == 1


def test_a_published_run_is_never_begun_afresh(history):
    history.run()
    assert history.run(fresh=True).already


def test_another_configuration_is_another_run_with_products_of_its_own(history):
    first = history.run()
    before = history.contents()
    history.settings = settings(history.directory, forecast__members=2)
    second = history.run()
    assert second.run_id != first.run_id
    assert second.members == 2
    assert before.items() <= history.contents().items()
    assert Path(first.manifest_key).parent != Path(second.manifest_key).parent


def test_the_batch_size_and_the_place_of_things_make_no_other_run(history):
    history.run()
    history.settings = settings(history.directory, forecast__batch_size=1, lease__seconds=30)
    assert history.run().already


def test_a_failure_is_recorded_and_the_next_run_goes_on_from_there(history, undisturbed):
    with pytest.raises(RuntimeError, match="device fell off"):
        history.run(FakeForecaster(fail_at=24))
    row = history.rows()[0]
    assert row.state == "failed"
    assert row.error == "unexpected RuntimeError: the device fell off the bus"
    assert history.attempts(row.id)[-1] == ("integrate", 1, "failed")
    assert any(one.kind == "traceback" and "_mishap" in one.message for one in history.told(runs.events, row.id))
    assert not [info for info in history.store.list() if info.key.endswith("manifest.json")]
    again = FakeForecaster()
    history.run(again)
    assert again.started_from == [24]
    assert history.contents() == undisturbed
    assert [row.state for row in history.rows()] == ["published"]
    assert history.attempts(row.id)[-2:] == [("integrate", 2, "done"), ("finish", 1, "done")]


def test_a_lost_quorum_fails_the_run_with_its_reason(history):
    with pytest.raises(QuorumLost) as lost:
        history.run(FakeForecaster(fail_at=24, error=QuorumLost("2 of 3 members left, 3 are needed")))
    assert isinstance(explained(lost.value), QuorumFailed)
    assert history.rows()[0].error == "2 of 3 members left, 3 are needed"


def test_a_member_lost_is_recorded_and_the_rest_published(tmp_path):
    history = History(tmp_path, forecast__quorum=0.6)
    ended = history.run(FakeForecaster(lose_at=24))
    assert ended.members == 2
    losses = history.told(products.losses, ended.run_id)
    assert [(one.member, one.lead_time_hours, one.reason) for one in losses] == [(2, 24, "wind above 150 m/s")]
    manifest = Manifest.from_json(history.store.get(ended.manifest_key))
    assert manifest.partial and manifest.members == (0, 1)


@pytest.mark.parametrize(("number", "error", "goes_on"), [("SIGINT", Interrupted, 36), ("SIGTERM", Terminated, 48)])
def test_an_interrupted_run_goes_on_and_sigterm_lets_the_window_in_work_be_published_first(
    history, undisturbed, number, error, goes_on
):
    import signal

    with pytest.raises(error, match="goes on from what is saved"):
        history.run(FakeForecaster(signal_at=(36, signal.Signals[number])))
    row = history.rows()[0]
    assert row.state == "interrupted" and leases.holder(row) is None
    assert history.attempts(row.id)[-1] == ("integrate", 1, "interrupted")
    again = FakeForecaster()
    history.run(again)
    assert again.started_from == [goes_on]
    assert history.contents() == undisturbed


def killed(history: History, kill_at: int) -> None:
    """Run in another process that kills itself at a lead time."""
    code = (
        "import sys; from pathlib import Path; from ops import worker; from ops.progress import LogProgress\n"
        "from tests.ops.fakes import FakeForecaster, settings\n"
        f"worker.run(settings(Path({str(history.directory)!r})), FakeForecaster(kill_at={kill_at}), LogProgress())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == -9, ended.stderr


def test_killed_and_run_again_it_goes_on_at_once_with_the_same_analysis_and_ends_the_same(history, undisturbed):
    killed(history, 24)
    row = history.rows()[0]
    assert row.state == "running" and leases.holder(row) is not None
    again = FakeForecaster()
    ended = history.run(again)
    assert ended.run_id == row.id
    assert again.started_from == [24]
    assert history.contents() == undisturbed
    assert [(one.state) for one in history.told(runs.events, row.id) if one.state] == [
        "created",
        "running",
        "interrupted",
        "running",
        "published",
    ]
    assert history.attempts(row.id) == [
        ("fetch", 1, "done"),
        ("integrate", 1, "interrupted"),
        ("integrate", 2, "done"),
        ("finish", 1, "done"),
    ]


INTERVALS = {"products__windows": ("geopotential_height@500/24h max",), "products__formats": ("grib2", "netcdf")}


@pytest.mark.parametrize("memory_is_lost", [False, True])
def test_fields_over_intervals_are_the_same_after_a_stop(history, tmp_path, memory_is_lost):
    whole = History(tmp_path / "whole")
    whole.settings = settings(whole.directory, **INTERVALS)
    whole.run()
    history.settings = settings(history.directory, **INTERVALS)
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=36))
    (memory,) = history.directory.glob("work/*/windows")
    if memory_is_lost:
        shutil.rmtree(memory)
    again = FakeForecaster()
    history.run(again)
    assert again.started_from == [12 if memory_is_lost else 36]
    assert history.contents() == whole.contents()
    assert any("24h-max" in key for key in history.contents())
    assert not memory.exists()


def test_only_the_lead_times_that_are_asked_for_are_published(history):
    history.settings = settings(history.directory, products__lead_hours=(0, 24))
    ended = history.run()
    manifest = Manifest.from_json(history.store.get(ended.manifest_key))
    assert manifest.lead_hours == (0, 24)
    assert {one.lead_hours for one in manifest.objects} - {None} == {0, 24}


def test_a_lead_time_that_the_model_does_not_make_is_refused(history):
    history.settings = settings(history.directory, products__lead_hours=(0, 18))
    with pytest.raises(ProductError, match=r"expected lead times out of \[0, 12, 24, 36, 48\] h, got \[18\]"):
        history.run()


class Killed(BaseException):
    """Ends a run as a kill would: nothing is recorded any more."""


def stopped_at(monkeypatch, module, name: str) -> None:
    """Break off just before something is done."""

    def killed(*_args, **_options):
        raise Killed

    monkeypatch.setattr(module, name, killed)
    monkeypatch.setattr(worker, "_left_in_the_right_state", _as_a_kill_leaves_it)
    monkeypatch.setattr("ops.process.is_dead", lambda _owner: True)
    monkeypatch.setattr("ops.recorder.Recorder._end", lambda *_: None)


def _as_a_kill_leaves_it(_recorder):
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("ops.stages", "_record_analysis"),
        ("ops.stages", "_publish"),
        ("ops.stages", "_record_losses"),
        ("ops.stages", "finish"),
        ("ops.stages", "_object_of"),
        ("ops.recorder.Recorder", "publish"),
    ],
)
def test_broken_off_at_any_step_the_next_run_ends_the_same(history, undisturbed, monkeypatch, module, name):
    from pkgutil import resolve_name

    with monkeypatch.context() as patch:
        stopped_at(patch, resolve_name(module), name)
        with pytest.raises(Killed):
            history.run()
    assert history.rows()[0].state == "running"
    monkeypatch.setattr("ops.process.is_dead", lambda _owner: True)
    history.run()
    assert history.contents() == undisturbed
    assert [row.state for row in history.rows()] == ["published"]
    listed = {row.key for row in history.told(products.of_run, history.rows()[0].id)}
    there = {info.key for info in history.store.list()}
    beside = ("latest.json", "status.json", "index.html", "catalog.json")
    assert listed == {key for key in there if not key.endswith(beside) and not key.startswith("stac/")}


def test_begun_afresh_an_unended_run_is_cancelled_and_all_is_done_again(history):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=24))
    again = FakeForecaster()
    ended = history.run(again, fresh=True)
    assert again.started_from == [0]
    states = {row.id: row.state for row in history.rows()}
    assert states == {ended.run_id: "published", ended.run_id.removesuffix("-2"): "cancelled"}
    assert ended.run_id.endswith("-2")


def test_while_a_live_process_has_the_run_a_second_one_is_told_so(history):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=12))
    run_id = history.rows()[0].id
    elsewhere = Owner("another-host", 4711, "boot/1")
    with db.writing(history.engine()) as session:
        leases.acquire(session, run_id, elsewhere, datetime.now(UTC), lambda _owner: False)
    with pytest.raises(db.LeaseHeld, match="process 4711 on another-host") as told:
        history.run()
    assert explained(told.value).exit_code == 5
    with pytest.raises(db.LeaseHeld):
        history.run(fresh=True)


def test_of_two_at_the_same_time_one_runs_and_one_is_told(history):
    outcomes: list[object] = []
    begun, go_on = threading.Event(), threading.Event()

    class Slow(FakeForecaster):
        def start(self, *arguments):
            begun.set()
            go_on.wait(30)
            return super().start(*arguments)

    first = threading.Thread(target=lambda: outcomes.append(history.run(Slow())))
    first.start()
    assert begun.wait(60)
    with pytest.raises(db.LeaseHeld, match="is being run by process"):
        history.run()
    go_on.set()
    first.join()
    assert [outcome.already for outcome in outcomes] == [False]


def test_a_worker_whose_run_was_taken_over_publishes_nothing_more(history):
    class TakenOver(FakeForecaster):
        def start(self, *arguments):
            row = history.rows()[0]
            later = datetime.now(UTC) + timedelta(hours=1)
            with db.writing(history.engine()) as session:
                leases.acquire(session, row.id, Owner("another-host", 1, "boot/1"), later, lambda _owner: False)
            return super().start(*arguments)

    with pytest.raises(db.LeaseLost):
        history.run(TakenOver())
    row = history.rows()[0]
    assert (row.state, row.lease_host) == ("running", "another-host")
    assert history.told(products.of_run, row.id) == []
    assert not [info for info in history.store.list() if info.key.endswith("manifest.json")]


def test_a_damaged_saved_analysis_is_fetched_again(history, undisturbed):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=24))
    saved = next(history.settings.paths.work.rglob("analysis.nc"))
    saved.write_bytes(saved.read_bytes()[:-1000])
    history.run()
    assert history.contents() == undisturbed


def test_a_published_run_leaves_no_restart_files(history):
    history.run()
    assert list(history.settings.paths.work.rglob("restart")) == []
    assert len(list(history.settings.paths.work.rglob("analysis.nc"))) == 1


def test_a_file_that_is_no_analysis_never_reaches_the_model(history, tmp_path):
    bad = tmp_path / "bad.grib2"
    bad.write_bytes(b"GRIB" + bytes(200))
    history.settings = settings(history.directory, source__name="files", source__path=bad)
    forecaster = FakeForecaster()
    with pytest.raises(Exception, match=r"bad\.grib2") as refused:
        history.run(forecaster, cycle=datetime(2026, 1, 1, tzinfo=UTC))
    assert explained(refused.value).exit_code == 3
    assert forecaster.analyses == []
    row = history.rows()[0]
    assert row.state == "failed" and "bad.grib2" in row.error


def test_a_wrong_cycle_of_the_demo_is_refused(history):
    with pytest.raises(Exception, match="1959") as refused:
        history.run(cycle=datetime(2026, 1, 1, tzinfo=UTC))
    assert explained(refused.value).exit_code == 3


def test_an_unknown_model_is_told_before_any_run_exists(history):
    history.settings = settings(history.directory, forecast__model="nothing")
    with pytest.raises(Exception, match="no model named 'nothing'") as refused:
        history.run()
    assert isinstance(explained(refused.value), NotFound)
    assert history.rows() == []


def test_the_same_on_a_server(tmp_path, postgresql_url, undisturbed):
    from db import migrate

    migrate.upgrade(postgresql_url)
    history = History(tmp_path, database__url=postgresql_url)
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=24))
    history.run()
    assert history.contents() == undisturbed
    assert history.run().already


def test_the_same_in_an_s3_store(tmp_path, s3_environment):
    url = f"s3://{s3_environment.new_bucket()}/forecasts"
    history = History(tmp_path, store__url=url, store__endpoint_url=s3_environment.endpoint_url)
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=24))
    ended = history.run()
    assert ended.store_url == url
    assert history.run().already
