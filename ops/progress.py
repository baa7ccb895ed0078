"""How far a run is: a bar with the time left on a terminal, plain log lines elsewhere."""

import sys
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from ops import log
from ops.commands.output import size

if TYPE_CHECKING:
    from rich.progress import TaskID

OnFetch = Callable[[str, int, int | None], None]
"""Told the feed, and the bytes had so far and in all, None when that is not known."""

LINES_PER_FORECAST = 20


class Progress(Protocol):
    """Told what a run is at."""

    def __enter__(self) -> "Progress": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def stage(self, name: str) -> None:
        """A stage begins."""
        ...

    def download(self, feed: str, had: int, total: int | None) -> None:
        """So many bytes of what is fetched from a feed are there, of so many in all if that is known."""
        ...

    def forecast(self, lead_time: timedelta, member_hours: float, total_member_hours: float) -> None:
        """The ensemble has reached this lead time and has so many hours, summed over members, behind it."""
        ...


def for_this_output() -> Progress:
    """A bar when the standard error is a terminal, else log lines."""
    return BarProgress() if sys.stderr.isatty() else LogProgress()


class LogProgress:
    """A log line per stage, and about twenty per forecast."""

    def __init__(self) -> None:
        self._told = -1
        self._downloaded: dict[str, int] = {}

    def __enter__(self) -> "LogProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def stage(self, name: str) -> None:
        """One line."""
        log.get().info("stage", stage=name)

    def download(self, feed: str, had: int, total: int | None) -> None:
        """One line for every tenth of the way."""
        tenth = int(10 * had / total) if total else 0
        if tenth != self._downloaded.get(feed):
            self._downloaded[feed] = tenth
            log.get().info("download", feed=feed, bytes=had, total=total)

    def forecast(self, lead_time: timedelta, member_hours: float, total_member_hours: float) -> None:
        """One line for every twentieth of the way."""
        twentieth = int(LINES_PER_FORECAST * member_hours / total_member_hours)
        if twentieth > self._told:
            self._told = twentieth
            percent = round(100 * member_hours / total_member_hours)
            log.get().info("forecast", lead_time_hours=lead_time // timedelta(hours=1), percent=percent)


class BarProgress:
    """A rich progress bar over members times lead time, with the time gone and the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        left = TimeLeft(elapsed_when_finished=False)
        self._bar = Progress(
            *columns, TextColumn("left"), left, console=Console(stderr=True), speed_estimate_period=120
        )
        self._task = self._bar.add_task("starting", total=None)
        self._downloads: dict[str, TaskID] = {}

    def __enter__(self) -> "BarProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def stage(self, name: str) -> None:
        """Show the stage's name."""
        while self._downloads:
            self._bar.remove_task(self._downloads.popitem()[1])
        self._bar.update(self._task, description=name, refresh=True)

    def download(self, feed: str, had: int, total: int | None) -> None:
        """Move the feed's own bar."""
        if feed not in self._downloads:
            self._downloads[feed] = self._bar.add_task(feed, total=total)
        self._bar.update(self._downloads[feed], completed=had, total=total, description=f"{feed}, {size(had)}")

    def forecast(self, lead_time: timedelta, member_hours: float, total_member_hours: float) -> None:
        """Move the bar; what a resumed run had done before does not count as speed."""
        if self._bar.tasks[0].total is None:
            self._bar.reset(self._task, total=total_member_hours, completed=int(member_hours))
        days = lead_time / timedelta(days=1)
        self._bar.update(self._task, completed=member_hours, description=f"forecast, day {days:g}", refresh=True)
