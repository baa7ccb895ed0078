"""How far a run is, shown and kept with it in the history, where the dashboard and the API find it."""

import time
from datetime import timedelta
from types import TracebackType
from typing import Any

from ops.progress import Progress
from ops.recorder import Recorder


class KeptProgress:
    """Shows what another progress shows, and notes it: see `Run.progress` for the document."""

    def __init__(self, shown: Progress, recorder: Recorder, members: int, lead_hours: int) -> None:
        self._shown = shown
        self._recorder = recorder
        self._known: dict[str, Any] = {"members": members, "of_lead_hours": lead_hours}
        self._begun: tuple[float, float] | None = None

    def __enter__(self) -> "KeptProgress":
        self._shown.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shown.__exit__(kind, error, trace)

    def stage(self, name: str) -> None:
        """See Progress.stage."""
        self._shown.stage(name)
        self._begun = None
        self._known |= {"stage": name}
        self._known.pop("seconds_left", None)
        self._keep(at_once=True)

    def download(self, feed: str, had: int, total: int | None) -> None:
        """See Progress.download; not kept."""
        self._shown.download(feed, had, total)

    def forecast(self, lead_time: timedelta, member_hours: float, total_member_hours: float) -> None:
        """See Progress.forecast; the time left is told from the speed of this worker in this stage."""
        self._shown.forecast(lead_time, member_hours, total_member_hours)
        now = time.monotonic()
        self._begun = self._begun or (now, member_hours)
        began, had = self._begun
        self._known |= {
            "lead_hours": lead_time / timedelta(hours=1),
            "member_hours": member_hours,
            "of_member_hours": total_member_hours,
        }
        if member_hours > had:
            speed = (member_hours - had) / (now - began)
            self._known["seconds_left"] = round((total_member_hours - member_hours) / speed)
        self._keep()

    def _keep(self, *, at_once: bool = False) -> None:
        self._recorder.progress(self._known | {"at": self._recorder.clock().isoformat()}, at_once=at_once)
