"""Delivers alerts, and calls the dead man's switch, from a thread of its own.

What is owed is read from the run history, so what a killed daemon or an absent receiver left behind goes out later;
a notice is claimed before it is delivered, so that of several daemons one tells. A notice may come twice, with the
same id, when a process is killed between its delivery and the record of it. Only that the history itself is away
does every daemon tell for itself.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

import db
from db import alerts
from db.alerts import Owed
from ops import counters, log
from ops.alert_settings import AlertSettings
from ops.alerting import messages
from ops.alerting.channels import Channel, Message, channels
from ops.alerting.ping import Ping, is_well, ping
from ops.clock import Clock
from publish.notify import NotDelivered

NO_NEWS = timedelta(days=1)
"""What was resolved longer ago is not told any more."""
DATABASE_PATIENCE = timedelta(minutes=2)
"""The run history may be away for so long before people are told."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)
_ROUND_SECONDS = 2.0


class Teller:
    """Works in rounds: what is owed to each channel, oldest first; a channel that is away waits, the others do not."""

    def __init__(self, engine: Engine, settings: AlertSettings, ways: list[Channel], switch: Ping | None, clock: Clock):
        self._engine = engine
        self._settings = settings
        self._ways = {way.name: way for way in ways}
        self._ping = switch
        self._clock = clock
        self._stop = threading.Event()
        self._away_since: datetime | None = None
        self._told_away: dict[str, str] = {}
        self._pinged_at: datetime | None = None

    def round(self) -> int:
        """One round; how many notices were taken. Never raises for a receiver or a database that is away."""
        try:
            with db.reading(self._engine) as session:
                waiting = alerts.owed(session, list(self._ways), self._clock() - NO_NEWS)
                well = self._ping is not None and is_well(session, self._clock())
            self._history_answers()
            count = self._tell_all(waiting)
        except SQLAlchemyError as error:
            self._history_is_away(" ".join(str(getattr(error, "orig", error)).split())[:200])
            return 0
        if well:
            self._ping_when_due()
        return count

    def _tell_all(self, waiting: list[Owed]) -> int:
        count, away = 0, set()
        for each in waiting:
            if each.channel not in away:
                taken = self._tell(each)
                count += taken is True
                if taken is False:
                    away.add(each.channel)
        return count

    def _tell(self, each: Owed) -> bool | None:
        """Whether it was taken; None when another daemon sees to it, or it is not yet time to try again."""
        with db.writing(self._engine) as session:
            alert = alerts.claim(session, each, self._clock(), timedelta(seconds=4 * self._settings.seconds))
        if alert is None:
            return None
        try:
            self._deliver(each.channel, messages.of_alert(alert, each.turn, self._settings))
        except NotDelivered as error:
            with db.writing(self._engine) as session:
                alerts.not_told(session, each, str(error), self._clock(), FIRST_PAUSE, LONGEST_PAUSE)
            return False
        with db.writing(self._engine) as session:
            alerts.told(session, each, list(self._ways), self._clock())
        return True

    def _deliver(self, channel: str, message: Message) -> None:
        try:
            self._ways[channel].deliver(message)
        except Exception as error:
            counters.NOTICES.labels(channel, "refused").inc()
            log.get().warning("an alert waits to be told", channel=channel, title=message.title, reason=str(error))
            if isinstance(error, NotDelivered):
                raise
            raise NotDelivered(f"{channel}: unexpected {type(error).__name__}") from error
        counters.NOTICES.labels(channel, "taken").inc()

    def _history_is_away(self, reason: str) -> None:
        """Told by this process alone, from memory, to each channel until it takes it."""
        now = self._clock()
        self._away_since = self._away_since or now
        if now - self._away_since >= DATABASE_PATIENCE:
            message = messages.of_database(self._away_since, None, db.masked_url(reason), self._settings)
            for channel in [one for one in self._ways if one not in self._told_away]:
                if self._tells(channel, message):
                    self._told_away[channel] = reason

    def _history_answers(self) -> None:
        """Those who were told that it was away are told that it is back, once."""
        if self._away_since is None:
            return
        now = self._clock()
        for channel, reason in list(self._told_away.items()):
            if self._tells(channel, messages.of_database(self._away_since, now, db.masked_url(reason), self._settings)):
                del self._told_away[channel]
        if not self._told_away:
            self._away_since = None

    def _tells(self, channel: str, message: Message) -> bool:
        try:
            self._deliver(channel, message)
        except NotDelivered:
            return False
        return True

    def _ping_when_due(self) -> None:
        now, every = self._clock(), timedelta(seconds=self._settings.ping_seconds)
        if self._ping is None or (self._pinged_at is not None and now - self._pinged_at < every):
            return
        self._pinged_at = now
        try:
            self._ping.send()
        except NotDelivered as error:
            counters.PINGS.labels("refused").inc()
            log.get().warning("the dead man's switch was not reached", reason=str(error))
            return
        counters.PINGS.labels("taken").inc()

    def _work_until_stopped(self) -> None:
        while not self._stop.wait(_ROUND_SECONDS):
            try:
                self.round()
            except Exception:
                log.get().exception("a round of telling failed; the next one comes all the same")

    @contextmanager
    def working(self) -> Iterator[None]:
        """Work while the block runs; at its end nothing is waited for, since what is owed stays owed."""
        thread = threading.Thread(target=self._work_until_stopped, name="teller", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(_ROUND_SECONDS)


@contextmanager
def telling(engine: Engine, settings: AlertSettings, clock: Clock) -> Iterator[None]:
    """Deliver alerts while the block runs, if there is anybody to tell. Raises ConfigurationError."""
    ways, switch = channels(settings), ping(settings)
    if not ways and switch is None:
        yield
        return
    with Teller(engine, settings, ways, switch, clock).working():
        yield
