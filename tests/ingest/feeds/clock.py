"""A clock that moves only when somebody waits."""

from ingest.patience import Deadline


class WaitingClock:
    """Seconds from 0 on; `waits` is every wait that was asked for."""

    def __init__(self):
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self):
        return self.now

    def pause(self, event, seconds):
        self.waits.append(seconds)
        self.now += seconds

    def deadline(self, seconds):
        """That many of its seconds from now."""
        return Deadline(self.now + seconds, self, self.pause)
