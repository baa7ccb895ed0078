"""Daemons in a simulated world: which runs are made, when, and what becomes of them whatever happens."""

from datetime import timedelta

import pytest

import db
from db import arrivals, leases, orders, runs
from ops import timetable
from tests.ops.simulation import DAY, HOUR, MINUTE, START, Fate, World, fast

FIRST = START.replace(hour=0, minute=0)


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path, fast(db.engine(f"sqlite:///{tmp_path}/history.db")))


def started(world: World) -> list:
    return [cycle for cycle, _when in world.started]


def order(world: World, *cycles, purpose="hindcast", **options):
    with db.writing(world.engine) as session:
        return [one.id for one in orders.place(session, cycles, purpose, options, world.now)]


def row(world: World, cycle):
    (found,) = [one for one in world.rows() if one.init_time == cycle]
    return found


def told(world: World, run_id: str) -> list[str]:
    with db.reading(world.engine) as session:
        return [event.message for event in runs.events(session, run_id)]


def test_a_cycle_is_started_when_its_data_is_there_and_not_before(world):
    world.host("a")
    world.feed.late = {FIRST: 5 * HOUR, FIRST + 6 * HOUR: 3 * HOUR}
    world.run_until(FIRST + 12 * HOUR)
    starts = {cycle: when - cycle for cycle, when in world.started if cycle >= FIRST}
    assert 5 * HOUR <= starts[FIRST] <= 5.5 * HOUR
    assert 3 * HOUR <= starts[FIRST + 6 * HOUR] <= 3.5 * HOUR


def test_missed_cycles_are_caught_up_newest_first_and_no_older_ones(world):
    world.now = FIRST + 5 * HOUR
    world.plan = lambda job: Fate(lasts=40 * MINUTE)
    world.host("a")
    world.run_until(FIRST + 9 * HOUR)
    assert started(world)[:3] == [FIRST - 6 * number * HOUR for number in range(3)]
    assert min(started(world)) > FIRST + 5 * HOUR - DAY


def test_only_the_configured_cycles_are_forecast(tmp_path):
    world = World(tmp_path, fast(db.engine(f"sqlite:///{tmp_path}/history.db")), daemon__cycles=(0, 12))
    world.host("a")
    world.run_until(FIRST + DAY)
    assert {cycle.hour for cycle in started(world)} == {0, 12}


def test_a_run_that_was_made_by_hand_and_left_is_gone_on_with_and_a_cancelled_one_is_not_made_again(world):
    host = world.host("a")
    world.run_until(FIRST + 4 * HOUR)
    with db.writing(world.engine) as session:
        leases.revoke(session, row(world, FIRST).id, world.now, "cancelled by an operator")
    world.run_until(FIRST + 6 * HOUR)
    assert world.states()[FIRST] == ["cancelled"]
    assert all(worker.exit is not None for worker in host.workers if worker.job.cycle == FIRST)


def test_of_two_daemons_one_starts_a_worker(world):
    world.host("a")
    world.host("b")
    world.run_until(FIRST + 2 * DAY)
    assert len(started(world)) == len(set(started(world)))
    assert set(world.published.values()) == {1}


def test_a_host_that_dies_is_taken_over_from_within_the_time_of_a_lease(world):
    first, second = world.host("a"), world.host("b")
    world.run_until(FIRST + 5 * HOUR)
    (cycle,) = {worker.job.cycle for host in (first, second) for worker in host.workers if worker.is_alive} & {FIRST}
    victim = first if any(one.is_alive and one.job.cycle == FIRST for one in first.workers) else second
    victim.crash()
    died = world.now
    world.run_until(died + 4 * HOUR)
    again = [when for started, when in world.started if started == cycle and when > died]
    assert again and again[0] - died <= timedelta(seconds=world.settings.lease.seconds) + 20 * MINUTE
    assert world.published[cycle] == 1


def test_a_worker_that_hangs_is_killed_and_its_run_is_gone_on_with(world):
    world.host("a")
    fates = iter([Fate(hangs_after=20 * MINUTE)])
    world.plan = lambda job: next(fates, Fate()) if job.cycle == FIRST else Fate()
    world.run_until(FIRST + 9 * HOUR)
    assert world.published[FIRST] == 1
    assert any("gave no sign of life" in line for line in told(world, row(world, FIRST).id))


