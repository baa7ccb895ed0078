"""A replay makes a run again from what is on record, whatever is configured now, and tells what came out otherwise."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import db
from db import products, runs
from ops import replay as replaying
from ops.clock import utc_now
from ops.errors import InputRefused, NotFound, RunFailed
from ops.progress import LogProgress
from ops.replay import Replay
from tests.ops import fakes
from tests.ops.fakes import FakeForecaster, settings
from tests.ops.histories import History

SMALL = {"forecast__days": 0.5, "forecast__members": 2}


@pytest.fixture
def history(tmp_path) -> History:
    return History(tmp_path, **SMALL)


def replay(history: History, name: str = "latest", forecaster: FakeForecaster | None = None, **options) -> Replay:
    configured = settings(history.directory, **(SMALL | options))
    return replaying.replay(configured, name, forecaster or FakeForecaster(), LogProgress(), utc_now)


def test_a_replay_is_the_same_byte_for_byte_whatever_is_configured_since(history):
    ended = history.run()
    before = history.contents()
    listed = {one.key for one in history.told(products.of_run, ended.run_id)}
    found = replay(history, forecast__members=5, products__levels=(1000,), products__formats=("netcdf",))
    assert found.identical and found.changed == {}
    assert found.same == len(listed) - 1
    assert found.analysis == "kept since the run"
    event = history.told(runs.events, ended.run_id)[-1]
    assert (event.kind, event.message) == ("replay", f"replayed: all {found.same} products are the same, byte for byte")
    assert history.contents() == before
    assert [row.id for row in history.rows()] == [ended.run_id]
    assert list(history.settings.paths.work.glob("replay-*")) == []


def test_a_replay_that_gives_other_values_tells_which_products_differ_and_by_how_much(history, monkeypatch):
    history.settings = settings(history.directory, **SMALL, products__formats=("grib2", "netcdf"))
    history.run()
    monkeypatch.setattr(fakes, "frame", _with_offset(fakes.frame))
    found = replay(history)
    assert not found.identical
    told = {Path(one.key).name: one.how for one in found.differences}
    assert all("differ" in how for name, how in told.items() if name.endswith((".grib2", ".nc")))
    assert told["19590102000000-12h-enfo-ef.nc"] == "1 of 9 variables differ, most of all z, by up to 246"
    assert told["19590102000000-12h-oper-fc.grib2"].startswith(
        "1 of 1 messages differ, most of all z at 500 isobaricInhPa, 12 h member 0, by up to 246"
    )
    event = history.told(runs.events, history.rows()[0].id)[-1]
    assert f"{len(found.differences)} of {found.same + len(found.differences)} products differ" in event.message


def test_a_product_that_is_gone_from_the_store_is_compared_by_its_recorded_hash(history, monkeypatch):
    history.run()
    for path in Path(history.settings.store.url).rglob("*.nc"):
        path.unlink()
    assert replay(history).identical
    monkeypatch.setattr(fakes, "frame", _with_offset(fakes.frame))
    told = {one.key: one.how for one in replay(history).differences}
    assert all("not in the store any more" in how for key, how in told.items() if key.endswith(".nc"))


def _with_offset(real):
    return lambda spec, lead, members: real(spec, lead, members, 0.25)


def test_an_analysis_that_was_not_kept_is_fetched_again(history):
    ended = history.run()
    shutil.rmtree(history.settings.paths.work / ended.run_id)
    found = replay(history)
    assert found.identical and found.analysis == "fetched again, the same"


def test_an_input_that_is_another_file_now_is_named_and_nothing_is_replayed(history):
    ended = history.run()
    shutil.rmtree(history.settings.paths.work / ended.run_id)
    with db.writing(history.engine()) as session:
        for one in products.inputs(session, ended.run_id):
            one.sha256 = "0" * 64
    forecaster = FakeForecaster()
    with pytest.raises(InputRefused, match=r"era5_tl31_19590102T00\.nc has SHA-256 \w+ now, while SHA-256 0000"):
        replay(history, forecaster=forecaster)
    assert forecaster.started_from == []


def test_a_model_that_was_renamed_is_found_by_its_hash_and_one_that_is_gone_is_named(history):
    ended = history.run()
    models = history.settings.paths.models
    shutil.rmtree(models / "tiny")
    fakes.save_model(models, "renamed")
    assert replay(history).identical
    shutil.rmtree(models / "renamed")
    with pytest.raises(
        NotFound, match=f"the model of run {ended.run_id}, tiny with SHA-256 .* import that very archive"
    ):
        replay(history)


def test_only_a_published_run_is_replayed(history):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=12))
    with pytest.raises(RunFailed, match="is failed: only a published run has products to compare with"):
        replay(history, history.rows()[0].id)


def test_a_specification_that_this_version_does_not_know_is_refused_with_the_version_that_does(history):
    ended = history.run()
    with db.writing(history.engine()) as session:
        row = runs.get(session, ended.run_id)
        row.spec = row.spec | {"products": row.spec["products"] | {"hologram": True}}
        row.software = row.software | {"sigmacast": "9.1"}
    with pytest.raises(RunFailed, match=r"hologram.*It was made with sigmacast 9\.1: use that"):
        replay(history)


def test_other_versions_and_devices_are_told_and_do_not_stop_a_replay(history):
    ended = history.run()
    with db.writing(history.engine()) as session:
        row = runs.get(session, ended.run_id)
        row.device, row.software = "8 x other", row.software | {"numpy": "1.0"}
    found = replay(history)
    assert set(found.changed) == {"device", "numpy"}
    assert found.changed["device"] == ("8 x other", "1 x Imagination (fake)")
    assert all("attributes alone differ: software_versions" in one.how for one in found.differences)


def test_files_that_differ_in_nothing_but_one_value_are_told_apart_by_it(tmp_path):
    from publish.compare import difference

    for name, value in (("a.nc", 1.0), ("b.nc", 1.5)):
        values = np.array([0.0, value, np.nan])
        xr.Dataset({"t": ("x", values)}).to_netcdf(tmp_path / name)
    told = difference(tmp_path / "a.nc", tmp_path / "b.nc")
    assert told == "1 of 1 variables differ, most of all t, by up to 0.5"
