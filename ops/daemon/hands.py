"""The workers that a daemon has in hand: started, watched, asked to stop; and those that ended, until that is noted."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from ops import log
from ops.executors.base import Exit, Handle, Job, Launcher


@dataclass
class Hand:
    """A worker, and what was done with it."""

    job: Job
    handle: Handle
    ordered: bool
    since: float
    began: bool = False
    asked_to_stop: bool = False
    stalled: bool = False

    def stop(self, why: str) -> None:
        """Ask it, once, to end at its next saved window."""
        if not self.asked_to_stop:
            self.asked_to_stop = True
            log.get().info("a worker is asked to stop", run=self.job.run_id, why=why)
            self.handle.terminate()


@dataclass
class Hands:
    """All of them."""

    launcher: Launcher
    _busy: dict[str, Hand] = field(default_factory=dict)
    _ended: list[tuple[Hand, Exit]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._busy)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._busy

    @property
    def run_ids(self) -> list[str]:
        """The runs that workers are there for."""
        return list(self._busy)

    @property
    def ordered(self) -> list[Hand]:
        """Workers of ordered runs, the oldest cycle first."""
        return sorted((hand for hand in self._busy.values() if hand.ordered), key=lambda hand: hand.job.cycle)

    @property
    def is_settled(self) -> bool:
        """Whether no worker is there and no end is left to be noted."""
        return not self._busy and not self._ended

    def start(self, job: Job, ordered: bool, now: float) -> None:
        """Start a worker, at a time [s]. Raises what the launcher raises."""
        self._busy[job.run_id] = Hand(job, self.launcher.start(job), ordered, now)

    def not_begun(self, running: Collection[str], before: float) -> list[str]:
        """Runs whose workers were started before a time [s] and were never seen to work; `running` is seen now."""
        for run_id in self._busy.keys() & set(running):
            self._busy[run_id].began = True
        return [run_id for run_id, hand in self._busy.items() if not hand.began and hand.since <= before]

    def stop_all(self, why: str) -> None:
        """Ask every worker to end at its next saved window."""
        for hand in self._busy.values():
            hand.stop(why)

    def kill_all(self) -> None:
        """End every worker at once."""
        for hand in self._busy.values():
            hand.handle.kill()

    def give_up(self, run_id: str) -> None:
        """Kill the worker of a run that gave no sign of life."""
        hand = self._busy[run_id]
        hand.stalled = True
        hand.handle.kill()

    def reap(self) -> None:
        """Look which workers ended."""
        for run_id, hand in list(self._busy.items()):
            ended = hand.handle.poll()
            if ended is not None:
                del self._busy[run_id]
                self._ended.append((hand, ended))
                log.get().info("a worker ended", run=run_id, how=ended.kind.value, code=ended.code, why=ended.reason)

    def note_ends(self, note: Callable[[Hand, Exit], None]) -> None:
        """Note each end once; one for which `note` raises is kept for the next time."""
        while self._ended:
            note(*self._ended[0])
            del self._ended[0]
