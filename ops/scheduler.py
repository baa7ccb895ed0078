"""Starts workers for runs that wait, notes how they ended, takes runs over whose process is gone.

A run is started in three steps, and a crash between any two of them does no harm: its row is made; the row is reserved
for as long as a lease holds; a worker is started, which takes the lease. Whoever dies in between, the reservation ends
and some daemon starts a worker again. Should two workers be started all the same, the lease admits one.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine, or_, select
from sqlalchemy.orm import Session

import db
from db import daemons, leases, orders, runs, tries
from db.schema import Order, Run
from db.states import RunState
from ops import claim, log, process, timetable
from ops.clock import Clock, Monotonic
from ops.daemon.hands import Hand, Hands
from ops.daemon.leases import LeaseWatch
from ops.daemon.plans import Plans
from ops.executors import retries
from ops.executors.base import Exit, Job, Kind, Launcher
from ops.failures import explained

BEATS_PER_LEASE = 4
START_SECONDS = 900.0
"""A worker that has not taken its run after this time, and that of a lease, never will."""
GONE = "the worker gave no sign of life in time, and was killed"


class Scheduler:
    """One daemon's view of the runs. Not safe for threads: whoever has it calls one method at a time."""

    def __init__(
        self,
        engine: Engine,
        plans: Plans,
        launcher: Launcher,
        who: daemons.Identity,
        clock: Clock,
        monotonic: Monotonic,
        is_dead: leases.Death = process.is_dead,
    ) -> None:
        self._engine = engine
        self._plans = plans
        self._settings = plans.settings.daemon
        self._rule = retries.RunRule.of(plans.settings.worker)
        self._lease = timedelta(seconds=plans.settings.lease.seconds)
        self._who = who
        self._clock = clock
        self._monotonic = monotonic
        self._is_dead = is_dead
        self._watch = LeaseWatch(self._lease, monotonic, is_dead)
        self._hands = Hands(launcher)
        self._running: Sequence[Run] = ()
        self._sealed: Sequence[str] = ()
        self._last_beat = float("-inf")

    @property
    def is_settled(self) -> bool:
        """Whether no worker is there and nothing is left to be noted."""
        return self._hands.is_settled

    @property
    def has_workers(self) -> bool:
        """Whether a worker is there."""
        return len(self._hands) > 0

    @property
    def status(self) -> str:
        """What it does, in words."""
        names = ", ".join(self._hands.run_ids)
        return f"{len(self._hands)} of {self._settings.workers} workers busy{': ' if names else ''}{names}"

    def tick(self) -> None:
        """Do whatever is to be done now. Raises what the database raises when it is away; the next tick goes on."""
        self._round(self._fill, self._make_way)

    def drain(self) -> None:
        """Ask the workers to stop and note those that did; to be called until `is_settled`. Raises as `tick`."""
        self._hands.stop_all("the daemon stops")
        self._round()

    def kill(self) -> None:
        """End all workers at once."""
        self._hands.kill_all()

    def leave(self) -> None:
        """Note that this daemon ended by itself."""
        with db.writing(self._engine) as session:
            daemons.stopped(session, self._who, self._clock())

    def _round(self, *further: Callable[[], None]) -> None:
        self._hands.reap()
        try:
            self._beat()
            self._hands.note_ends(self._note_end)
            self._take_over()
            for step in further:
                step()
        except Exception:
            self._watch.forget()
            raise

    def _beat(self) -> None:
        """A sign of life, now and then; with it, runs that are too old are given up, but for those that are sealed."""
        if self._monotonic() - self._last_beat < self._lease.total_seconds() / BEATS_PER_LEASE:
            return
        now, old = self._clock(), timedelta(hours=self._settings.catch_up_hours)
        with db.writing(self._engine) as session:
            daemons.seen(session, self._who, now)
            if self.has_workers:
                tries.keep(session, self._hands.run_ids, now + self._lease)
            for run in tries.outdated(session, now - old, now - old):
                tries.give_up(session, run, f"its cycle is older than daemon.catch_up_hours, {old}", now)
            self._sealed = tries.sealed(session, now - old)
            self._close_orders(session, now)
        self._last_beat = self._monotonic()

    # How tries ended

    def _note_end(self, hand: Hand, ended: Exit) -> None:
        now, kind = self._clock(), Kind.FAILED if hand.stalled else ended.kind
        reason = GONE if hand.stalled else ended.reason
        with db.writing(self._engine) as session:
            run = runs.get(session, hand.job.run_id)
            if run.state in (RunState.PUBLISHED, RunState.CANCELLED) or self._is_with_another(run):
                return
            failures = retries.failures_after(kind, run.failures)
            again = retries.next_try_at(self._rule, kind, failures, now)
            if kind in retries.FAILURES:
                tries.failed(session, run, reason, again, now)
                self._tell_what_follows(session, run, again, failures, now)
            elif run.state == RunState.RUNNING:
                tries.left(session, run, reason, now)
            elif kind is not Kind.TAKEN:
                runs.amend(session, run.id, next_try_at=now)

    def _is_with_another(self, run: Run) -> bool:
        """Whether a process that may be alive works on the run, which is not the worker that ended."""
        owner = leases.holder(run)
        return run.state == RunState.RUNNING and owner is not None and not self._is_dead(owner)

    def _tell_what_follows(
        self, session: Session, run: Run, again: datetime | None, failures: int, now: datetime
    ) -> None:
        follows = f"tried again at {again:%Y-%m-%d %H:%M:%S} UTC" if again else "left to people: `sigmacast runs retry`"
        runs.tell(session, run.id, now, "retry", f"failure {failures} of {self._rule.tries}: {follows}")

    # Runs whose process is gone

    def _take_over(self) -> None:
        with db.reading(self._engine) as session:
            self._running = tries.running(session)
        for run in self._watch.stalled(self._running):
            if run.id in self._hands:
                if not self._is_dead_owner(run):
                    self._hands.give_up(run.id)
                continue
            self._take(run)
        patience = max(START_SECONDS, self._lease.total_seconds())
        for run_id in self._hands.not_begun([run.id for run in self._running], self._monotonic() - patience):
            self._hands.give_up(run_id)

    def _is_dead_owner(self, run: Run) -> bool:
        """Whether the worker has just ended; it is noted when it is reaped."""
        owner = leases.holder(run)
        return owner is not None and self._is_dead(owner)

    def _take(self, run: Run) -> None:
        now, failures = self._clock(), run.failures + 1
        poison = retries.is_poison(self._rule, Kind.FAILED, failures)
        with db.writing(self._engine) as session:
            if tries.orphaned(session, run, None if poison else now, now):
                log.get().warning("a run is taken over", run=run.id, host=run.lease_host, pid=run.lease_pid)
                self._tell_what_follows(session, run, None if poison else now, failures, now)

    def _close_orders(self, session: Session, now: datetime) -> None:
        for order, run in orders.over(session):
            outcome = f"{run.state}: {run.error}" if run.state == RunState.FAILED else run.state
            orders.end(session, order.id, outcome, now)

    # What is started, and what gives way

    def _fill(self) -> None:
        """Start workers while there is room: first for cycles, the newest first, then for orders."""
        room = self._room()
        for job, ordered in self._waiting() if room > 0 else ():
            if self._start(job, ordered):
                room -= 1
            if room <= 0:
                return

    def _room(self) -> int:
        """How many more workers this host may have; those that other daemons started here count too."""
        others = [run for run in self._running if run.id not in self._hands and run.lease_host == self._who.host]
        return self._settings.workers - len(self._hands) - len(others)

    def _waiting(self) -> Iterator[tuple[Job, bool]]:
        with db.reading(self._engine) as session:
            due = self._due(session)
        for run in due:
            yield self._job(run, self._plans.options), False
        with db.reading(self._engine) as session:
            ready = orders.ready(session, self._clock())
        for order in ready:
            run = self._run_of(order)
            if run is not None:
                yield self._job(run, self._plans.with_options(order)), True

    def _due(self, session: Session) -> list[Run]:
        """Runs of wanted cycles, and sealed ones, ready and as they are configured here, the newest cycle first."""
        now = self._clock()
        cycles = timetable.wanted(self._settings.cycles, timedelta(hours=self._settings.catch_up_hours), now)
        wanted = or_(Run.init_time.in_(cycles), Run.id.in_(self._sealed))
        ready = select(Run).where(wanted, tries.is_ready(now)).order_by(Run.init_time.desc())
        mine = [run for run in session.scalars(ready) if run.model_hash == self._plans.model_hash]
        return [run for run in mine if run.config_hash == self._plans.of(run.init_time).plan.identity.config_hash]

    def _run_of(self, order: Order) -> Run | None:
        """The run of an order, made if there is none; None when it is not to be worked on here and now."""
        try:
            wanted = self._plans.of_order(order)
        except Exception as error:
            known = explained(error)
            if known is None:
                raise
            self._refuse(order, str(known))
            return None
        with db.writing(self._engine) as session:
            if order.run_id is not None:
                run = runs.get(session, order.run_id)
                return run if run.config_hash == wanted.plan.identity.config_hash else None
            run = claim.ensure(session, wanted.plan, wanted.store_url, self._clock, order.purpose, again=True)
            if run is None:
                return None
            orders.assign(session, order.id, run.id)
            tries.ask_again(session, run, self._clock())
            return runs.get(session, run.id) if run.state in tries.WAITING else None

    def _refuse(self, order: Order, reason: str) -> None:
        log.get().warning("an order cannot be carried out", order=order.id, reason=reason)
        with db.writing(self._engine) as session:
            orders.end(session, order.id, f"refused: {reason}", self._clock())

    def _job(self, run: Run, options: dict) -> Job:
        purpose = "hindcast" if run.purpose == "hindcast" else "forecast"
        return Job(run.id, run.init_time, self._plans.config, options, purpose)

    def _start(self, job: Job, ordered: bool) -> bool:
        """Reserve the run and start a worker; False when somebody else did, or no process can be started."""
        now = self._clock()
        with db.writing(self._engine) as session:
            if job.run_id in self._hands or not tries.reserve(session, job.run_id, now, now + self._lease):
                return False
        try:
            self._hands.start(job, ordered, self._monotonic())
        except OSError as error:
            log.get().error("no worker can be started", run=job.run_id, reason=str(error))
            return False
        log.get().info("a worker is started", run=job.run_id, ordered=ordered)
        return True

    def _make_way(self) -> None:
        """Stop ordered runs at their window when cycles have waited for them long enough."""
        candidates = self._hands.ordered
        if not candidates or self._room() > 0:
            return
        longest, now = timedelta(seconds=self._settings.order_delay_seconds), self._clock()
        with db.reading(self._engine) as session:
            late = [run for run in self._due(session) if run.next_try_at and now - run.next_try_at >= longest]
        for hand in candidates[: len(late)]:
            hand.stop("a cycle is due")
