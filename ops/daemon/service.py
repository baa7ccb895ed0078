"""The process of a daemon: a timer that calls, signals that stop it, a service manager that is told.

APScheduler calls `tick` and `look` in threads of their own, so that a feed that answers slowly holds up no worker. Its
timer goes by the clock on the wall; the main thread watches that clock and sets the timer anew when it is set.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

import db
from ops import counters, log
from ops.clock import Clock, Monotonic
from ops.scheduler import Scheduler
from ops.systemd import Systemd

LOOK_SECONDS = 10.0
STEP = timedelta(seconds=2)
"""A clock that goes ahead or behind by more than this, between two looks at it, was set."""
LAST_WORDS_SECONDS = 30.0
"""How long a daemon whose workers have ended waits for a run history that is away."""
AWAY = "waiting for the run history, which does not answer"
DATABASE_ERRORS = (SQLAlchemyError, db.DatabaseError)


class StopRequest:
    """Whether a signal asked to stop, and how often."""

    def __init__(self) -> None:
        self.count = 0
        self._asked = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; whether a signal asked to stop."""
        return self._asked.wait(seconds)

    def ask(self, number: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
        """Ask to stop, as a signal does."""
        self.count += 1
        self._asked.set()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask to stop while the block runs; only the main thread can hear them."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        former = {number: signal.signal(number, self.ask) for number in numbers}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


class ClockWatch:
    """Tells when the clock on the wall was set, by comparing it with one that cannot be."""

    def __init__(self, clock: Clock, monotonic: Monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._before = clock(), monotonic()

    def step(self) -> timedelta | None:
        """By how much it was set since the last call, None when it was not."""
        now = self._clock(), self._monotonic()
        gone = timedelta(seconds=now[1] - self._before[1])
        step = now[0] - self._before[0] - gone
        self._before = now
        return step if abs(step) > STEP else None


class Timer:
    """Calls a function every so often from a thread of its own, one call at a time."""

    def __init__(self, call: Callable[[], None], seconds: float) -> None:
        self._seconds = seconds
        self._timer = BackgroundScheduler(timezone=UTC, executors={"default": DebugExecutor()}, daemon=True)
        options = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._job = self._timer.add_job(
            call, "interval", seconds=seconds, next_run_time=datetime.now(UTC), id=call.__name__, **options
        )

    def start(self) -> None:
        """The first call comes at once."""
        self._timer.start()

    def set_anew(self) -> None:
        """The clock was set: the next call comes after the usual time from now."""
        self._job.reschedule("interval", seconds=self._seconds)

    def stop(self, wait: bool) -> None:
        """No more calls; waits for the one that is under way, or leaves it behind."""
        if wait:
            self._timer.shutdown()
        else:
            self._timer.pause()


class Service:
    """Ticks and looks until a signal comes, then drains.

    `look` is None where no source is watched; `chores` are called after each tick that the history answered, and never
    raise.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        look: Callable[[], object] | None,
        chores: Sequence[Callable[[], object]],
        clock: Clock,
        tick_seconds: float,
    ) -> None:
        self._scheduler = scheduler
        self._look = look
        self._chores = chores
        self._clock = clock
        self._tick_seconds = tick_seconds
        self._systemd = Systemd()
        self._history_answers = True

    def run(self, stop: StopRequest) -> None:
        """Work until the stop is asked for; return when the workers have ended."""
        ticks = Timer(self.tick, self._tick_seconds)
        looks = Timer(self.look, LOOK_SECONDS) if self._look is not None else None
        timers = [ticks, *([looks] if looks else [])]
        for timer in timers:
            timer.start()
        self._systemd.ready()
        log.get().info("the daemon works")
        watch = ClockWatch(self._clock, time.monotonic)
        while not stop.wait(1.0):
            if step := watch.step():
                log.get().warning("the clock was set", by_seconds=round(step.total_seconds(), 1))
                for timer in timers:
                    timer.set_anew()
        self._systemd.stopping()
        if looks:
            looks.stop(wait=False)
        ticks.stop(wait=True)
        self._drain(stop)

    @counters.TICKS.time()
    def tick(self) -> None:
        """One round with the runs. Without a run history there is nothing to do but to stay; an error that nobody
        expected leaves the watchdog without its sign of life.
        """
        try:
            self._scheduler.tick()
        except DATABASE_ERRORS as error:
            counters.TICK_ERRORS.inc()
            self._history_is_away(error)
        except Exception:
            counters.TICK_ERRORS.inc()
            log.get().exception("a tick failed")
            return
        else:
            self._history_is_back()
            for chore in self._chores:
                chore()
        self._systemd.alive()

    def look(self) -> None:
        """One round of looks at the source."""
        if self._look is None:
            return
        try:
            self._look()
        except DATABASE_ERRORS:
            return
        except Exception:
            log.get().exception("a look at the source failed")

    def _history_is_away(self, error: Exception) -> None:
        if self._history_answers:
            reason = db.masked_url(" ".join(str(error).split()))[:300]
            log.get().error("the run history does not answer; the daemon waits for it", reason=reason)
        self._history_answers = False
        self._systemd.status(AWAY)

    def _history_is_back(self) -> None:
        if not self._history_answers:
            log.get().info("the run history answers again")
        self._history_answers = True
        self._systemd.status(self._scheduler.status)

    def _drain(self, stop: StopRequest) -> None:
        """Have the workers stop at their windows and note it; a second signal kills them.

        A history that is away is waited for only where an end is to be noted.
        """
        log.get().info("the daemon stops: workers save their windows")
        patience = time.monotonic() + LAST_WORDS_SECONDS
        while True:
            try:
                self._scheduler.drain()
                if self._scheduler.is_settled:
                    self._scheduler.leave()
                    return
            except DATABASE_ERRORS as error:
                self._history_is_away(error)
                if self._scheduler.is_settled:
                    return
            if self._scheduler.has_workers:
                patience = time.monotonic() + LAST_WORDS_SECONDS
            elif time.monotonic() > patience:
                log.get().error("the run history does not answer; the next daemon finds out how the workers ended")
                return
            if stop.count > 1:
                self._scheduler.kill()
            self._systemd.patience()
            self._systemd.alive()
            time.sleep(0.2)
