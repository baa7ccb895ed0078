"""What becomes of published runs, in the store and in the history: retracted, superseded, removed.

The store is changed first, where readers see it, and the history after it; each step may be done again, so what
was cut off is finished by doing it once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

import db
from db import leases, publications, runs
from db.schema import Run
from db.states import RunState
from ops import process
from ops.clock import Clock
from ops.errors import RunFailed
from publish import discovery, latest, removal, status
from publish.layout import LATEST, status_of
from publish.manifest import parse
from publish.retention import Policy, Standing, StoredRun, expired
from publish.stores import ObjectNotFound, Store

_AT_MOST = timedelta(days=1)
"""How long the removal of one run may take."""


@dataclass(frozen=True)
class Retraction:
    """What a retraction did: the run that `latest.json` points to now, and the runs that stand again."""

    run_id: str
    latest: str | None
    restored: tuple[str, ...]


@dataclass(frozen=True)
class Removal:
    """A run that is, or would be, removed from the store."""

    run_id: str
    standing: Standing
    init_time: datetime
    ended_at: datetime
    objects: int
    bytes: int


def retract(engine: Engine, store: Store, run_id: str, reason: str, clock: Clock) -> Retraction:
    """Withdraw a published run: its status says so, runs that it superseded stand again, the pointer moves back.

    Raises IllegalTransition for a run that is not published, RunFailed for one whose products are gone.
    """
    with db.reading(engine) as session:
        publications.require_published(runs.get(session, run_id))
        restored = {run.id: _status_key(session, run.id) for run in publications.superseded_by(session, run_id)}
        key = _status_key(session, run_id)
    status.retract(store, key, reason, clock)
    for other in restored.values():
        status.supersede(store, other, None, clock)
    for changed in (key, *restored.values()):
        discovery.refresh(store, changed)
    with db.writing(engine) as session:
        publications.retract(session, run_id, reason, clock())
        for other in restored:
            publications.supersede(session, other, None, clock())
        standing = publications.standing(session, runs.get(session, run_id).store_url)
        instead = publications.manifest_key(session, standing[0].id) if standing else None
    latest.withdraw(store, run_id, instead)
    return Retraction(run_id, _latest_run(store), tuple(restored))


def supersede_earlier(engine: Engine, store: Store, run_id: str, clock: Clock) -> list[str]:
    """Mark the standing runs of the same product line and cycle that were published before this one."""
    with db.reading(engine) as session:
        run = runs.get(session, run_id)
        others = [
            (one.id, _status_key(session, one.id))
            for one in publications.standing(session, run.store_url)
            if one.init_time == run.init_time and one.id != run_id and publications.line(one) == publications.line(run)
        ]
    for other, key in others:
        status.supersede(store, key, run_id, clock)
        discovery.refresh(store, key)
        with db.writing(engine) as session:
            publications.supersede(session, other, run_id, clock())
    return [other for other, _ in others]


def _status_key(session: Session, run_id: str) -> str:
    key = publications.manifest_key(session, run_id)
    if key is None:
        raise RunFailed(f"the products of run {run_id} are not in the store any more")
    return status_of(key)


def plan_removal(engine: Engine, store: Store, policy: Policy, clock: Clock) -> list[Removal]:
    """The runs of this store that the policy lets go, the oldest first."""
    pointed = _latest_run(store)
    with db.reading(engine) as session:
        found = publications.stored(session, store.url)
        gone = expired([_stored(run, pointed) for run in found], policy, clock())
        return [_removal(session, run) for run in gone]


def _stored(run: Run, pointed: str | None) -> StoredRun:
    ended = run.ended_at or run.created_at
    pinned = run.pinned_at is not None
    return StoredRun(
        run.id, publications.line(run), run.init_time, ended, _standing(run), pinned, latest=run.id == pointed
    )


def _standing(run: Run) -> Standing:
    if run.state != RunState.PUBLISHED:
        return Standing.UNFINISHED
    if run.retracted_at is not None:
        return Standing.RETRACTED
    return Standing.SUPERSEDED if run.superseded_by is not None else Standing.COMPLETE


def _removal(session: Session, run: StoredRun) -> Removal:
    count, size = len(publications.keys(session, run.run_id)), publications.bytes_of(session, run.run_id)
    return Removal(run.run_id, run.standing, run.init_time, run.ended_at, count, size)


def carry_out(engine: Engine, store: Store, planned: Sequence[Removal], clock: Clock) -> None:
    """Remove the planned runs from the store, one by one, each noted when it is gone.

    Nobody goes on with a run meanwhile: its lease is held. Raises LeaseHeld when somebody does already.
    """
    for one in planned:
        with db.writing(engine) as session:
            lease = leases.acquire(session, one.run_id, process.this_process(), clock(), process.is_dead, _AT_MOST)
            keys = publications.keys(session, one.run_id)
            shared = publications.claimed_by_others(session, one.run_id, keys)
            manifest = publications.manifest_key(session, one.run_id)
        try:
            count = removal.remove(store, one.run_id, keys - shared)
            if manifest is not None:
                discovery.refresh(store, manifest)
            with db.writing(engine) as session:
                publications.removed(session, one.run_id, f"{count} objects removed from {store.url}", clock())
        finally:
            with db.writing(engine) as session:
                leases.release(session, lease)


def _latest_run(store: Store) -> str | None:
    try:
        return parse(store.get(LATEST)).get("run_id")
    except ObjectNotFound:
        return None
