"""Tries at a stage: what may pass is tried again, what does not fit into memory is tried in smaller batches."""

import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import db
from ops import log, mishaps
from ops.errors import DeviceLost, OutOfMemory, TimedOut
from ops.executors import retries
from ops.executors.retries import StageRule
from ops.mishaps import Mishap
from ops.recorder import paragraph
from ops.signals import Overdue

if TYPE_CHECKING:
    from ops.stages import Work

Result = TypeVar("Result")


class Batch:
    """How many members are advanced together: None leaves it to the model, which then says what it took."""

    def __init__(self, wanted: int | None, did_not_fit: int | None = None) -> None:
        self.wanted = wanted
        self.used = wanted
        if did_not_fit is not None:
            at_most = retries.smaller_batch(did_not_fit) or 1
            self.wanted = self.used = min(wanted or at_most, at_most)

    def shrink(self) -> bool:
        """Take half; False when it is one member already, or when nobody knows how many it was."""
        smaller = retries.smaller_batch(self.used) if self.used else None
        if smaller is not None:
            self.wanted = self.used = smaller
        return smaller is not None


def through(work: "Work", stage: str, action: Callable[[int], Result]) -> Result:
    """Take the run through a stage; `action` is given the number of the try, from one.

    Raises OutOfMemory, DeviceLost and TimedOut, LeaseLost, and what the last try raised.
    """
    rule = StageRule.of(work.plan.settings.worker, stage)
    for tries in itertools.count(1):
        try:
            with work.attempt(stage), work.watch.within(rule.seconds, stage):
                return action(tries)
        except db.LeaseLost:
            raise
        except Overdue as overdue:
            raise TimedOut(f"{overdue}: {rule.seconds:g} s (worker.{stage}_seconds)") from None
        except Exception as error:
            pause = _pause(work, stage, rule, tries, error)
            why = f"{stage} failed and is tried again {_how(work, error, pause)}: {paragraph(error)}"
        log.get().warning("stage is tried again", stage=stage, reason=why)
        work.recorder.tell("retry", why)
        work.watch.point()
        _wait(work, pause)
    raise AssertionError("tries have no end")


def _pause(work: "Work", stage: str, rule: StageRule, tries: int, error: Exception) -> float:
    """How long to wait before the next try [s]; the error, said as what it is, when there is none."""
    mishap = mishaps.of(error)
    if mishap is Mishap.DEVICE:
        raise DeviceLost(f"the device was lost: {' '.join(str(error).split())}") from error
    if mishap is Mishap.MEMORY:
        if stage == "integrate" and work.batch.shrink():
            return 0.0
        raise OutOfMemory(f"out of memory in the stage {stage}: {' '.join(str(error).split())}") from error
    pause = retries.pause_before(rule, tries) if mishap is Mishap.PASSING else None
    if pause is None:
        raise error
    return pause


def _how(work: "Work", error: Exception, pause: float) -> str:
    if mishaps.of(error) is Mishap.MEMORY:
        return f"with {work.batch.wanted} members at a time"
    return f"in {pause:g} s"


def _wait(work: "Work", seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        work.heartbeat.check()
        time.sleep(min(left, 1.0))
