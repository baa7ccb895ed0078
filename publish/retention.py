"""Which runs have been kept long enough: a pure function of runs, rules and the time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Standing(StrEnum):
    """How a run stands that has left something in a store."""

    COMPLETE = "complete"
    SUPERSEDED = "superseded"
    RETRACTED = "retracted"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class StoredRun:
    """A run that has left something in a store; `line` is its product line, `ended_at` when nothing was added any more.

    `latest` says that the store's pointer is to it.
    """

    run_id: str
    line: str
    init_time: datetime
    ended_at: datetime
    standing: Standing
    pinned: bool = False
    latest: bool = False


@dataclass(frozen=True)
class Policy:
    """How long runs are kept after their end [days], by how they stand; None is for ever.

    `by_product` goes before `keep_days`. With `first_of_month` the complete run of the first cycle of each month
    of a product line is kept for ever.
    """

    keep_days: float | None = None
    by_product: Mapping[str, float] = field(default_factory=dict)
    first_of_month: bool = True
    superseded_days: float | None = 7.0
    retracted_days: float | None = 7.0
    unfinished_days: float | None = 14.0

    def days(self, run: StoredRun) -> float | None:
        """How long this run is kept."""
        others = {
            Standing.SUPERSEDED: self.superseded_days,
            Standing.RETRACTED: self.retracted_days,
            Standing.UNFINISHED: self.unfinished_days,
        }
        return others.get(run.standing, self.by_product.get(run.line, self.keep_days))


def expired(runs: Iterable[StoredRun], policy: Policy, now: datetime) -> list[StoredRun]:
    """The runs that may go, the oldest first. Never one that is pinned, or that the store points to."""
    runs = list(runs)
    kept = _first_of_months(runs) if policy.first_of_month else set()
    return sorted(
        (run for run in runs if run.run_id not in kept and _may_go(run, policy, now)),
        key=lambda run: (run.ended_at, run.run_id),
    )


def _may_go(run: StoredRun, policy: Policy, now: datetime) -> bool:
    days = policy.days(run)
    return not run.pinned and not run.latest and days is not None and run.ended_at + timedelta(days=days) < now


def _first_of_months(runs: list[StoredRun]) -> set[str]:
    """The complete run of the first cycle of each month of each product line; the last to end of several."""
    first: dict[tuple[str, int, int], StoredRun] = {}
    complete = [run for run in runs if run.standing is Standing.COMPLETE]
    for run in sorted(complete, key=lambda run: (run.init_time, -run.ended_at.timestamp(), run.run_id)):
        first.setdefault((run.line, run.init_time.year, run.init_time.month), run)
    return {run.run_id for run in first.values()}