def test_a_zombie_that_wakes_up_publishes_nothing(world):
    host, other = world.host("a"), world.host("b")
    world.run_until(FIRST + 4.5 * HOUR)
    zombie = next(worker for one in (host, other) for worker in one.workers if worker.is_alive)
    zombie.host.scheduler = zombie.host.lookout = None
    zombie.fate = Fate(hangs_after=timedelta(0))
    world.run_until(world.now + 3 * HOUR)
    assert world.published[zombie.job.cycle] == 1
    zombie.fate = Fate()
    zombie.work()
    assert (world.published[zombie.job.cycle], zombie.exit.kind) == (1, "taken")


def test_a_run_that_always_fails_is_tried_ever_less_often_and_then_left_to_people(world):
    world.host("a")
    world.plan = lambda job: Fate(fails_after=10 * MINUTE) if job.cycle == FIRST else Fate()
    world.run_until(FIRST + 20 * HOUR)
    tries = [when for cycle, when in world.started if cycle == FIRST]
    poison = row(world, FIRST)
    assert len(tries) == world.settings.worker.runs == poison.failures
    assert (poison.state, poison.next_try_at) == ("failed", None)
    assert any("left to people" in line for line in told(world, poison.id))
    assert world.published[FIRST + 6 * HOUR] == 1


def test_a_run_that_takes_every_daemon_down_with_it_is_left_to_people(world):
    host = world.host("a")
    world.run_until(FIRST + 3 * HOUR)
    for _ in range(8):
        world.run_until(world.now + 2 * HOUR)
        if any(worker.is_alive for worker in host.workers):
            world.run_until(world.now + 10 * MINUTE)
            host.crash()
            host.boot()
    assert max(one.failures for one in world.rows()) <= world.settings.worker.runs


def test_orders_are_carried_out_when_nothing_is_due_with_their_options(world):
    world.host("a")
    world.run_until(FIRST + 2 * HOUR)
    past = [FIRST - 400 * DAY - 6 * number * HOUR for number in range(3)]
    order(world, *past, **{"forecast.members": 2})
    world.run_until(FIRST + 2 * DAY)
    assert [cycle for cycle in started(world) if cycle in past] == past
    assert {(one.members_requested, one.purpose) for one in world.rows() if one.init_time in past} == {(2, "hindcast")}
    with db.reading(world.engine) as session:
        assert [(one.order.outcome, one.state) for one in orders.search(session, only_open=False)] == [
            ("published", "published")
        ] * 3


def test_an_ordered_run_gives_way_to_a_cycle_within_the_time_allowed_and_goes_on_after_it(world):
    world.host("a")
    world.run_until(FIRST + 6 * HOUR)
    past, cycle = FIRST - 400 * DAY, FIRST + 6 * HOUR
    lengths = iter([9 * HOUR, HOUR])
    world.plan = lambda job: Fate(lasts=next(lengths)) if job.cycle == past else Fate()
    order(world, past)
    world.run_until(FIRST + 18 * HOUR)
    (began,) = [when for started, when in world.started if started == cycle]
    allowed = timedelta(seconds=world.settings.daemon.order_delay_seconds)
    assert allowed <= began - world.feed.arrival(cycle) <= allowed + 40 * MINUTE
    assert started(world).count(past) == 2
    assert (world.published[past], row(world, past).failures) == (1, 0)


def test_an_order_that_is_impossible_is_refused_and_the_others_are_carried_out(world):
    world.host("a")
    past = FIRST - 400 * DAY
    order(world, past, **{"forecast.model": "nobody"})
    order(world, past - 6 * HOUR)
    world.run_until(FIRST + DAY)
    with db.reading(world.engine) as session:
        outcomes = [one.order.outcome for one in orders.search(session, only_open=False)]
    assert outcomes[0].startswith("refused: no model named 'nobody'")
    assert outcomes[1] == "published"


def test_a_cancelled_order_cancels_the_run_that_was_made_for_it(world):
    world.host("a")
    world.plan = lambda job: Fate(lasts=30 * HOUR)
    past = FIRST - 400 * DAY
    (number,) = order(world, past)
    world.run_until(FIRST + 30 * HOUR)
    with db.writing(world.engine) as session:
        orders.cancel(session, number, world.now)
    assert world.states().get(past, ["cancelled"]) == ["cancelled"]


