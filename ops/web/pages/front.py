"""The first page: is all well, what is going on, what comes next, how it went."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy.orm import Session

from db import alerts, overview
from db import runs as db_runs
from db.overview import Line
from db.schema import Alert
from db.states import RunState
from ops import timetable
from ops.config import Settings
from ops.web.pages import current, expected, lateness, system, upcoming
from ops.web.pages.words import day_and_cycle, plural

DRAWN = 28
"""Cycles in the drawing of lateness."""
RECENT = 8
"""Runs in the list."""
LEARNED_HOURS = 7 * 24
"""How long forecasts take is learned from those of so many hours."""
GRAVE = frozenset({"failed", "poison", "device-lost", "disk", "database"})
"""Kinds of alerts that need somebody now."""


@dataclass(frozen=True)
class Verdict:
    """Everything in one sentence. `state` is ok, attention or bad."""

    state: str
    words: str


@dataclass(frozen=True)
class Front:
    """What the page shows."""

    verdict: Verdict
    newest: Line | None
    alerts: Sequence[Alert]
    active: tuple[current.Activity, ...]
    waiting: tuple[current.Activity, ...]
    coming: Sequence[upcoming.Coming]
    feeds: tuple[str, ...]
    takes: str | None
    chart: lateness.Chart | None
    points: tuple[lateness.Point, ...]
    recent: Sequence[Line]
    system: Sequence[system.Finding]


def front(session: Session, settings: Settings, probe: system.StoreProbe, now: datetime) -> Front:
    """The page's contents, from a few bounded queries."""
    cycles = timetable.wanted(settings.daemon.cycles, timedelta(days=32), now)[:DRAWN]
    since = min(cycles[-1], now - timedelta(hours=settings.daemon.catch_up_hours))
    runs = lateness.best(overview.forecasts_since(session, since))
    complete = _complete(session, settings, since)
    points = lateness.points(cycles, runs, complete, settings.alerts.objective, now)
    unfinished = [current.activity(session, run, now) for run in overview.unfinished(session)]
    open_alerts = alerts.standing(session, limit=20)
    findings = system.findings(session, settings, probe, now)
    newest = next(iter(overview.newest_published(session, 1)), None)
    drawn = any(point.run_id for point in points)
    return Front(
        verdict=verdict(open_alerts, findings, points),
        newest=newest,
        alerts=open_alerts,
        active=tuple(each for each in unfinished if each.run.state == RunState.RUNNING),
        waiting=tuple(each for each in unfinished if each.run.state != RunState.RUNNING),
        coming=upcoming.coming(session, settings, runs, _takes(runs.values(), complete), now),
        feeds=upcoming.feeds_of(settings),
        takes=_in_short(session, newest),
        chart=lateness.chart(points) if drawn else None,
        points=points,
        recent=overview.page(session, overview.Wanted(), RECENT).lines,
        system=findings,
    )


def next_cycles(session: Session, settings: Settings, now: datetime) -> list[upcoming.Coming]:
    """The cycles that are wanted and that nobody works on yet, and the next ones, the nearest first."""
    since = now - timedelta(hours=max(LEARNED_HOURS, settings.daemon.catch_up_hours))
    runs = lateness.best(overview.forecasts_since(session, since))
    takes = _takes(runs.values(), _complete(session, settings, since))
    return upcoming.coming(session, settings, runs, takes, now)


def _complete(session: Session, settings: Settings, since: datetime) -> dict[datetime, datetime]:
    """When the data of each cycle was there: at the last of the feeds that were asked."""
    found: dict[datetime, datetime] = {}
    for row in overview.arrivals_since(session, upcoming.feeds_of(settings), since):
        if row.complete_at is not None:
            found[row.init_time] = max(found.get(row.init_time, row.complete_at), row.complete_at)
    return found


def _takes(lines: Iterable[Line], complete: dict[datetime, datetime]) -> timedelta | None:
    """How long forecasts took of late, from the arrival of their data to their publication: the middle one."""
    spans = [
        (line.ended_at - complete[line.init_time]).total_seconds()
        for line in lines
        if line.state == RunState.PUBLISHED and line.ended_at and line.init_time in complete
    ]
    return timedelta(seconds=median(spans)) if spans else None


def _in_short(session: Session, newest: Line | None) -> str | None:
    """What another forecast like the newest one is expected to take."""
    found = expected.expectation(session, db_runs.get(session, newest.id)) if newest else None
    return expected.in_short(found) if found else None


def verdict(
    open_alerts: Sequence[Alert], findings: Sequence[system.Finding], points: Sequence[lateness.Point]
) -> Verdict:
    """How it stands: by the open alerts, by what was found of the system, and by what the newest cycle came to."""
    bad = [each for each in findings if each.state == "bad"]
    doubtful = [each for each in findings if each.state == "attention"]
    last = next((point for point in reversed(points) if point.kind in _OUTCOMES), None)
    if bad or any(each.kind in GRAVE for each in open_alerts):
        state = "bad"
    else:
        state = "attention" if open_alerts or doubtful or (last and last.kind != "published") else "ok"
    told = [f"{each.subject}: {each.found}" for each in (*bad, *doubtful)[:1]]
    if open_alerts:
        told = [f"{plural(len(open_alerts), 'alert')} open", *told]
    if last is not None:
        told.append(f"{day_and_cycle(last.cycle)} {_OUTCOMES[last.kind]}")
    return Verdict(state, "; ".join(told) or "Nothing is wrong, and nothing was published of late")


_OUTCOMES = {"published": "was published on time", "late": "was published late", "failed": "failed"}
