"""What a run was expected to take, from runs like it, beside what it took."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from db.schema import Run, Stage, Worker
from db.states import AttemptState, RunState
from ops.commands.output import size
from ops.estimate import Estimate, Wanted, estimate
from ops.expectation import Spread
from ops.web.pages.current import STAGES
from ops.web.pages.words import plural, span

_NEEDED = frozenset({"duration_hours", "interval_hours", "members"})


@dataclass(frozen=True)
class Row:
    """A quantity: what was expected, between which bounds, and what came; a dash for what is not known."""

    name: str
    expected: str
    between: str
    actual: str


@dataclass(frozen=True)
class Comparison:
    """The rows, and how many earlier runs they were expected from."""

    rows: tuple[Row, ...]
    runs: int


def expectation(session: Session, run: Run, before: datetime | None = None) -> Estimate | None:
    """What runs like this one let expect of it; `before` then, or now."""
    if not run.spec.keys() >= _NEEDED:
        return None
    return estimate(session, Wanted.of(run.model_hash, run.spec, run.device), before)


def comparison(
    session: Session, run: Run, stages: Sequence[Stage], workers: Sequence[Worker], product_bytes: int
) -> Comparison | None:
    """The estimate of before the run began beside what is known of it now; None when nothing was known then."""
    found = expectation(session, run, run.started_at or run.created_at)
    if found is None:
        return None
    done = {
        stage.name: (stage.ended_at - stage.started_at).total_seconds()
        for stage in stages
        if stage.state == AttemptState.DONE and stage.ended_at is not None
    }
    rows = [
        _row(STAGES.get(name, name.capitalize()), each, done.get(name), span) for name, each in found.stages.items()
    ]
    published = run.state == RunState.PUBLISHED
    whole = (run.ended_at - run.started_at).total_seconds() if published and run.ended_at and run.started_at else None
    peak = max((one.peak_memory_bytes for one in workers if one.peak_memory_bytes is not None), default=None)
    rows.append(_row("Whole run", found.seconds, whole, span))
    rows.append(_row("Peak memory", found.peak_memory_bytes, peak, _size))
    rows.append(_row("Products", found.product_bytes, product_bytes if published else None, _size))
    return Comparison(tuple(row for row in rows if row.expected != "–"), found.runs)


def _row(name: str, expected: Spread | None, actual: float | None, told: Callable[[float], str]) -> Row:
    known = "–" if actual is None else told(actual)
    if expected is None:
        return Row(name, "–", "–", known)
    return Row(name, told(expected.middle), f"{told(expected.low)} to {told(expected.high)}", known)


def _size(count: float) -> str:
    return size(round(count))


def in_short(found: Estimate) -> str:
    """An estimate in one sentence."""
    memory = f" and {_size(found.peak_memory_bytes.middle)} of memory" if found.peak_memory_bytes else ""
    return f"A forecast takes about {span(found.seconds.middle)}{memory}, by {plural(found.runs, 'earlier run')}"
