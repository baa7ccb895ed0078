"""Tells which runs have lost their process, by a clock that nobody can set."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from db import leases
from db.schema import Run
from ops.clock import Monotonic

Heartbeat = tuple[int, datetime | None]


@dataclass
class LeaseWatch:
    """A run is stalled when its lease was not renewed for as long as a lease holds, while this process watched.

    The times in the row are compared with each other only: another host's clock, or this one's, may be wrong.
    """

    duration: timedelta
    monotonic: Monotonic
    is_dead: leases.Death
    _seen: dict[str, tuple[Heartbeat, float]] = field(default_factory=dict)

    def stalled(self, running: Sequence[Run]) -> list[Run]:
        """Those of the running runs whose process is known to be dead, or gives no sign of life."""
        now = self.monotonic()
        beats = {run.id: (run.lease_token, run.lease_renewed_at) for run in running}
        self._seen = {
            run_id: self._seen[run_id] if run_id in self._seen and self._seen[run_id][0] == beat else (beat, now)
            for run_id, beat in beats.items()
        }
        patience = self.duration.total_seconds()
        return [run for run in running if self._is_dead(run) or now - self._seen[run.id][1] >= patience]

    def _is_dead(self, run: Run) -> bool:
        owner = leases.holder(run)
        return owner is None or self.is_dead(owner)

    def forget(self) -> None:
        """Begin anew, as after a while in which nobody could renew a lease since the database was away."""
        self._seen.clear()
