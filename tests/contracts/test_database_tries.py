"""Tries, orders and daemons; SQLite and PostgreSQL pass the same suite."""

from dataclasses import replace
from datetime import timedelta

import pytest

import db
from db import daemons, leases, orders, runs, tries
from db.states import RunState
from tests.contracts.histories import CYCLE, ME, NEW, NOW, OTHER, in_parallel, move_to, nobody_is_dead, state_of

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def waiting(history) -> str:
    """A run that a daemon made and that is ready."""
    with db.writing(history) as session:
        return runs.create(session, replace(NEW, next_try_at=NOW), NOW).id


def write(history, change, *arguments, **options):
    with db.writing(history) as session:
        return change(session, *arguments, **options)


def row(history, run_id):
    with db.reading(history) as session:
        return runs.get(session, run_id)


def place(history, count=3, purpose="hindcast", options=None):
    cycles = [CYCLE - 6 * number * HOUR for number in range(count)]
    return write(history, orders.place, cycles, purpose, options or {}, NOW)


def test_of_many_daemons_one_reserves_a_run(history, waiting):
    won = []

    def reserve() -> None:
        with db.writing(history) as session:
            won.append(tries.reserve(session, waiting, NOW, NOW + MINUTE))

    in_parallel(reserve, count=6)
    assert sorted(won) == [False] * 5 + [True]


def test_a_reservation_that_nothing_came_of_ends(history, waiting):
    assert write(history, tries.reserve, waiting, NOW, NOW + MINUTE)
    assert not write(history, tries.reserve, waiting, NOW + MINUTE / 2, NOW + 2 * MINUTE)
    assert write(history, tries.reserve, waiting, NOW + MINUTE, NOW + 2 * MINUTE)


def test_a_reservation_is_prolonged_while_its_worker_starts(history, waiting):
    write(history, tries.reserve, waiting, NOW, NOW + MINUTE)
    write(history, tries.keep, [waiting], NOW + 3 * MINUTE)
    assert not write(history, tries.reserve, waiting, NOW + 2 * MINUTE, NOW + 4 * MINUTE)


def test_a_try_put_off_by_a_clock_that_was_wrong_is_made_once_it_is_right(history, waiting):
    write(history, runs.amend, waiting, next_try_at=NOW + timedelta(days=300))
    assert write(history, tries.reserve, waiting, NOW, NOW + MINUTE)


def test_what_nobody_is_to_try_is_not_reserved(history, run):
    assert row(history, run).next_try_at is None
    assert not write(history, tries.reserve, run, NOW, NOW + MINUTE)


def test_a_run_that_is_left_interrupted_is_made_ready_and_one_that_failed_for_good_is_not(history, run):
    move_to(history, run, RunState.RUNNING, RunState.INTERRUPTED)
    write(history, tries.make_ready, row(history, run), NOW)
    assert row(history, run).next_try_at == NOW
    write(history, tries.failed, row(history, run), "the disk is full", None, NOW)
    write(history, tries.make_ready, row(history, run), NOW)
    assert row(history, run).next_try_at is None


@pytest.mark.parametrize("path", [[], [RunState.RUNNING], [RunState.RUNNING, RunState.INTERRUPTED]])
def test_failed_tries_are_counted_wherever_the_run_stood(history, run, path):
    move_to(history, run, *path)
    write(history, tries.failed, row(history, run), "killed by signal 9", NOW + MINUTE, NOW)
    failed = row(history, run)
    assert (failed.state, failed.error, failed.failures) == ("failed", "killed by signal 9", 1)
    assert failed.next_try_at == NOW + MINUTE
    write(history, tries.failed, failed, "again", None, NOW)
    assert (row(history, run).failures, row(history, run).next_try_at) == (2, None)


def test_an_orphan_is_taken_once_and_its_process_can_write_no_more(history, run):
    lease = write(history, leases.acquire, run, OTHER, NOW, nobody_is_dead)
    move_to(history, run, RunState.RUNNING)
    seen, taken = row(history, run), []

    def take() -> None:
        with db.writing(history) as session:
            taken.append(tries.orphaned(session, seen, NOW + MINUTE, NOW))

    in_parallel(take, count=4)
    assert sorted(taken) == [False, False, False, True]
    assert (state_of(history, run), row(history, run).failures) == ("interrupted", 1)
    with pytest.raises(db.LeaseLost), db.writing(history) as session:
        leases.fence(session, lease)


