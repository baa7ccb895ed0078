"""The course of a forecast as the worker watches it: how far it is, what it takes, and where it stops when asked to."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import db
from forecast.frame import Frame
from ops.forecaster import Forecast
from ops.progress import Progress
from ops.recorder import Recorder
from ops.signals import Watch
from ops.tries import Batch


class Course:
    """Hears what the forecast reports, from whatever thread, and keeps it with the run."""

    def __init__(self, progress: Progress, recorder: Recorder, watch: Watch, batch: Batch) -> None:
        self._progress = progress
        self._recorder = recorder
        self._watch = watch
        self._batch = batch
        self._forecast: Forecast | None = None

    def of(self, forecast: Forecast) -> Forecast:
        """The forecast, which this is the course of."""
        self._forecast = forecast
        return forecast

    @contextmanager
    def frames(self, from_lead: timedelta) -> Iterator[Iterator[Frame]]:
        """The frames of the forecast from a lead time on; how long they were being made and used is kept."""
        if self._forecast is None:
            raise RuntimeError("there is no forecast yet")
        began = time.monotonic()
        try:
            with closing(self._forecast.frames(from_lead)) as frames:
                yield frames
        except Exception:
            self._note_batch()
            raise
        finally:
            self._recorder.device_seconds += time.monotonic() - began

    def drain_if_asked(self) -> None:
        """Let the frames end with the window that they are in, once it is saved, when the worker is to stop."""
        if self._watch.asked is not None and self._forecast is not None:
            self._forecast.drain()

    def reached(self, lead_time: timedelta, member_hours: float, total_member_hours: float) -> None:
        """Told by the forecast."""
        try:
            self._note_batch()
            self._progress.forecast(lead_time, member_hours, total_member_hours)
        except db.LeaseLost:
            return  # the worker is told by its heartbeat, in the thread that can end the run

    def _note_batch(self) -> None:
        size = self._forecast.batch_size if self._forecast is not None else None
        if size is not None and size != self._batch.used:
            self._batch.used = size
            self._recorder.note(batch_size=size)
