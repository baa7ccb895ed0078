"""What is said of a run beforehand follows from what runs like it took, and from nothing else."""

import random
from datetime import UTC, datetime, timedelta

import pytest

import db
from db import products, runs, stages
from db.past import PastRun
from db.runs import Identity, NewRun
from db.schema import Worker
from db.states import AttemptState, RunState
from ops.estimate import Wanted, estimate, from_history
from ops.expectation import expected
from tests.contracts.histories import ME

MODEL = "m" * 64
CPU, GPU = "1 x cpu (cpu)", "1 x NVIDIA H100 (gpu)"
NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)


def spec(members: int = 4, days: float = 10.0, **others: object) -> dict:
    """A run's recorded specification."""
    document = {
        "members": members,
        "duration_hours": 24.0 * days,
        "interval_hours": 6.0,
        "window_hours": 24.0,
        "source": {"name": "gfs"},
        "ingest": {"initial_conditions": "control"},
        "products": {"formats": ["grib2"]},
        "charts": {},
    }
    return document | others


def run_of(document: dict, factor: float = 1.0, **others: object) -> tuple[PastRun, Wanted]:
    """A run on a machine that takes 60 s to begin and 30 s for a day of a member."""
    wanted = Wanted.of(MODEL, document)
    seconds = {
        "fetch": 100.0 * factor,
        "integrate": (60.0 + 30.0 * wanted.members * wanted.days) * factor,
        "finish": 2.0 * wanted.lead_times * factor,
    }
    known = {
        "product_count": 5 * wanted.lead_times,
        "product_bytes": 1_000_000 * wanted.lead_times * wanted.members,
        "peak_memory_bytes": 2 * 2**30 + wanted.members * 2**28,
        "work_bytes": None,
    }
    return PastRun("run", document, seconds, **(known | others)), wanted


def test_values_of_one_size_grow_in_proportion():
    found = expected([10, 10, 10], [90.0, 100.0, 120.0], 30)
    assert (found.low, found.middle, found.high) == pytest.approx((270.0, 300.0, 360.0))


def test_values_of_several_sizes_show_what_is_constant():
    found = expected([1, 2, 4], [70.0, 80.0, 100.0], 10)
    assert found.middle == pytest.approx(160.0)
    assert found.low == found.high == pytest.approx(found.middle)


def test_one_run_that_took_far_too_long_does_not_move_the_middle():
    sizes = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 3.5]
    values = [60 + 30 * size for size in sizes[:-1]] + [5_000.0]
    found = expected(sizes, values, 8.0)
    assert found.middle == pytest.approx(300.0, rel=0.05)
    assert found.high > 10 * found.middle


def test_nothing_is_expected_of_no_values_and_nothing_below_zero():
    assert expected([], [], 3.0) is None
    steep = expected([10, 20], [10.0, 100.0], 1.0)
    assert steep.middle > 0


@pytest.mark.parametrize(("members", "days"), [(1, 10.0), (8, 10.0), (4, 1.0), (50, 15.0)])
def test_time_memory_and_size_of_other_members_and_days_are_those_that_the_machine_would_take(members, days):
    past = [run_of(spec(number, length)) for number, length in ((2, 5.0), (4, 10.0), (4, 2.0), (10, 10.0))]
    truth, wanted = run_of(spec(members, days))
    found = from_history(past, wanted, GPU)
    for name, seconds in truth.stage_seconds.items():
        assert found.stages[name].middle == pytest.approx(seconds, rel=0.05), name
    assert found.seconds.middle == pytest.approx(sum(truth.stage_seconds.values()), rel=0.05)
    assert found.peak_memory_bytes.middle == pytest.approx(truth.peak_memory_bytes, rel=0.05)
    assert found.product_bytes.middle == pytest.approx(truth.product_bytes, rel=0.05)
    assert found.work_bytes is None


def test_nine_of_ten_runs_lie_within_the_spread():
    chance = random.Random(6)
    past = [run_of(spec(), factor=chance.lognormvariate(0.0, 0.2)) for _ in range(40)]
    _, wanted = run_of(spec())
    found = from_history(past, wanted, GPU).stages["integrate"]
    fresh = [1260.0 * chance.lognormvariate(0.0, 0.2) for _ in range(400)]
    inside = sum(found.low <= seconds <= found.high for seconds in fresh) / len(fresh)
    assert 0.8 < inside < 0.98


