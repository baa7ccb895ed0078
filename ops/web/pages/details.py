"""All that there is to know of one run."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db import alerts, overview, products, runs, stages, workers
from db.overview import File, Kind
from db.schema import Alert, Attempt, Event, Input, MemberLoss, Run, Worker
from db.states import RunState
from ops.config import Settings
from ops.executors.logs import tail
from ops.web.pages import current, expected
from ops.web.pages.gantt import Gantt, gantt

CHART = "chart"
LOG_LINES = 60
"""Lines of the log that are shown."""
INPUTS = 200
"""Inputs that are listed."""
NOT_TO_DOWNLOAD = frozenset({"index", "inventory", "zarr part"})
"""Kinds of objects that programs read beside others, and nobody by hand."""


@dataclass(frozen=True)
class Picture:
    """A chart of the run, and its title in words."""

    key: str
    title: str
    plume: bool

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True)
class Details:
    """What the page of a run shows."""

    run: Run
    standing: str
    activity: current.Activity | None
    attempts: Sequence[Attempt]
    gantt: Gantt | None
    inputs: Sequence[Input]
    input_bytes: int
    losses: Sequence[MemberLoss]
    pictures: tuple[Picture, ...]
    kinds: Sequence[Kind]
    whole_run: Sequence[File]
    lead_times: Sequence[tuple[int, int, int]]
    workers: Sequence[Worker]
    events: Sequence[Event]
    alerts: Sequence[Alert]
    objective: timedelta
    comparison: expected.Comparison | None
    log: Sequence[str]

    @property
    def lateness(self) -> timedelta | None:
        """How long after the objective it was published, negative for before; None while it is not."""
        run = self.run
        delay = overview.delay(run.state, run.purpose, run.init_time, run.ended_at)
        return None if delay is None else delay - self.objective

    @property
    def plan(self) -> dict[str, Any] | None:
        """How the analysis was put together, by the source's plan; None for a source without one."""
        return (self.run.provenance or {}).get("plan")

    @property
    def degradations(self) -> list[str]:
        """In what the start was worse than planned, and why."""
        return [f"{each['mode']}: {each['what']}; {each['why']}" for each in (self.plan or {}).get("degraded", ())]

    @property
    def objects(self) -> int:
        """How many objects there are in the store."""
        return sum(each.count for each in self.kinds)

    @property
    def bytes(self) -> int:
        """Their size together."""
        return sum(each.bytes for each in self.kinds)


def details(session: Session, settings: Settings, run_id: str, now: datetime) -> Details:
    """Everything of the run of this name, of the beginning of it, or of the latest. Raises UnknownRun."""
    run = runs.find(session, run_id)
    run_id = run.id
    attempts = stages.attempts(session, run_id)
    inputs = products.inputs(session, run_id)
    begun, processes = stages.of_run(session, run_id), workers.of_run(session, run_id)
    kinds = overview.product_kinds(session, run_id)
    over = run.state in (RunState.PUBLISHED, RunState.CANCELLED)
    return Details(
        run=run,
        standing=overview.standing(run.state, run.retracted_at, run.superseded_by),
        activity=None if over else current.activity(session, run, now),
        attempts=attempts,
        gantt=gantt(attempts, now),
        inputs=inputs[:INPUTS],
        input_bytes=sum(each.bytes for each in inputs),
        losses=products.losses(session, run_id),
        pictures=pictures(overview.of_kind(session, run_id, CHART)),
        kinds=kinds,
        whole_run=overview.of_whole_run(session, run_id, NOT_TO_DOWNLOAD | {CHART}),
        lead_times=overview.lead_times(session, run_id),
        workers=processes,
        events=overview.last_events(session, run_id),
        alerts=alerts.of_run(session, run_id),
        objective=settings.alerts.objective(run.init_time),
        comparison=expected.comparison(session, run, begun, processes, sum(each.bytes for each in kinds)),
        log=_log(processes),
    )


def _log(processes: Sequence[Worker]) -> list[str]:
    """The last lines of the last process's log, where it is on this machine and still there."""
    last = processes[-1] if processes else None
    if last is None or last.log_path is None or last.host != socket.gethostname():
        return []
    return tail(Path(last.log_path), LOG_LINES)


def pictures(files: Sequence[File]) -> tuple[Picture, ...]:
    """The charts: maps first, then plumes, each in the order of their names."""
    found = [Picture(each.key, title(each.key), "plume-" in each.key.rpartition("/")[2]) for each in files]
    return tuple(sorted(found, key=lambda each: (each.plume, each.key)))


_SUBJECTS = {
    "z500": "Height at 500 hPa",
    "msl": "Mean sea level pressure",
    "t850": "Temperature at 850 hPa",
    "tcwv": "Water vapour",
    "wind250": "Wind at 250 hPa",
    "wind850": "Wind at 850 hPa",
    "plume": "Plume",
}
_REST = {
    "mean-spread": "mean and spread",
    "above-15": "chance of more than 15 m/s",
    "below-0": "chance of frost",
    "spaghetti-north": "contours of all members, north",
    "spaghetti-south": "contours of all members, south",
}


def title(key: str) -> str:
    """What the file of a chart shows: 20261121000000-0h-enfo-z500-mean-spread.png is of the height at 500 hPa."""
    name = key.rpartition("/")[2].removesuffix(".png")
    for mark, subject in _SUBJECTS.items():
        before, found, rest = name.partition(f"{mark}-")
        if found and (not before or before.endswith("-")):
            told = _REST.get(rest) or rest.replace("-", " ")
            return f"{subject}: {told.title() if mark == 'plume' else told}"
    return name.replace("-", " ")
