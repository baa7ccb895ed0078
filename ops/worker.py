"""One process, one run: claim it, keep its lease, take it through its stages, leave it in the right state."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

import db
from db import products, runs
from db.leases import Lease
from forecast import program_cache
from forecast.checkpoint import registry
from forecast.grids import weight_cache
from forecast.times import format_cycle, lead_hours
from ingest.source import Source
from ops import history, log, process
from ops.claim import claim
from ops.clock import Clock, utc_now
from ops.config import Settings
from ops.courier import notifying
from ops.errors import ConfigurationError
from ops.forecaster import Forecaster
from ops.heartbeat import Heartbeat
from ops.plan import Plan, plan
from ops.progress import Progress
from ops.progress_kept import KeptProgress
from ops.recorder import Recorder, paragraph
from ops.signals import Stop, Watch
from ops.sources import opened
from ops.stages import Work, all_stages
from publish.stores import Store, open_store

RUN_AGAIN = "run the same command again: it goes on from what is saved"


@dataclass(frozen=True)
class Outcome:
    """How a run stands at the end of a command: published now, or before."""

    run_id: str
    cycle: datetime
    already: bool
    store_url: str
    manifest_key: str
    chart_keys: tuple[str, ...]
    products: int
    bytes: int
    members: int


def run(
    settings: Settings,
    forecaster: Forecaster,
    progress: Progress,
    *,
    cycle: datetime | None = None,
    run_id: str | None = None,
    fresh: bool = False,
    clock: Clock = utc_now,
) -> Outcome:
    """Forecast the cycle (the newest that the source has, when None) and publish it, or say that this is done already.

    Raises the errors of the rooms, LeaseHeld, QuorumFailed, Interrupted; the run's row tells the same.
    """
    with history.opened(settings.database) as engine:
        weight_cache.keep_in(settings.paths.work / "weights")
        program_cache.keep_in(settings.paths.work / "programs")
        checkpoint = registry.find_model(settings.paths.models, settings.forecast.model)
        source = opened(settings, engine, clock, progress.download)
        store = _store(settings)
        wanted = plan(settings, checkpoint, cycle or source.cycles()[-1])
        taken = claim(engine, wanted, store.url, fresh, clock, run_id)
        me = process.this_process()
        log.bind(run=taken.run_id, cycle=format_cycle(wanted.cycle), worker=f"{me.host}:{me.pid}")
        if taken.lease is None:
            return outcome(engine, taken.run_id, already=True)
        recorder = Recorder(engine, taken.lease, clock, settings.worker.database_seconds)
        work = at_work(recorder, taken.lease, wanted, taken.product, source, store, forecaster, progress)
        with notifying(engine, settings.notify, clock), held(work):
            _carry_out(work)
        return outcome(engine, taken.run_id, already=False)


def at_work(
    recorder: Recorder,
    lease: Lease,
    plan: Plan,
    product: str,
    source: Source,
    store: Store,
    forecaster: Forecaster,
    progress: Progress,
) -> Work:
    """What the stages of a run work with that this process has taken."""
    settings, spec = plan.settings, plan.spec
    duration = timedelta(seconds=settings.lease.seconds)
    heartbeat = Heartbeat(recorder.engine, lease, duration, recorder.clock, recorder.flush)
    kept = KeptProgress(progress, recorder, spec.members, lead_hours(spec.duration))
    watch = Watch(settings.worker.drain_seconds)
    return Work(plan, product, source, store, forecaster, recorder, heartbeat, kept, watch)


def _store(settings: Settings) -> Store:
    try:
        return settings.store.open()
    except ValueError as error:
        raise ConfigurationError(f"the store cannot be opened: {error}") from error


@contextmanager
def held(work: Work) -> Iterator[None]:
    """While the block works on the run its lease is renewed; then the run is left in the right state."""
    with _left_in_the_right_state(work), work.heartbeat.beating(), work.progress:
        work.recorder.enter()
        yield


def _carry_out(work: Work) -> None:
    manifest = all_stages(work)
    work.heartbeat.check()
    count = len(manifest.members)
    work.recorder.publish(f"published with {count} members", members_published=count)


@contextmanager
def _left_in_the_right_state(work: Work) -> Iterator[None]:
    """Failed on an error, interrupted on a signal; untouched when another process has taken the run over."""
    recorder = work.recorder
    try:
        with work.watch.listening():
            yield
    except db.LeaseLost:
        raise
    except Stop as stop:
        error = stop.as_error(f"run {recorder.run_id} was stopped by {stop}; {RUN_AGAIN}")
        told, code = f"stopped by {stop}", error.exit_code
        _recorded(lambda: recorder.interrupt(told, code))
        raise error from None
    except Exception as error:
        failure = error
        if db.is_away(error):
            recorder.hurry()
        _recorded(lambda: recorder.fail(failure))
        raise


def _recorded(end: Callable[[], None]) -> None:
    """Record how the run ended if the database lets us; if not, the lease's end frees the run."""
    try:
        end()
    except (SQLAlchemyError, db.DatabaseError) as reason:
        log.get().error("the end could not be recorded", reason=paragraph(reason))


def outcome(engine: Engine, run_id: str, already: bool) -> Outcome:
    """A published run, from its history."""
    with db.reading(engine) as session:
        row = runs.get(session, run_id)
        manifests = products.of_run(session, run_id, kinds=["manifest"])
        charts = products.of_run(session, run_id, kinds=["chart"])
        count, size = products.count_and_bytes(session, run_id)
    return Outcome(
        run_id=run_id,
        cycle=row.init_time,
        already=already,
        store_url=row.store_url,
        manifest_key=manifests[0].key,
        chart_keys=tuple(chart.key for chart in charts),
        products=count,
        bytes=size,
        members=row.members_published or 0,
    )


def local_path(store_url: str, key: str) -> Path | None:
    """Where an object of a local store is, None for one that is elsewhere."""
    from publish.stores import LocalStore

    store = open_store(store_url)
    return store.path(key) if isinstance(store, LocalStore) else None
