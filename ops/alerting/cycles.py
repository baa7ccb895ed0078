"""Rules about cycles: published too late, started worse than planned, a feed that does not come."""

from datetime import datetime, timedelta

from sqlalchemy import select

from db import arrivals
from db.schema import Alert, Arrival, Run
from db.states import RunState
from ops import timetable
from ops.alerting.scene import LOOK_BACK, Finding, Rule, Scene, cycle_name, hour, span
from ops.alerts import Kind
from ops.config import Settings
from ops.ingest_settings import CHAINS


def feeds(settings: Settings) -> tuple[str, ...]:
    """The feeds that the source is made of; none for a source that is not."""
    return settings.ingest.chain or CHAINS.get(settings.source.name, ())


def _late(scene: Scene) -> list[Finding]:
    """Cycles past their objective that nobody has published, unless somebody cancelled them."""
    objective = scene.settings.alerts.objective
    return [
        _late_finding(scene, cycle)
        for cycle in expected(scene)
        if cycle + objective(cycle) <= scene.now and scene.published(cycle) is None and not _given_up(scene, cycle)
    ]


def expected(scene: Scene) -> list[datetime]:
    """Cycles that a daemon was there for, or that somebody began."""
    cycles = timetable.cycles(scene.settings.daemon.cycles, scene.now - LOOK_BACK, scene.now)
    since = scene.watched_since
    return [one for one in cycles if scene.of_cycle(one) or (since is not None and one >= since)]


def lateness(scene: Scene, cycle: datetime) -> timedelta | None:
    """How long after its objective a cycle was published, negative if before; for one that is not, how late it is by
    now. None while it need not be published yet.
    """
    due, done = cycle + scene.settings.alerts.objective(cycle), scene.published(cycle)
    if done is not None and done.ended_at is not None:
        return done.ended_at - due
    return scene.now - due if scene.now >= due else None


def _given_up(scene: Scene, cycle: datetime) -> bool:
    runs = scene.of_cycle(cycle)
    return bool(runs) and all(run.state == RunState.CANCELLED for run in runs)


def _subject(scene: Scene, cycle: datetime) -> str:
    return f"{scene.settings.forecast.model} {cycle_name(cycle)}"


def _late_finding(scene: Scene, cycle: datetime) -> Finding:
    objective = scene.settings.alerts.objective(cycle)
    runs = scene.of_cycle(cycle)
    stands = f"run {runs[-1].id} is {runs[-1].state}" if runs else "no run was begun"
    return Finding(
        _subject(scene, cycle),
        f"not published {span(objective)} after its cycle, when it was to be: {stands}",
        runs[-1].id if runs else None,
    )


def _in_time_again(scene: Scene, alert: Alert) -> str | None:
    if not alert.subject.startswith(f"{scene.settings.forecast.model} "):
        return None
    cycle = datetime.strptime(alert.subject[-17:] + "+0000", "%Y-%m-%d %H UTC%z")
    done = scene.published(cycle)
    if done is not None and done.ended_at is not None:
        after = done.ended_at - cycle - scene.settings.alerts.objective(cycle)
        return f"published at {hour(done.ended_at)}, {span(after)} after its objective, by run {done.id}"
    if _given_up(scene, cycle):
        return "cancelled, and no longer waited for"
    return "never published, and no longer waited for"


def _degraded(scene: Scene) -> list[Finding]:
    """The newest start, when it was worse than planned."""
    run = _last_started(scene)
    worse = _degradations(run)
    if run is None or not worse:
        return []
    message = f"run {run.id} of {cycle_name(run.init_time)} started worse than planned: {'; '.join(worse)}"
    return [Finding(run.model_name, message, run.id)]


def _last_started(scene: Scene) -> Run | None:
    started = [run for run in scene.forecasts if run.provenance is not None]
    return max(started, key=lambda run: run.init_time, default=None)


def _degradations(run: Run | None) -> list[str]:
    plan = (run.provenance or {}).get("plan") if run is not None else None
    found = plan.get("degraded", []) if plan else []
    return [f"{one['what']}: {one['why']}" for one in found]


def _as_planned(scene: Scene, alert: Alert) -> str | None:
    if alert.subject != scene.settings.forecast.model:
        return None
    run = _last_started(scene)
    return f"run {run.id} of {cycle_name(run.init_time)} started as planned" if run else "no run has started since"


def _feed(scene: Scene) -> list[Finding]:
    """Cycles that a feed has not brought although nine in ten were there, for some time."""
    margin = timedelta(hours=scene.settings.alerts.feed_margin_hours)
    found = []
    for row in _awaited(scene):
        habit = arrivals.habit(scene.session, row.source, row.init_time.hour)
        if habit is not None and row.init_time + habit.late + margin <= scene.now:
            found.append(_feed_finding(row, row.init_time + habit.late))
    return found


def _awaited(scene: Scene) -> list[Arrival]:
    """Incomplete cycles of the last day that were asked for and not published without this feed."""
    query = select(Arrival).where(
        Arrival.source.in_(feeds(scene.settings)),
        Arrival.complete_at.is_(None),
        Arrival.init_time >= scene.now - timedelta(days=1),
    )
    rows = scene.session.scalars(query.order_by(Arrival.init_time)).all()
    wanted = scene.settings.daemon.cycles
    return [row for row in rows if row.init_time.hour in wanted and scene.published(row.init_time) is None]


def _feed_finding(row: Arrival, usual: datetime) -> Finding:
    message = f"not complete when last looked at, {hour(row.incomplete_at)}; nine in ten were by {hour(usual)}"
    return Finding(f"{row.source} {cycle_name(row.init_time)}", message)


def _came(scene: Scene, alert: Alert) -> str | None:
    source, _, rest = alert.subject.partition(" ")
    if source not in feeds(scene.settings) or not rest:
        return None
    cycle = datetime.strptime(rest + "+0000", "%Y-%m-%d %H UTC%z")
    row = scene.session.get(Arrival, (source, cycle))
    if row is not None and row.complete_at is not None:
        return f"complete at {hour(row.complete_at)}"
    return "published without it" if scene.published(cycle) else "no longer waited for"


RULES = (
    Rule(Kind.LATE, _late, _in_time_again),
    Rule(Kind.DEGRADED, _degraded, _as_planned),
    Rule(Kind.FEED, _feed, _came),
)