def test_a_sign_of_life_keeps_a_run_from_being_taken(history, run):
    lease = write(history, leases.acquire, run, OTHER, NOW, nobody_is_dead)
    move_to(history, run, RunState.RUNNING)
    seen = row(history, run)
    write(history, leases.renew, lease, NOW + MINUTE)
    assert not write(history, tries.orphaned, seen, NOW, NOW + 2 * MINUTE)
    assert state_of(history, run) == "running"


def test_an_orphan_that_failed_too_often_has_failed_for_good(history, run):
    write(history, leases.acquire, run, ME, NOW, nobody_is_dead)
    move_to(history, run, RunState.RUNNING)
    assert write(history, tries.orphaned, row(history, run), None, NOW)
    assert (state_of(history, run), row(history, run).next_try_at) == ("failed", None)


def test_what_is_published_is_never_tried_again(history, waiting):
    move_to(history, waiting, RunState.RUNNING, RunState.PUBLISHED)
    assert row(history, waiting).next_try_at is None
    assert not write(history, tries.reserve, waiting, NOW, NOW + MINUTE)


def test_outdated_runs_are_given_up_unless_they_were_ordered(history, waiting):
    def outdated():
        with db.reading(history) as session:
            return tries.outdated(session, CYCLE + HOUR, NOW + HOUR)

    (order,) = place(history, 1)
    write(history, orders.assign, order.id, waiting)
    assert outdated() == []
    write(history, orders.end, order.id, "cancelled", NOW)
    (found,) = outdated()
    write(history, tries.give_up, found, "too old", NOW)
    assert state_of(history, waiting) == "cancelled"


def test_an_order_is_placed_once_per_cycle_purpose_and_options(history):
    assert len(place(history)) == 3
    assert place(history) == []
    assert len(place(history, purpose="forecast")) == 3
    assert len(place(history, options={"forecast.members": 2})) == 3


def test_orders_are_ready_newest_first_and_what_was_begun_before_all(history, waiting):
    newest, middle, oldest = place(history)
    write(history, orders.assign, oldest.id, waiting)
    move_to(history, waiting, RunState.RUNNING, RunState.INTERRUPTED)
    with db.reading(history) as session:
        assert [one.id for one in orders.ready(session, NOW)] == [oldest.id, newest.id, middle.id]
        assert [one.id for one in orders.ready(session, NOW - MINUTE)] == [newest.id, middle.id]


def test_an_order_is_over_when_its_run_needs_nothing_more(history, waiting):
    order, *_ = place(history)
    write(history, orders.assign, order.id, waiting)

    def over():
        with db.reading(history) as session:
            return [(one.id, run.state) for one, run in orders.over(session)]

    move_to(history, waiting, RunState.RUNNING)
    assert over() == []
    move_to(history, waiting, RunState.PUBLISHED)
    assert over() == [(order.id, "published")]
    assert write(history, orders.end, order.id, "published", NOW)
    assert over() == []
    assert not write(history, orders.end, order.id, "published", NOW)
    with pytest.raises(db.UnknownOrder, match=f"no open order {order.id}"):
        write(history, orders.get_open, order.id)


def test_a_daemon_is_alive_while_it_is_seen_and_until_it_stops(history):
    first = daemons.Identity("a" * 32, "host-a", 1, "0.1.0")
    second = daemons.Identity("b" * 32, "host-b", 2, "0.1.0")
    for who in (first, second, first):
        write(history, daemons.seen, who, NOW)

    def alive(now):
        with db.reading(history) as session:
            return {one.host for one in daemons.alive(session, now, MINUTE)}

    assert alive(NOW + MINUTE) == {"host-a", "host-b"}
    write(history, daemons.stopped, second, NOW)
    assert alive(NOW + MINUTE) == {"host-a"}
    assert alive(NOW + 2 * MINUTE) == set()
    write(history, daemons.seen, first, NOW + 31 * timedelta(days=1))
    write(history, daemons.seen, daemons.Identity("c" * 32, "host-c", 3, "0.1.0"), NOW + 31 * timedelta(days=1))
    with db.reading(history) as session:
        assert {one.host for one in daemons.search(session)} == {"host-a", "host-c"}
