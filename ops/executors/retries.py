"""What is tried again, and when: of a stage by the worker itself, of a run by whoever starts workers. Pure rules."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ops.executors.base import Kind
from ops.worker_settings import WorkerSettings

FAILURES = frozenset({Kind.FAILED, Kind.INPUT, Kind.MEMORY, Kind.DEVICE, Kind.TIMEOUT})
"""Ends that count against a run. One that was interrupted or taken over has done nothing wrong."""


@dataclass(frozen=True)
class RunRule:
    """How a run is tried again: at most `tries` failures in a row, with pauses that double from one to the next."""

    tries: int
    pause: timedelta
    longest_pause: timedelta

    @classmethod
    def of(cls, settings: WorkerSettings) -> "RunRule":
        """The configured rule."""
        return cls(
            settings.runs,
            timedelta(seconds=settings.run_pause_seconds),
            timedelta(seconds=settings.run_longest_pause_seconds),
        )


@dataclass(frozen=True)
class StageRule:
    """How a stage is tried: so often by one worker, each try within `seconds`, with pauses that double [s]."""

    tries: int
    seconds: float
    pause_seconds: float

    @classmethod
    def of(cls, settings: WorkerSettings, stage: str) -> "StageRule":
        """The configured rule of a stage. Raises AttributeError for one that there is not."""
        return cls(getattr(settings, f"{stage}_tries"), getattr(settings, f"{stage}_seconds"), settings.pause_seconds)


def failures_after(kind: Kind, failures: int) -> int:
    """How many failures in a row a run has when a worker ended so and there were so many before."""
    if kind is Kind.PUBLISHED:
        return 0
    return failures + 1 if kind in FAILURES else failures


def next_try_at(rule: RunRule, kind: Kind, failures: int, now: datetime) -> datetime | None:
    """When a run is taken up again whose worker ended so; None for never by itself.

    `failures` counts this one too. A run that failed as often as it may is poison: people must look at it first.
    A run that was taken over has another worker.
    """
    if kind in (Kind.PUBLISHED, Kind.TAKEN):
        return None
    if kind not in FAILURES:
        return now
    if is_poison(rule, kind, failures):
        return None
    return now + min(rule.pause * 2 ** min(failures - 1, 30), rule.longest_pause)


def is_poison(rule: RunRule, kind: Kind, failures: int) -> bool:
    """Whether the run is left to people: it failed as often in a row as it may, this time included."""
    return kind in FAILURES and failures >= rule.tries


def pause_before(rule: StageRule, tries: int) -> float | None:
    """How long a worker waits before it tries a stage again that failed so often [s]; None when it gives up."""
    return None if tries >= rule.tries else rule.pause_seconds * 2 ** (tries - 1)


def smaller_batch(batch: int) -> int | None:
    """The batch to try when one did not fit into memory; None when there is no smaller one."""
    return batch // 2 if batch > 1 else None
