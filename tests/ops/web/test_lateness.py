"""The drawing of lateness tells the truth about every cycle."""

from datetime import UTC, datetime, timedelta

import pytest

from db.overview import Line
from ops.web.pages.gantt import gantt
from ops.web.pages.lateness import FLOOR, RIGHT, TOP, best, chart, points

HOUR = timedelta(hours=1)
CYCLE = datetime(2026, 11, 20, tzinfo=UTC)


def line(cycle=CYCLE, state="published", after=7.0, name="run", retracted=None) -> Line:
    ended = cycle + after * HOUR if state in ("published", "failed") else None
    started = cycle + 6 * HOUR
    return Line(
        name, "m", cycle, state, "forecast", 4, 4, started, started, ended, None, 0, None, retracted, None
    )  # fmt: skip


def kinds(lines, hours_now: float = 48, cycles=(CYCLE,), objective: float = 9.0) -> list[str]:
    now = CYCLE + hours_now * HOUR
    return [each.kind for each in points(cycles, best(lines), {}, lambda _cycle: objective * HOUR, now)]


@pytest.mark.parametrize(
    ("lines", "hours_now", "expected"),
    [
        ([line(after=7)], 48, "published"),
        ([line(after=9.01)], 48, "late"),
        ([line(state="running")], 8, "running"),
        ([line(state="interrupted")], 8, "waiting"),
        ([line(state="failed")], 8, "failed"),
        ([line(state="cancelled")], 8, "failed"),
        ([], 8, "waiting"),
        ([], 10, "norun"),
    ],
)
def test_each_cycle_is_told_by_what_became_of_it(lines, hours_now, expected):
    assert kinds(lines, hours_now) == [expected]


def test_of_several_runs_of_a_cycle_the_first_published_one_counts():
    runs = [line(after=9.5, name="better"), line(after=7, name="first"), line(state="failed", name="bad")]
    assert best(runs)[CYCLE].id == best(runs[::-1])[CYCLE].id == "first"


def test_a_retracted_run_gives_way_to_one_that_stands():
    runs = [line(after=7, name="withdrawn", retracted=CYCLE + 20 * HOUR), line(after=8, name="stands")]
    assert best(runs)[CYCLE].id == "stands"


def drawn(*after: float, objective: float = 9.0):
    cycles = [CYCLE + index * 6 * HOUR for index in range(len(after))]
    runs = best(
        [
            line(cycle, after=hours, name=f"{index}")
            for index, (cycle, hours) in enumerate(zip(cycles, after, strict=True))
        ]
    )
    return chart(
        points(cycles, runs, {cycles[0]: cycles[0] + 6 * HOUR}, lambda _c: objective * HOUR, CYCLE + 90 * HOUR)
    )


def test_later_is_higher_and_what_is_beyond_the_axis_stands_at_its_edge():
    first, second, far = drawn(6.0, 8.0, 400.0).columns
    assert FLOOR > first.y > second.y > far.y == TOP


def test_a_publication_at_the_objective_stands_on_its_line():
    (column,) = drawn(9.0).columns
    assert column.y == column.goal_y
    assert column.data_y > column.y


def test_columns_share_the_width_in_the_order_of_time():
    columns = drawn(*[7.0] * 28).columns
    assert [column.x for column in columns] == sorted(column.x for column in columns)
    assert columns[0].left == 0
    assert columns[-1].left + columns[-1].width == pytest.approx(RIGHT, abs=0.01)


def test_attempts_never_leave_the_drawing(operation):
    kept, newest = operation
    with kept.reading() as session:
        from db import stages

        attempts = stages.attempts(session, newest)
    made = gantt(attempts, kept.now)
    assert made is not None
    assert [bar.attempt.stage for bar in made.bars] == ["fetch", "integrate", "finish"]
    assert all(bar.x >= 0 and bar.x + bar.width <= 100.01 for bar in made.bars)
    assert gantt([], kept.now) is None