def test_runs_with_the_same_products_count_alone_as_soon_as_there_are_three():
    other = [run_of(spec(products={"formats": ["grib2", "zarr"]}), factor=10.0) for _ in range(5)]
    same = [run_of(spec()) for _ in range(3)]
    _, wanted = run_of(spec())
    few, enough = from_history([*other, *same[:2]], wanted, GPU), from_history([*other, *same], wanted, GPU)
    assert (few.runs, few.alike, enough.runs, enough.alike) == (7, False, 3, True)
    assert enough.stages["integrate"].middle == pytest.approx(1260.0)
    assert few.stages["integrate"].low <= 1260.0 <= few.stages["integrate"].high


def test_analyses_of_their_own_for_all_members_take_longer_to_fetch():
    past = [run_of(spec())]
    _, wanted = run_of(spec(members=8, ingest={"initial_conditions": "ens"}))
    assert from_history(past, wanted, GPU).stages["fetch"].middle == pytest.approx(800.0)


def record(engine, number: int, device: str, minutes: float, *, attempts: int = 1, host: str = "host-a") -> None:
    """A published run whose integration took so long at its last attempt."""
    name, begun = f"run-{number}", NOW + timedelta(days=number)
    owner = type(ME)(host, 1, "boot:1")
    new = NewRun(name, Identity(MODEL, begun, "c" * 64), "demo", "gfs", "var/products", 4, spec())
    with db.writing(engine) as session:
        runs.create(session, new, begun)
        runs.transition(session, name, RunState.RUNNING, begun)
        for one in range(attempts):
            attempt = stages.begin(session, name, "integrate", owner, begun)
            state = AttemptState.DONE if one == attempts - 1 else AttemptState.FAILED
            stages.end(session, attempt, state, begun + timedelta(minutes=minutes))
        product = products.NewProduct("a", "mean", 6, 1_000_000, "0" * 64)
        products.record(session, name, [product], begun)
        peak = {"peak_memory_bytes": 3 * 2**30, "ended_at": begun}
        session.add(Worker(run_id=name, host=host, pid=1, started_at=begun, **peak))
        end = begun + timedelta(minutes=minutes)
        runs.transition(session, name, RunState.PUBLISHED, end, device=device)


@pytest.fixture
def engine(tmp_path):
    from db import migrate

    bound = db.engine(f"sqlite:///{tmp_path}/history.db")
    migrate.upgrade_engine(bound)
    yield bound
    bound.dispose()


def test_each_device_has_a_history_of_its_own(engine):
    record(engine, 1, CPU, 60.0)
    record(engine, 2, GPU, 2.0)
    with db.reading(engine) as session:
        found = {device: estimate(session, Wanted.of(MODEL, spec(), device)) for device in (CPU, GPU, None)}
    assert found[CPU].seconds.middle == pytest.approx(3600.0)
    assert found[GPU].seconds.middle == found[None].seconds.middle == pytest.approx(120.0)
    assert found[None].device == GPU
    assert found[GPU].product_bytes.middle == pytest.approx(1_000_000)
    assert found[GPU].peak_memory_bytes.middle == 3 * 2**30


def test_a_machine_without_runs_has_no_estimate_and_neither_has_another_model(engine):
    record(engine, 1, CPU, 60.0, host="host-b")
    with db.reading(engine) as session:
        assert estimate(session, Wanted.of(MODEL, spec(), host="host-a")) is None
        assert estimate(session, Wanted.of(MODEL, spec(), host="host-b")).runs == 1
        assert estimate(session, Wanted.of("n" * 64, spec())) is None
        assert estimate(session, Wanted.of(MODEL, spec(), GPU)) is None


def test_a_stage_that_was_tried_again_says_nothing_of_how_long_it_takes(engine):
    record(engine, 1, CPU, 60.0)
    record(engine, 2, CPU, 1.0, attempts=2)
    with db.reading(engine) as session:
        assert estimate(session, Wanted.of(MODEL, spec())).stages["integrate"].middle == pytest.approx(3600.0)


def test_what_a_run_was_expected_to_take_is_told_by_the_runs_before_it(engine):
    for number, minutes in ((1, 10.0), (2, 50.0)):
        record(engine, number, CPU, minutes)
    with db.reading(engine) as session:
        found = estimate(session, Wanted.of(MODEL, spec()), before=NOW + timedelta(days=2))
    assert found.seconds.middle == pytest.approx(600.0)
