"""The metrics that the run history gives, in groups: each a function from what is seen to its metrics."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import func, or_, select

from db import arrivals, products, stages
from db.schema import AlertNotice, Arrival, Daemon, Event, MemberLoss, Order, Run, Stage, Worker
from db.states import RunState
from ops import timetable
from ops.alerting import cycles
from ops.alerting.ping import ALIVE
from ops.alerting.scene import Scene
from ops.alerts import Kind

Group = Callable[[Scene], Iterator[Metric]]
WAITING = (RunState.CREATED.value, RunState.INTERRUPTED.value)
DAY = timedelta(days=1)
MOST_STAGES = 12
"""More stages of a run than these are not shown: labels must stay few."""


def _daemons(scene: Scene) -> Iterator[Metric]:
    alive = select(func.count()).select_from(Daemon).where(Daemon.seen_at >= scene.now - ALIVE)
    count = scene.session.scalar(alive.where(Daemon.stopped_at.is_(None))) or 0
    yield _gauge("daemons", "Daemons that gave a sign of life in the last five minutes.", count)
    seen = scene.session.scalar(select(func.max(Daemon.seen_at)))
    if seen is not None:
        age = (scene.now - seen).total_seconds()
        yield _gauge("daemon_silence_seconds", "Time since the last sign of life of any daemon.", age)


def _runs(scene: Scene) -> Iterator[Metric]:
    counted = scene.session.execute(select(Run.state, func.count()).group_by(Run.state)).all()
    states = dict.fromkeys((state.value for state in RunState), 0.0) | {name: float(count) for name, count in counted}
    yield _labelled("runs", "Runs in the history.", "state", states)
    retried = (Run.state == RunState.FAILED.value) & Run.next_try_at.is_not(None)
    runs = select(func.count()).select_from(Run).where(or_(Run.state.in_(WAITING), retried))
    orders = select(func.count()).select_from(Order).where(Order.ended_at.is_(None), Order.run_id.is_(None))
    waiting = {"run": scene.session.scalar(runs) or 0, "order": scene.session.scalar(orders) or 0}
    yield _labelled("queue_length", "Runs and orders that wait for a worker.", "what", waiting)
    takeovers = select(func.count()).select_from(Event).where(Event.kind == "takeover")
    yield CounterMetricFamily(
        "sigmacast_lease_losses", "Runs taken over from a process that was gone.", scene.session.scalar(takeovers) or 0
    )


def _cycles(scene: Scene) -> Iterator[Metric]:
    objective, late, delay = {}, {}, {}
    for cycle in reversed(cycles.expected(scene)):
        hour, judged, done = f"{cycle:%H}", cycles.lateness(scene, cycle), scene.published(cycle)
        if judged is not None:
            late[hour] = judged.total_seconds()
        if done is not None and done.ended_at is not None:
            delay[hour] = (done.ended_at - cycle).total_seconds()
    for hour in scene.settings.daemon.cycles:
        some_day = scene.now.replace(hour=hour, minute=0)
        objective[f"{hour:02d}"] = scene.settings.alerts.objective(some_day).total_seconds()
    yield _labelled("cycle_objective_seconds", "When a cycle is to be published, after its time.", "cycle", objective)
    yield _labelled(
        "cycle_lateness_seconds",
        "Publication after the objective, of the last cycle of each hour that is published or late; negative: before.",
        "cycle",
        late,
    )
    yield _labelled(
        "cycle_delay_seconds", "Time from a cycle to its publication, the last of each hour.", "cycle", delay
    )
    yield from _due(scene)


def _due(scene: Scene) -> Iterator[Metric]:
    """When the data of the next cycle that nobody has begun should come, by the habits of the first feed."""
    hours, names = scene.settings.daemon.cycles, cycles.feeds(scene.settings)
    newest = [one for one in timetable.cycles(hours, scene.now - DAY, scene.now)[:1] if not scene.of_cycle(one)]
    cycle = (newest or timetable.upcoming(hours, scene.now, 1))[0]
    habit = arrivals.habit(scene.session, names[0], cycle.hour) if names else None
    expected = timetable.window(cycle, habit).expected
    yield _gauge("next_due_timestamp_seconds", "When the next cycle's data should be there.", expected.timestamp())


def _last(scene: Scene) -> Iterator[Metric]:
    """The forecast that readers have now."""
    query = select(Run).where(Run.state == RunState.PUBLISHED.value, Run.retracted_at.is_(None))
    run = scene.session.scalars(query.order_by(Run.init_time.desc(), Run.created_at.desc()).limit(1)).first()
    if run is None:
        return
    age = (scene.now - run.init_time).total_seconds()
    yield _gauge("data_age_seconds", "Time since the cycle of the newest published forecast.", age)
    if run.started_at is not None and run.ended_at is not None:
        took = (run.ended_at - run.started_at).total_seconds()
        yield _gauge("run_duration_seconds", "Time that it took, from its start to its end.", took)
    took_stages = {
        one.name: (one.ended_at - one.started_at).total_seconds()
        for one in stages.of_run(scene.session, run.id)[:MOST_STAGES]
        if one.ended_at is not None
    }
    yield _labelled("stage_duration_seconds", "Time that each of its stages took.", "stage", took_stages)
    yield _gauge("run_published_bytes", "Size of its products.", products.count_and_bytes(scene.session, run.id)[1])
    published = run.members_published or 0
    yield _gauge("run_members_requested", "Members that it was to have.", run.members_requested)
    yield _gauge("run_members_lost", "Members that it lost.", run.members_requested - published)


def _running(scene: Scene) -> Iterator[Metric]:
    """What is being worked on."""
    rows = scene.session.scalars(select(Run).where(Run.state == RunState.RUNNING.value).order_by(Run.created_at)).all()
    ids = [run.id for run in rows]
    busy = select(func.count()).select_from(Worker).where(Worker.run_id.in_(ids), Worker.ended_at.is_(None))
    yield _gauge("workers", "Processes that work on runs.", scene.session.scalar(busy) or 0)
    still = select(Stage).where(Stage.run_id.in_(ids), Stage.state == "running").order_by(Stage.started_at.desc())
    ages = {one.name: (scene.now - one.started_at).total_seconds() for one in scene.session.scalars(still)}
    yield _labelled(
        "stage_age_seconds", "How long each stage that runs has been running, the longest.", "stage",
        dict(list(ages.items())[:MOST_STAGES]),
    )  # fmt: skip
    progress = next((run.progress for run in reversed(rows) if run.progress), None) or {}
    done, of = progress.get("member_hours"), progress.get("of_member_hours")
    if done is not None and of:
        yield _gauge("run_progress_ratio", "How much of the run in progress is integrated, 0 to 1.", done / of)
    if progress.get("seconds_left") is not None:
        yield _gauge("run_left_seconds", "How long the run in progress will still take.", progress["seconds_left"])


def _work(scene: Scene) -> Iterator[Metric]:
    """What workers used, and how they ended."""
    sums = select(Worker.kind, func.count(), func.sum(Worker.cpu_seconds), func.sum(Worker.device_seconds))
    rows = scene.session.execute(sums.where(Worker.ended_at.is_not(None)).group_by(Worker.kind)).all()
    exits = CounterMetricFamily("sigmacast_worker_exits", "Workers that ended, by how.", labels=["kind"])
    for kind, count, _cpu, _device in rows:
        exits.add_metric([kind or "unknown"], count)
    yield exits
    cpu, device = (sum(float(row[column] or 0.0) for row in rows) for column in (2, 3))
    yield CounterMetricFamily("sigmacast_cpu_seconds", "Processor time that workers used.", cpu)
    yield CounterMetricFamily("sigmacast_device_seconds", "Time that workers held a GPU or other device.", device)
    last = select(Worker.peak_memory_bytes).where(Worker.peak_memory_bytes.is_not(None)).order_by(Worker.id.desc())
    peak = scene.session.scalar(last.limit(1))
    if peak is not None:
        yield _gauge("worker_peak_memory_bytes", "Most memory that the last worker had.", peak)
    lost = scene.session.scalar(select(func.count()).select_from(MemberLoss)) or 0
    yield CounterMetricFamily("sigmacast_members_lost", "Members lost by all runs.", lost)


def _feeds(scene: Scene) -> Iterator[Metric]:
    """The newest complete cycle of each feed."""
    ages, delays = {}, {}
    for feed in cycles.feeds(scene.settings):
        complete = select(Arrival).where(Arrival.source == feed, Arrival.complete_at.is_not(None))
        row = scene.session.scalars(complete.order_by(Arrival.init_time.desc()).limit(1)).first()
        if row is not None and row.complete_at is not None:
            ages[feed] = (scene.now - row.init_time).total_seconds()
            delays[feed] = (row.complete_at - row.init_time).total_seconds()
    yield _labelled("feed_age_seconds", "Time since the newest cycle that a feed has complete.", "feed", ages)
    yield _labelled("feed_delay_seconds", "Time from that cycle until it was seen complete.", "feed", delays)


def _alerts(scene: Scene) -> Iterator[Metric]:
    counts = dict.fromkeys((kind.value for kind in Kind), 0.0)
    for alert in scene.open:
        counts[alert.kind] = counts.get(alert.kind, 0.0) + 1
    yield _labelled("alerts_open", "Alerts that are not resolved.", "kind", counts)
    recent = scene.now - DAY
    failing = select(AlertNotice.channel, func.count()).where(
        AlertNotice.told_at.is_(None), AlertNotice.failures > 0, AlertNotice.claimed_until >= recent
    )
    rows = scene.session.execute(failing.group_by(AlertNotice.channel)).all()
    owed = dict.fromkeys(("webhook", "mail", "command"), 0.0) | {channel: float(count) for channel, count in rows}
    yield _labelled("notices_waiting", "Notices of alerts that a receiver did not take yet.", "channel", owed)


GROUPS: Mapping[str, Group] = {
    "daemons": _daemons,
    "runs": _runs,
    "cycles": _cycles,
    "last": _last,
    "running": _running,
    "work": _work,
    "feeds": _feeds,
    "alerts": _alerts,
}


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sigmacast_{name}", text, value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"sigmacast_{name}", text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