def test_a_database_that_is_away_for_ten_minutes_costs_nothing(world):
    host = world.host("a")
    other = world.host("b")
    world.run_until(FIRST + 4.5 * HOUR)
    tries = len(world.started)
    world.database_is_away = True
    for _ in range(60):
        world.pass_time(MINUTE)
    world.database_is_away = False
    world.run_until(FIRST + 12 * HOUR)
    assert host.trouble and other.trouble
    assert started(world)[:tries] == list(dict.fromkeys(started(world)[:tries]))
    assert all(one.failures == 0 for one in world.rows())
    assert set(world.published.values()) == {1}


@pytest.mark.parametrize("step", [timedelta(days=2), -timedelta(days=2)])
def test_a_clock_that_is_set_takes_no_run_from_a_living_worker(world, step):
    world.host("a")
    wrong = world.host("b")
    world.run_until(FIRST + 4.5 * HOUR)
    wrong.skew = step
    world.run_until(FIRST + 8 * HOUR)
    wrong.skew = timedelta(0)
    world.run_until(FIRST + 2 * DAY)
    assert all(one.failures == 0 for one in world.rows())
    assert world.published[FIRST] == 1
    assert world.published[FIRST + DAY] == 1


def test_a_daemon_that_drains_hands_its_run_to_another(world):
    first = world.host("a")
    world.run_until(FIRST + 4.5 * HOUR)
    assert any(worker.is_alive for worker in first.workers)
    second = world.host("b")
    first.drain()
    world.pass_time(MINUTE)
    assert any(worker.is_alive for worker in second.workers)
    world.run_until(FIRST + 12 * HOUR)
    assert all(one.failures == 0 for one in world.rows())
    assert set(world.published.values()) == {1}


def test_habits_are_learned_and_then_feeds_are_asked_less(world):
    world.host("a")
    world.run_until(FIRST + 8 * DAY)
    with db.reading(world.engine) as session:
        habit = arrivals.habit(session, "gfs", 6)
    assert habit is not None
    assert abs(habit.median - world.feed.usual) < HOUR
    learned = timetable.window(FIRST + 8 * DAY, habit)
    assert learned.opens - learned.cycle > 2 * HOUR


def test_a_worker_that_hangs_before_it_takes_its_run_is_killed_and_followed_by_another(world):
    world.host("a")
    fates = iter([Fate(hangs_after=timedelta(0))])
    world.plan = lambda job: next(fates, Fate()) if job.cycle == FIRST else Fate()
    world.run_until(FIRST + 9 * HOUR)
    assert (world.published[FIRST], started(world).count(FIRST)) == (1, 2)


@pytest.fixture
def quiet_world(tmp_path) -> World:
    """One cycle a day, which is too old after half a day."""
    options = {"daemon__cycles": (0,), "daemon__catch_up_hours": 12, "worker__runs": 2}
    return World(tmp_path, fast(db.engine(f"sqlite:///{tmp_path}/history.db")), **options)


@pytest.mark.parametrize(("seals", "state"), [(True, "published"), (False, "failed")])
def test_a_run_of_an_old_cycle_is_given_up_unless_its_manifest_may_be_in_the_store(quiet_world, seals, state):
    world = quiet_world
    host = world.host("a")
    world.plan = lambda job: Fate(dies_after=20 * MINUTE, seals=seals)
    world.run_until(FIRST + 4.75 * HOUR)
    host.crash()
    world.plan = lambda job: Fate(lasts=10 * MINUTE)
    world.now = FIRST + 1.6 * DAY
    host.boot()
    for _ in range(4):
        world.pass_time(HOUR)
    found = row(world, FIRST)
    assert (found.state, found.next_try_at, world.published[FIRST]) == (state, None, int(seals)), told(world, found.id)


def test_a_sealed_run_that_was_left_to_people_is_gone_on_with_when_they_say_so(quiet_world):
    world = quiet_world
    host = world.host("a")
    world.plan = lambda job: Fate(dies_after=10 * MINUTE, seals=True)
    world.run_until(FIRST + 6 * HOUR)
    assert (row(world, FIRST).state, row(world, FIRST).next_try_at) == ("failed", None)
    world.plan = lambda job: Fate(lasts=10 * MINUTE)
    world.now = FIRST + 1.6 * DAY
    with db.writing(world.engine) as session:
        runs.try_again(session, row(world, FIRST).id, host.clock(), "mended")
    for _ in range(4):
        world.pass_time(HOUR)
    assert (row(world, FIRST).state, world.published[FIRST]) == ("published", 1)
