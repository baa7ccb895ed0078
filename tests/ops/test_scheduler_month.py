"""A month of operation: late feeds, outages, restarts, crashes, two daemons, hindcasts; every cycle once, in time."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

import db
from db import orders
from tests.ops.simulation import DAY, HOUR, MINUTE, START, Fate, World, fast

FIRST = START.replace(hour=0, minute=0)
ORDERED = FIRST - 400 * DAY


def mishaps(seed: int, days: int):
    """At which moments what happens: the name of a host, and what becomes of it or of the database."""
    chance = random.Random(seed)
    kinds = ("crash", "drain", "database", "feed", "crash both")
    return sorted(
        (FIRST + chance.random() * days * DAY, kinds[number % len(kinds)], chance.random() * 4 * HOUR)
        for number in range(days)
    )


def fate(chance: random.Random) -> Fate:
    """Most workers end well; some fail, die or hang first."""
    luck, when = chance.random(), chance.random() * HOUR
    if luck < 0.08:
        return Fate(fails_after=when)
    if luck < 0.13:
        return Fate(dies_after=when)
    return Fate(hangs_after=when) if luck < 0.16 else Fate()


def live(world: World, seed: int, days: int) -> Counter:
    """Let the days pass with all that goes wrong in them; what happened, counted."""
    chance, happened = random.Random(seed), Counter()
    world.step = 30 * MINUTE
    for day in range(days):
        world.feed.late[FIRST + day * DAY + 6 * HOUR * chance.randrange(4)] = (4 + 8 * chance.random()) * HOUR
    world.plan = lambda job: fate(chance)
    hosts = [world.host("a"), world.host("b", skew=timedelta(seconds=40))]
    with db.writing(world.engine) as session:
        orders.place(session, [ORDERED - 6 * number * HOUR for number in range(days)], "hindcast", {}, world.now)
    for when, what, length in mishaps(seed, days):
        world.run_until(max(when, world.now))
        happened[what] += 1
        suffer(world, hosts, what, length, chance)
    world.run_until(FIRST + days * DAY + 20 * HOUR)
    return happened


def suffer(world: World, hosts: list, what: str, length: timedelta, chance: random.Random) -> None:
    victims = hosts if what == "crash both" else [chance.choice(hosts)]
    if what == "database":
        world.database_is_away = True
        world.run_until(world.now + 10 * MINUTE)
        world.database_is_away = False
    elif what == "feed":
        world.feed.outages.append((world.now, world.now + length))
    else:
        for victim in victims:
            victim.drain() if what == "drain" else victim.crash()
        world.run_until(world.now + length)
        for victim in victims:
            victim.boot()


def lateness(world: World, days: int) -> dict:
    """How long after its data was there each cycle was started."""
    first = {}
    for cycle, when in world.started:
        first.setdefault(cycle, when)
    cycles = [FIRST + 6 * number * HOUR for number in range(4 * days)]
    return {cycle: first[cycle] - world.feed.arrival(cycle) for cycle in cycles}


def check(world: World, days: int) -> None:
    cycles = {FIRST + 6 * number * HOUR for number in range(4 * days)} | {
        ORDERED - 6 * number * HOUR for number in range(days)
    }
    states = world.states()
    poison = {cycle for cycle, found in states.items() if found == ["failed"]}
    assert {cycle: states.get(cycle) for cycle in cycles - poison} == {
        cycle: ["published"] for cycle in cycles - poison
    }
    assert {cycle: world.published[cycle] for cycle in cycles - poison} == dict.fromkeys(cycles - poison, 1)
    assert len(poison) <= 1
    with db.reading(world.engine) as session:
        assert orders.count_open(session) == 0
    delays = sorted(lateness(world, days).values())
    assert delays[len(delays) // 2] <= 20 * MINUTE
    assert delays[-1] <= 12 * HOUR


def test_a_month_of_late_feeds_outages_restarts_and_two_daemons(tmp_path):
    world = World(tmp_path, fast(db.engine(f"sqlite:///{tmp_path}/history.db")), lease__seconds=3600)
    happened = live(world, seed=1, days=30)
    assert len(happened) == 5 and sum(happened.values()) == 30
    check(world, 30)


@pytest.fixture
def postgresql(postgresql_url):
    server = make_url(postgresql_url).set(drivername="postgresql+psycopg")
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE month"))
    bound = db.engine(server.set(database="month").render_as_string(hide_password=False))
    yield bound
    bound.dispose()
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE month WITH (FORCE)"))
    admin.dispose()


@pytest.mark.slow
def test_a_week_of_it_on_postgresql(tmp_path, postgresql):
    world = World(tmp_path, postgresql, lease__seconds=3600)
    live(world, seed=2, days=7)
    check(world, 7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 8))
def test_other_months(tmp_path, seed):
    world = World(tmp_path, fast(db.engine(f"sqlite:///{tmp_path}/history.db")), lease__seconds=3600)
    live(world, seed=seed, days=30)
    check(world, 30)
