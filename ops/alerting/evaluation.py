"""Opens alerts for what is wrong now, and closes those of what is right again."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

import db
from db import alerts as table
from ops import alerts, log
from ops.alerting import cycles, runs, space
from ops.alerting.scene import Finding, Rule, Scene
from ops.alerts import Kind
from ops.clock import Clock
from ops.config import Settings

RULES: tuple[Rule, ...] = (*cycles.RULES, *runs.RULES, *space.RULES)


@dataclass(frozen=True)
class _Raise:
    kind: Kind
    finding: Finding


@dataclass(frozen=True)
class _Resolve:
    kind: Kind
    subject: str
    reason: str


def evaluate(engine: Engine, settings: Settings, clock: Clock) -> int:
    """Compare what is with what should be; how many alerts were opened or closed. Never raises."""
    now = clock()
    try:
        with db.reading(engine) as session:
            scene = Scene(session, settings, now, table.standing(session))
            changes = [change for rule in RULES for change in _judged(scene, rule)]
    except SQLAlchemyError as error:
        log.get().warning("alerts were not evaluated", reason=" ".join(str(error).split())[:200])
        return 0
    for change in changes:
        if isinstance(change, _Raise):
            one = change.finding
            alerts.raise_(engine, change.kind, one.subject, one.message, now=now, run_id=one.run_id)
        else:
            alerts.resolve(engine, change.kind, change.subject, now=now, reason=change.reason)
    return len(changes)


def _judged(scene: Scene, rule: Rule) -> list[_Raise | _Resolve]:
    """What a rule changes; nothing when it fails, which is no reason for the other rules or the daemon to."""
    try:
        return list(_changes(scene, rule))
    except SQLAlchemyError:
        raise
    except Exception:
        log.get().exception("a rule of alerting failed", kind=rule.kind.value)
        return []


def _changes(scene: Scene, rule: Rule) -> Iterator[_Raise | _Resolve]:
    wrong = {one.subject: one for one in rule.wrong(scene)}
    for subject, finding in wrong.items():
        if not scene.is_open(rule.kind, subject):
            yield _Raise(rule.kind, finding)
    for alert in scene.open:
        if alert.kind == rule.kind and alert.subject not in wrong:
            reason = rule.right(scene, alert)
            if reason is not None:
                yield _Resolve(rule.kind, alert.subject, reason)
