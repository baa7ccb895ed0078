"""Attempts are drawn on one scale of time."""

from datetime import UTC, datetime, timedelta

from ops.timeline import drawn

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)


def attempt(stage: str, number: int, state: str, begin: int, end: int | None) -> dict:
    ended = None if end is None else NOW + timedelta(minutes=end)
    return {
        "stage": stage,
        "number": number,
        "state": state,
        "started_at": NOW + timedelta(minutes=begin),
        "ended_at": ended,
    }


def test_bars_begin_and_end_where_the_attempts_do():
    lines = drawn(
        [
            attempt("fetch", 1, "done", 0, 2),
            attempt("integrate", 1, "interrupted", 2, 5),
            attempt("integrate", 2, "running", 6, None),
        ],
        NOW + timedelta(minutes=10),
        width=10,
    )
    assert lines == ["fetch 1      |##        |", "integrate 1  |  ~~~     |", "integrate 2  |      >>>>|"]


def test_what_took_no_time_is_still_seen():
    assert drawn([attempt("fetch", 1, "failed", 0, 0)], NOW, width=4) == ["fetch 1  |x   |"]
    assert drawn([], NOW) == []
