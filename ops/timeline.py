"""What a run did when, drawn in letters: a line for each attempt at a stage, all on one scale of time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

MARKS = {"done": "#", "failed": "x", "interrupted": "~", "running": ">"}
"""What an attempt is drawn with, by how it ended."""


def drawn(attempts: Sequence[Mapping[str, Any]], now: datetime, width: int = 60) -> list[str]:
    """Lines of equal length, one for each attempt, in their order: stage, number, and a bar from its start to its end.

    An attempt that goes on reaches to `now`. Every attempt is at least one letter long.
    """
    if not attempts:
        return []
    first = min(one["started_at"] for one in attempts)
    last = max([one["ended_at"] or now for one in attempts])
    name = max(len(f"{one['stage']} {one['number']}") for one in attempts)
    return [
        f"{one['stage']} {one['number']}".ljust(name) + f"  |{_bar(one, first, last, now, width)}|" for one in attempts
    ]


def _bar(one: Mapping[str, Any], first: datetime, last: datetime, now: datetime, width: int) -> str:
    span = max(last - first, timedelta(microseconds=1))
    begin = min(width - 1, int(width * ((one["started_at"] - first) / span)))
    end = max(begin + 1, min(width, round(width * (((one["ended_at"] or now) - first) / span))))
    return (" " * begin + MARKS.get(one["state"], "?") * (end - begin)).ljust(width)
