"""What may be removed, and above all what may not."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publish.manifest import Manifest
from publish.removal import StillLatest, remove
from publish.retention import Policy, Standing, StoredRun, expired
from publish.stores import LocalStore, StoreUnavailable
from tests.publish.frames import make_run
from tests.publish.test_publisher import CuttingStore, publish_all

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)

moments = st.integers(0, 400 * 4).map(lambda quarter: NOW - quarter * DAY / 4)
days = st.none() | st.integers(0, 100).map(float)
policies = st.builds(
    Policy,
    keep_days=days,
    by_product=st.dictionaries(st.sampled_from("ab"), st.integers(0, 100).map(float)),
    first_of_month=st.booleans(),
    superseded_days=days,
    retracted_days=days,
    unfinished_days=days,
)
stored = st.builds(
    StoredRun,
    run_id=st.uuids().map(str),
    line=st.sampled_from("ab"),
    init_time=moments,
    ended_at=moments,
    standing=st.sampled_from(Standing),
    pinned=st.booleans(),
    latest=st.booleans(),
)
histories = st.lists(stored, max_size=12, unique_by=lambda run: run.run_id)


def run(days_ago: float, **changes: object) -> StoredRun:
    moment = NOW - days_ago * DAY
    return replace(StoredRun(f"run-{days_ago}", "a", moment, moment, Standing.COMPLETE), **changes)


@given(histories, policies)
def test_what_is_pinned_or_latest_stays(runs: list[StoredRun], policy: Policy):
    assert not [one for one in expired(runs, policy, NOW) if one.pinned or one.latest]


@given(histories, policies)
def test_what_goes_is_older_than_its_rule_and_there_is_a_rule(runs: list[StoredRun], policy: Policy):
    for one in expired(runs, policy, NOW):
        limit = policy.days(one)
        assert limit is not None
        assert NOW - one.ended_at > timedelta(days=limit)


@given(histories, policies)
def test_nothing_that_goes_at_a_time_stays_later(runs: list[StoredRun], policy: Policy):
    later = expired(runs, policy, NOW + 30 * DAY)
    assert {one.run_id for one in expired(runs, policy, NOW)} <= {one.run_id for one in later}


@given(histories, policies)
def test_after_it_is_done_nothing_more_is_to_do(runs: list[StoredRun], policy: Policy):
    gone = expired(runs, policy, NOW)
    assert expired([one for one in runs if one not in gone], policy, NOW) == []


@given(histories, policies)
def test_every_month_of_a_line_with_a_complete_run_keeps_one(runs: list[StoredRun], policy: Policy):
    def months(of: list[StoredRun]) -> set[tuple[str, int, int]]:
        complete = [one for one in of if one.standing is Standing.COMPLETE]
        return {(one.line, one.init_time.year, one.init_time.month) for one in complete}

    left = [one for one in runs if one not in expired(runs, replace(policy, first_of_month=True), NOW)]
    assert months(left) == months(runs)


@given(histories, policies)
def test_the_order_of_the_history_makes_no_difference(runs: list[StoredRun], policy: Policy):
    assert expired(runs, policy, NOW) == expired(runs[::-1], policy, NOW)


def test_a_product_line_has_a_rule_of_its_own():
    policy = Policy(keep_days=10, by_product={"short": 2}, first_of_month=False)
    runs = [run(3, line="short"), run(5), run(11)]
    assert [one.run_id for one in expired(runs, policy, NOW)] == ["run-11", "run-3"]


def test_a_run_is_kept_to_the_end_of_its_last_day():
    assert expired([run(10)], Policy(keep_days=10, first_of_month=False), NOW) == []
    assert expired([run(10)], Policy(keep_days=10, first_of_month=False), NOW + timedelta(seconds=1)) == [run(10)]


def test_without_a_rule_everything_stays():
    assert expired([run(3650)], Policy(), NOW) == []


def test_removed_in_such_an_order_that_no_document_ever_names_what_is_gone(tmp_path):
    whole = LocalStore(tmp_path / "whole")
    manifest = publish_all(whole, make_run(lead_hours=(6,)))
    key = next(info.key for info in whole.list() if info.key.endswith("manifest.json"))
    of_the_run = list(whole.list(key.removesuffix("manifest.json")))
    count = len(of_the_run)
    for changes in range(count + 1):
        directory = tmp_path / f"cut-{changes}"
        survivor = LocalStore(directory)
        for info in of_the_run:
            survivor.put(info.key, whole.path(info.key))
        keys = {each.key for each in manifest.objects}
        with suppress(StoreUnavailable):
            remove(CuttingStore(directory, changes), manifest.run_id, keys)
        left = {info.key for info in survivor.list()}
        if key in left:
            assert keys <= left
        for document in (each for each in left if each.endswith("status.json")):
            assert keys <= left, document
        for index in (each for each in left if each.endswith(".index") and each in keys):
            assert index.replace(".index", ".grib2") in left
        remove(survivor, manifest.run_id, keys)
        assert list(survivor.list()) == []


def test_what_the_pointer_names_is_not_removed(tmp_path):
    store = LocalStore(tmp_path)
    manifest = publish_all(store, make_run(lead_hours=(6,)))
    key = next(info.key for info in store.list() if info.key.endswith("manifest.json"))
    with pytest.raises(StillLatest, match="run-1"):
        remove(store, "run-1", {each.key for each in manifest.objects})
    assert Manifest.from_json(store.get(key)) == manifest
