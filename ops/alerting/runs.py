"""Rules about single runs: failed, given up, taken over from a process that was gone."""

from datetime import timedelta

from sqlalchemy import or_, select

from db.schema import Alert, Event, Run
from db.states import RunState
from ops.alerting.scene import LOOK_BACK, Finding, Rule, Scene, cycle_name, hour, is_published
from ops.alerts import Kind

DONE = (RunState.PUBLISHED.value, RunState.CANCELLED.value)


def _broken(scene: Scene) -> list[Run]:
    """Runs that failed and have not come right since, the retried ones among them, unless another run did it."""
    told = [one.subject for one in scene.open if one.kind == Kind.FAILED]
    failed = or_(Run.state == RunState.FAILED.value, Run.failures > 0, Run.id.in_(told))
    query = select(Run).where(Run.created_at >= scene.now - LOOK_BACK, failed, Run.state.not_in(DONE))
    return [run for run in scene.session.scalars(query.order_by(Run.created_at)) if _published_by(scene, run) is None]


def _published_by(scene: Scene, run: Run) -> Run | None:
    """A published run of the same model and cycle."""
    query = select(Run).where(Run.init_time == run.init_time, Run.model_name == run.model_name)
    return next((one for one in scene.session.scalars(query) if is_published(one)), None)


def _is_poison(run: Run) -> bool:
    """Whether it failed as often as a daemon lets a run fail."""
    return run.state == RunState.FAILED and run.failures > 0 and run.next_try_at is None


def _failed(scene: Scene) -> list[Finding]:
    told = [run for run in _broken(scene) if not _is_poison(run) or scene.is_open(Kind.FAILED, run.id)]
    return [Finding(run.id, _failure(run, _what_follows(run)), run.id) for run in told]


def _what_follows(run: Run) -> str:
    if run.next_try_at is not None:
        return f"tried again at {hour(run.next_try_at)}"
    return "not tried again by itself"


def _failure(run: Run, follows: str) -> str:
    return f"the run of {cycle_name(run.init_time)} failed, and is {follows}: {run.error or 'for an unknown reason'}"


def _poison(scene: Scene) -> list[Finding]:
    given_up = [run for run in _broken(scene) if _is_poison(run)]
    return [Finding(run.id, _failure(run, f"given up after {run.failures} tries"), run.id) for run in given_up]


def _taken_over(scene: Scene) -> list[Finding]:
    """Runs that go on after their process was gone without a word."""
    query = (
        select(Event, Run)
        .join(Run, Run.id == Event.run_id)
        .where(Event.kind == "takeover", Event.at >= scene.now - timedelta(days=1), Run.state.not_in(DONE))
    )
    found = {event.run_id: event for event, _run in scene.session.execute(query.order_by(Event.id)).all()}
    return [Finding(run_id, f"{event.message}, at {hour(event.at)}", run_id) for run_id, event in found.items()]


def _ended(scene: Scene, alert: Alert) -> str | None:
    run = scene.session.get(Run, alert.run_id or alert.subject)
    if run is None:
        return "the run is no longer in the history"
    if is_published(run):
        return f"published at {hour(run.ended_at)}"
    other = _published_by(scene, run)
    if other is not None:
        return f"the cycle was published by run {other.id}"
    return "cancelled" if run.state == RunState.CANCELLED else f"{run.state}, and no longer waited for"


def _tried_again(scene: Scene, alert: Alert) -> str | None:
    run = scene.session.get(Run, alert.run_id or alert.subject)
    if run is not None and run.state not in DONE and not _is_poison(run):
        return "tried again"
    return _ended(scene, alert)


RULES = (
    Rule(Kind.FAILED, _failed, _ended),
    Rule(Kind.POISON, _poison, _tried_again),
    Rule(Kind.LEASE_LOST, _taken_over, _ended),
)
