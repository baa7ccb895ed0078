"""What becomes of published runs: the store and the history tell the same, and readers are never misled."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

import db
from db import leases, products, publications, runs
from ops.clock import utc_now
from ops.publications import carry_out, plan_removal, retract
from publish.layout import LATEST, status_of
from publish.retention import Policy
from publish.status import State, Status
from publish.verify import check, latest_manifest
from tests.ops.fakes import FakeForecaster, settings
from tests.ops.histories import History

ALL = Policy(keep_days=0, first_of_month=False, superseded_days=0, retracted_days=0, unfinished_days=0)


@pytest.fixture
def history(tmp_path) -> History:
    return History(tmp_path, forecast__days=0.5)


def status(history: History, manifest_key: str) -> Status:
    return Status.from_json(history.store.get(status_of(manifest_key)))


def pointed(history: History) -> str:
    return json.loads(history.store.get(LATEST))["run_id"]


def other_configuration(history: History) -> None:
    history.settings = settings(history.directory, forecast__days=0.5, forecast__members=2)


def test_a_retracted_run_is_told_as_such_and_run_again_under_another_name(history):
    first = history.run()
    done = retract(history.engine(), history.store, first.run_id, "wrong sea surface", utc_now)
    assert (done.latest, done.restored) == (None, ())
    told = status(history, first.manifest_key)
    assert (told.state, told.reason) == (State.RETRACTED, "wrong sea surface")
    assert history.store.head(LATEST) is None
    assert [(one.kind, one.message) for one in history.told(runs.events, first.run_id)][-1] == (
        "retracted",
        "wrong sea surface",
    )
    again = history.run()
    assert not again.already and again.run_id != first.run_id
    assert again.manifest_key != first.manifest_key
    assert pointed(history) == again.run_id
    assert check(history.store, *latest_manifest(history.store)).problems == ()
    assert status(history, first.manifest_key).state is State.RETRACTED
    page, items = status_of(first.manifest_key).replace("status.json", "index.html"), history.store.list("stac/")
    assert b"This run is retracted.</strong> wrong sea surface" in history.store.get(page)
    assert len([info for info in items if not info.key.endswith("collection.json")]) == 1


def test_a_newer_run_of_the_cycle_supersedes_and_retracted_gives_the_place_back(history):
    first = history.run()
    other_configuration(history)
    second = history.run()
    told = status(history, first.manifest_key)
    assert (told.state, told.superseded_by) == (State.SUPERSEDED, second.run_id)
    assert pointed(history) == second.run_id
    done = retract(history.engine(), history.store, second.run_id, "too few members", utc_now)
    assert (done.latest, done.restored) == (first.run_id, (first.run_id,))
    assert status(history, first.manifest_key).state is State.COMPLETE
    assert pointed(history) == first.run_id
    rows = {row.id: row for row in history.rows()}
    assert rows[first.run_id].superseded_by is None and rows[second.run_id].retracted_at is not None
    assert retract(history.engine(), history.store, second.run_id, "too few members", utc_now).latest == first.run_id


def test_another_product_line_of_the_cycle_supersedes_nothing(history):
    first = history.run()
    history.settings = settings(history.directory, forecast__days=0.5, products__product="experiment")
    history.run()
    assert status(history, first.manifest_key).state is State.COMPLETE


def test_what_is_not_published_cannot_be_retracted_or_pinned(history):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=12))
    run_id = history.rows()[0].id
    with pytest.raises(db.IllegalTransition, match="is failed, and not published"):
        retract(history.engine(), history.store, run_id, "reason", utc_now)
    with pytest.raises(db.IllegalTransition), db.writing(history.engine()) as session:
        publications.pin(session, run_id, True, utc_now())


def test_runs_kept_long_enough_go_and_the_history_says_when(history):
    first = history.run()
    other_configuration(history)
    second = history.run()
    later = lambda: utc_now() + timedelta(days=1)  # noqa: E731
    planned = plan_removal(history.engine(), history.store, ALL, later)
    assert [one.run_id for one in planned] == [first.run_id]
    assert planned[0].objects == first.products
    carry_out(history.engine(), history.store, planned, later)
    left = {info.key for info in history.store.list()}
    assert not [key for key in left if key.startswith(first.manifest_key.rpartition("/")[0] + "/")]
    assert check(history.store, *latest_manifest(history.store)).problems == ()
    assert all(row.deleted_at is not None for row in history.told(products.of_run, first.run_id))
    assert all(row.deleted_at is None for row in history.told(products.of_run, second.run_id))
    assert history.told(runs.events, first.run_id)[-1].kind == "pruned"
    assert plan_removal(history.engine(), history.store, ALL, later) == []


def test_a_pinned_run_stays(history):
    first = history.run()
    with db.writing(history.engine()) as session:
        publications.pin(session, first.run_id, True, utc_now())
    other_configuration(history)
    history.run()
    later = lambda: utc_now() + timedelta(days=1000)  # noqa: E731
    assert plan_removal(history.engine(), history.store, ALL, later) == []
    with db.writing(history.engine()) as session:
        publications.pin(session, first.run_id, False, utc_now())
    assert [one.run_id for one in plan_removal(history.engine(), history.store, ALL, later)] == [first.run_id]


def test_what_a_cancelled_run_left_goes_without_the_run_that_took_its_place(history):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=12))
    ended = history.run(fresh=True)
    later = lambda: utc_now() + timedelta(days=1)  # noqa: E731
    planned = plan_removal(history.engine(), history.store, ALL, later)
    assert [one.standing for one in planned] == ["unfinished"]
    carry_out(history.engine(), history.store, planned, later)
    manifest = latest_manifest(history.store)
    assert check(history.store, *manifest).problems == ()
    assert pointed(history) == ended.run_id


def test_what_a_failed_run_left_goes_with_its_status_and_the_run_begins_again(history):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=12))
    later = lambda: utc_now() + timedelta(days=1)  # noqa: E731
    assert list(history.store.list())
    carry_out(history.engine(), history.store, plan_removal(history.engine(), history.store, ALL, later), later)
    assert list(history.store.list()) == []
    history.run()
    assert check(history.store, *latest_manifest(history.store)).problems == ()


def test_a_run_that_goes_on_is_not_removed(history):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=12))
    planned = plan_removal(history.engine(), history.store, ALL, lambda: utc_now() + timedelta(days=1))
    elsewhere = leases.Owner("another-host", 4711, "boot/1")
    with db.writing(history.engine()) as session:
        leases.acquire(session, planned[0].run_id, elsewhere, utc_now(), lambda _owner: False)
    before = history.contents()
    with pytest.raises(db.LeaseHeld):
        carry_out(history.engine(), history.store, planned, utc_now)
    assert history.contents() == before


def test_manifests_are_signed_with_the_key_of_the_configuration(history):
    from publish.signature import create_key

    path = Path(history.directory) / "key.pem"
    signer = create_key(path)
    history.settings = settings(history.directory, forecast__days=0.5, signing__key=path)
    history.run()
    assert check(history.store, *latest_manifest(history.store)).signed_by == signer.public_key


def test_the_command_line_tells_and_does_the_same(history, monkeypatch, capsys):
    from tests.ops.test_cli import Shell

    ended = history.run()
    name = "SIGMACAST_DATABASE__URL"
    monkeypatch.setenv(name, history.settings.database.url.get_secret_value())
    monkeypatch.setenv("SIGMACAST_STORE__URL", history.settings.store.url)
    monkeypatch.setenv("SIGMACAST_RETENTION__RETRACTED_DAYS", "0")
    shell = Shell(monkeypatch, capsys)
    capsys.readouterr()
    for target in ("latest", history.settings.store.url, history.store.url, history.store.path(ended.manifest_key)):
        assert shell.json("products", "verify", str(target))["problems"] == [], target
    assert shell.json("products", "link", ended.run_id)["links"][ended.manifest_key].startswith("file://")
    assert shell("products", "link", LATEST, "--expires", "8d") == 2
    assert shell("products", "key") == 2
    monkeypatch.setenv("SIGMACAST_SIGNING__KEY", str(history.directory / "new.pem"))
    assert shell("products", "key", "--create") == 0 and "BEGIN PUBLIC KEY" in shell.out
    assert shell.json("products", "pin", "latest")["pinned"] is True
    assert shell.json("products", "unpin", "latest")["pinned"] is False
    assert shell.json("products", "prune")["runs"] == []
    assert shell("products", "retract", ended.run_id) == 2
    assert shell("products", "retract", ended.run_id, "--reason", "a test") == 0 and "is retracted" in shell.out
    assert shell("products", "verify", ended.run_id) == 1 and "was retracted: a test" in shell.err
    assert [one["standing"] for one in shell.json("products", "prune")["runs"]] == ["retracted"]
    assert shell("products", "prune", "--yes") == 0 and "1 runs" in shell.out
    assert [info.key for info in history.store.list()] == []
    assert shell("products", "verify", ended.run_id) == 1 and "was removed" in shell.err


def test_the_same_in_an_s3_store(tmp_path, s3_environment):
    url = f"s3://{s3_environment.new_bucket()}/forecasts"
    options = {"store__url": url, "store__endpoint_url": s3_environment.endpoint_url, "forecast__days": 0.5}
    history = History(tmp_path, **options)
    ended = history.run()
    store = history.settings.store.open()
    assert check(store, *latest_manifest(store)).problems == ()
    retract(history.engine(), store, ended.run_id, "a test", utc_now)
    planned = plan_removal(history.engine(), store, ALL, lambda: utc_now() + timedelta(days=1))
    carry_out(history.engine(), store, planned, utc_now)
    assert list(store.list()) == []
