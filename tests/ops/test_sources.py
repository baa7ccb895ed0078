"""Runs that start from feeds: plan, members, resuming, what is told of a degraded start, and the commands of ingest."""

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

import db
from db import arrivals, products
from ingest.cache import InputCache
from ingest.errors import NotYetAvailable
from ingest.feed import Availability, Item
from ingest.source import ModelNeeds
from ops import sources
from ops.arrivals import Arrivals
from ops.errors import ConfigurationError, ExitCode
from ops.starts import Starter
from publish.manifest import Manifest
from tests.ingest.memory_feeds import MemoryFeed, ecmwf_fields, gfs_fields
from tests.ops.fakes import FakeForecaster, save_model, settings
from tests.ops.histories import History
from tests.ops.test_cli import TINY, Shell

CYCLE = datetime(2020, 3, 1, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def feeds(tmp_path, monkeypatch):
    """The feeds that the configuration opens, by name and member."""
    made = {
        ("ecmwf", 0): MemoryFeed("ecmwf", ecmwf_fields(), tmp_path),
        ("gfs", 0): MemoryFeed("gfs", gfs_fields(), tmp_path),
    }

    def feed(name, settings, cache, clock, member=0):
        if (name, member) not in made:
            fields = {key: values + 0.1 * member if key[0] == "t" else values for key, values in ecmwf_fields().items()}
            made[name, member] = MemoryFeed(name, fields, tmp_path, member)
        return made[name, member]

    monkeypatch.setattr(sources, "feed", feed)
    return made


@pytest.fixture
def history(tmp_path, feeds):
    return History(tmp_path / "run", source__name="ecmwf")


def run(history, forecaster=None, **options):
    return history.run(forecaster or FakeForecaster(), cycle=CYCLE, **options)


def manifest_of(history, ended) -> dict:
    return Manifest.from_json(history.store.get(ended.manifest_key)).provenance


def test_the_plan_and_the_age_and_hash_of_every_input_go_into_the_history_and_the_manifest(history):
    ended = run(history)
    told = manifest_of(history, ended)
    assert told["plan"] == history.rows()[0].provenance["plan"]
    assert told["plan"]["chain"] == ["ecmwf", "gfs"] and told["degraded"] == []
    assert {one["source"]: (one["valid_time"], len(one["sha256"])) for one in told["inputs"]} == {
        name: (CYCLE.isoformat(), 64) for name in ("ecmwf", "gfs")
    }
    assert all(one["retrieved_at"] for one in told["inputs"])
    rows = history.told(products.inputs, ended.run_id)
    assert {one.source for one in rows} == {"ecmwf", "gfs"}
    assert all(one.provenance["retrieved_at"] for one in rows)


def test_a_degraded_start_is_marked_in_manifest_and_files(tmp_path, feeds):
    feeds["ecmwf", 0].late = {CYCLE}
    history = History(tmp_path / "run", source__name="ecmwf", ingest__degraded=("next_source",))
    ended = run(history)
    (entry,) = {one["mode"]: one for one in manifest_of(history, ended)["degraded"]}.values()
    assert entry["mode"] == "next_source" and "ecmwf has not published" in entry["why"]
    import xarray as xr

    key = next(info.key for info in history.store.list() if info.key.endswith(".nc"))
    with xr.open_dataset(history.store.path(key)) as dataset:
        assert json.loads(dataset.attrs["degraded"])[0]["mode"] == "next_source"


def test_the_model_is_told_the_age_of_a_previous_analysis(tmp_path, feeds):
    feeds["ecmwf", 0].late = {CYCLE}
    history = History(tmp_path / "run", source__name="ecmwf", ingest__degraded=("previous_analysis",))
    forecaster = FakeForecaster()
    run(history, forecaster)
    assert forecaster.initial.age == 6 * HOUR


def test_a_start_that_is_not_there_yet_fails_the_run_and_the_next_try_goes_on(history, feeds):
    feeds["ecmwf", 0].late = {CYCLE}
    with pytest.raises(NotYetAvailable, match="ecmwf lacks all 70 fields"):
        run(history)
    assert history.rows()[0].state == "failed"
    feeds["ecmwf", 0].late = set()
    run(history)
    assert [row.state for row in history.rows()] == ["published"]


@pytest.fixture
def ensemble(tmp_path, feeds):
    return History(tmp_path / "run", source__name="ecmwf", ingest__initial_conditions="ens")


def test_each_member_starts_from_its_perturbed_analysis_and_is_recorded_with_its_hash(ensemble):
    forecaster = FakeForecaster()
    ended = run(ensemble, forecaster)
    initial = forecaster.initial
    for member in (1, 2):
        warmth = forecaster.starts[member]["air_temperature"] - initial.control["air_temperature"]
        np.testing.assert_allclose(warmth.sel(level=500), 0.1 * member, atol=5e-3)
    told = manifest_of(ensemble, ended)
    assert set(told["members"].values()) == set(initial.hashes) and len(set(initial.hashes)) == 2
    uris = [one.uri for one in ensemble.told(products.inputs, ended.run_id)]
    assert sum("#member=" in uri for uri in uris) == 2 and len(uris) == 4


def test_a_resumed_ensemble_starts_from_what_was_saved_and_asks_nobody(ensemble, feeds):
    first, again = FakeForecaster(fail_at=24), FakeForecaster()
    with pytest.raises(RuntimeError, match="device fell off"):
        run(ensemble, first)
    asked = {key: (len(feed.asked), len(feed.fetched)) for key, feed in feeds.items()}
    run(ensemble, again)
    assert {key: (len(feed.asked), len(feed.fetched)) for key, feed in feeds.items()} == asked
    assert again.initial.hashes == first.initial.hashes
    assert again.starts[2].equals(first.starts[2]) and not again.starts[2].equals(again.starts[1])
    assert not list((ensemble.directory / "work").rglob("analysis-*.nc"))


def test_a_fetch_cut_between_members_goes_on_with_the_next_by_the_same_plan(ensemble, feeds, tmp_path):
    late = feeds["ecmwf", 2] = MemoryFeed("ecmwf", ecmwf_fields(), tmp_path, 2, late={CYCLE})
    with pytest.raises(NotYetAvailable, match="member 2"):
        run(ensemble)
    late.late = set()
    run(ensemble)
    assert len(feeds["ecmwf", 1].fetched) == len(feeds["ecmwf", 0].fetched) == 1


def test_control_and_perturbed_starts_are_different_runs(ensemble, feeds):
    first = run(ensemble)
    ensemble.settings = settings(ensemble.directory, source__name="ecmwf")
    assert run(ensemble).run_id != first.run_id


def test_memory_does_not_grow_with_the_members(tmp_path, feeds):
    def fetch(members: int) -> None:
        directory = Path(mkdtemp(dir=tmp_path))
        wanted = settings(directory, source__name="ecmwf", ingest__initial_conditions="ens")
        chain = sources.chain(wanted, _engine(directory), lambda: CYCLE, _ignore)
        Starter(chain, CYCLE, ModelNeeds(32, 16), members, directory).fetched()

    def peak(members: int) -> int:
        tracemalloc.start()
        try:
            fetch(members)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    fetch(4)
    few, many = peak(2), peak(4)
    assert many < 1.1 * few


def _ignore(feed, had, total):
    pass


def _engine(directory: Path):
    from db import migrate

    engine = db.engine(f"sqlite:///{directory}/arrivals.db")
    migrate.upgrade_engine(engine)
    return engine


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"source__name": "ecmwf", "ingest__chain": ("gfs", "ecmwf")}, "begin with the source ecmwf"),
        ({"source__name": "gfs", "ingest__initial_conditions": "ens"}, "no perturbed analyses"),
        ({"source__name": "demo", "ingest__initial_conditions": "ens"}, "no perturbed analyses"),
        ({"source__name": "metoffice"}, "metoffice"),
        ({"source__name": "ecmwf", "ecmwf__mirrors": ("azur",)}, "ecmwf.mirrors"),
    ],
)
def test_a_source_that_cannot_be_is_a_mistake_in_the_configuration(tmp_path, options, text):
    with pytest.raises(ConfigurationError, match=text):
        sources.opened(settings(tmp_path, **options), _engine(tmp_path), lambda: CYCLE, _ignore)


