"""What is tried again and when: laws of the pure rules."""

from datetime import UTC, datetime, timedelta

import pytest

from ops.executors import retries
from ops.executors.base import Kind
from ops.executors.retries import RunRule, StageRule
from ops.worker_settings import WorkerSettings

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
RULE = RunRule(tries=4, pause=timedelta(minutes=1), longest_pause=timedelta(minutes=3))


def story(rule: RunRule, *kinds: Kind) -> list[timedelta | None]:
    """How long after each end in turn the next try comes."""
    failures, pauses = 0, []
    for kind in kinds:
        failures = retries.failures_after(kind, failures)
        at = retries.next_try_at(rule, kind, failures, NOW)
        pauses.append(None if at is None else at - NOW)
    return pauses


def test_pauses_double_up_to_the_longest_and_then_the_run_is_left_to_people():
    minutes = [None if one is None else one / timedelta(minutes=1) for one in story(RULE, *[Kind.FAILED] * 4)]
    assert minutes == [1, 2, 3, None]


@pytest.mark.parametrize("kind", sorted(retries.FAILURES))
def test_every_kind_of_failure_makes_poison_in_the_end(kind):
    assert story(RULE, *[kind] * 4)[-1] is None
    assert retries.is_poison(RULE, kind, 4) and not retries.is_poison(RULE, kind, 3)


def test_an_interrupted_run_goes_on_at_once_however_often():
    assert story(RULE, *[Kind.INTERRUPTED] * 50) == [timedelta(0)] * 50


def test_an_interruption_between_failures_neither_counts_nor_makes_good():
    assert story(RULE, Kind.FAILED, Kind.INTERRUPTED, Kind.FAILED) == [
        timedelta(minutes=1),
        timedelta(0),
        timedelta(minutes=2),
    ]


def test_what_is_published_or_taken_over_is_not_tried_again():
    assert story(RULE, Kind.PUBLISHED, Kind.TAKEN) == [None, None]


def test_a_good_end_wipes_out_the_failures_before_it():
    assert retries.failures_after(Kind.PUBLISHED, 3) == 0


def test_a_very_long_row_of_failures_is_no_overflow():
    patient = RunRule(10_000, timedelta(minutes=1), timedelta(hours=1))
    assert retries.next_try_at(patient, Kind.FAILED, 5_000, NOW) == NOW + timedelta(hours=1)


def test_each_stage_has_its_own_rule():
    settings = WorkerSettings(fetch_tries=2, fetch_seconds=7, finish_tries=9, pause_seconds=3)
    assert StageRule.of(settings, "fetch") == StageRule(2, 7, 3)
    assert StageRule.of(settings, "finish").tries == 9


def test_a_stage_is_tried_as_often_as_it_may_with_growing_pauses():
    rule = StageRule(tries=4, seconds=60, pause_seconds=5)
    assert [retries.pause_before(rule, tries) for tries in (1, 2, 3, 4)] == [5, 10, 20, None]


def test_batches_are_halved_down_to_one_member():
    batch, seen = 50, []
    while batch:
        seen.append(batch)
        batch = retries.smaller_batch(batch)
    assert seen == [50, 25, 12, 6, 3, 1]