def test_a_mirror_is_known_by_its_address_without_credentials(tmp_path):
    given = settings(tmp_path, source__name="ecmwf", ecmwf__mirrors=("https://user:secret@host/data", "aws"))
    feed = sources.feed("ecmwf", given, InputCache(tmp_path / "inputs", 1), lambda: CYCLE)
    first, second = feed.mirrors.in_order()
    assert (first.name, first.url) == ("https://host/data", "https://user:secret@host/data")
    assert second.name == "aws" and second.url.startswith("https://")


def test_a_cycle_is_expected_when_its_like_have_come_before(tmp_path):
    engine, item = _engine(tmp_path), frozenset([Item("air_temperature", 500)])
    for day in range(1, 11):
        cycle = CYCLE - timedelta(days=day)
        for offset, missing in ((3 * HOUR, item), (4 * HOUR, frozenset())):
            Arrivals(engine, lambda at=cycle + offset: at)("gfs", Availability(cycle, item - missing, missing))
    declared = Availability(CYCLE, frozenset(), item, CYCLE + 9 * HOUR)
    assert Arrivals(engine, lambda: CYCLE + HOUR)("gfs", declared).expected_at == CYCLE + 4 * HOUR
    assert Arrivals(engine, lambda: CYCLE + 5 * HOUR)("gfs", declared).expected_at is None
    assert Arrivals(engine, lambda: CYCLE + HOUR)("ecmwf", declared).expected_at == CYCLE + 9 * HOUR
    with db.reading(engine) as session:
        assert arrivals.habit(session, "gfs", CYCLE.hour).count == 10


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys, feeds) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name, value in TINY.items():
        monkeypatch.setenv(name, value)
    save_model(Path("var/models"))
    return Shell(monkeypatch, capsys)


INGEST = ("--cycle", "2020-03-01T06", "--source", "ecmwf")


def test_the_plan_is_a_table_that_people_can_read(shell, feeds):
    assert shell("ingest", "plan", *INGEST) == ExitCode.OK, shell.err
    lines = [" ".join(line.split()) for line in shell.out.splitlines()]
    assert "air_temperature 1-7 hPa fetch gfs as given" in lines
    assert "geopotential 1-7 hPa derive gfs thickness above 10 hPa placed on the geopotential there" in lines
    levels = "20, 30, 70, 125, 175, 225, 350, 450, 550, 650, 750-825, 875, 900, 950, 975 hPa"
    assert f"eastward_wind {levels} fill - linear in log pressure between the levels given" in lines
    assert feeds["ecmwf", 0].asked == []
    document = shell.json("ingest", "plan", *INGEST)
    assert document["schema"] == "sigmacast-plan/1"


def test_check_tells_what_is_missing_and_when_it_comes_and_ends_with_three(shell, feeds):
    assert shell("ingest", "check", *INGEST) == ExitCode.OK
    assert "is as planned" in shell.out
    feeds["ecmwf", 0].missing = {Item("eastward_wind", 500)}
    assert shell("ingest", "check", *INGEST) == ExitCode.INPUT_REFUSED
    assert "69/70" in shell.out and "eastward_wind at 500 hPa" in shell.out and "2020-03-01T10:00:00Z" in shell.out


def test_fetched_files_are_listed_with_their_hashes(shell):
    assert shell("ingest", "fetch", *INGEST) == ExitCode.OK, shell.err
    assert "memory://gfs" in shell.out and "2 files" in shell.out
    assert [one["source"] for one in shell.json("ingest", "fetch", *INGEST)["files"]] == ["ecmwf", "gfs"]


def test_a_run_that_must_wait_ends_with_three_and_says_for_what_and_until_when(shell, feeds):
    feeds["ecmwf", 0].late = {CYCLE}
    code = shell("run", "--source", "ecmwf", "--cycle", "2020-03-01T06", "--days", "1", "--members", "2")
    assert code == ExitCode.INPUT_REFUSED
    assert "ecmwf lacks all 70 fields" in shell.err and "expected 2020-03-01 10:00 UTC" in shell.err


def test_a_source_without_feeds_has_no_plan(shell):
    assert shell("ingest", "plan", "--source", "demo") == ExitCode.USAGE
    assert "gfs, ecmwf, era5" in shell.err
