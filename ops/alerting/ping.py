"""The dead man's switch: an address that is called while all is well, and whose owner tells people when it is not.

So people hear of what no alert can tell: of a machine, a network or a daemon that is gone.
"""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import alerts
from db.schema import Daemon
from ops.alert_settings import AlertSettings
from ops.alerts import Kind
from ops.errors import ConfigurationError
from publish.notify import NotDelivered

SERIOUS = frozenset({Kind.LATE, Kind.POISON, Kind.DISK, Kind.DEVICE_LOST})
"""While an alert of these kinds is open, not all is well."""
ALIVE = timedelta(minutes=5)
"""A daemon that gave no sign of life for so long is not at work."""
_ATTEMPT_SECONDS = 10.0


class Ping:
    """Calls the address. The address, which may hold a token, is in no error."""

    def __init__(self, url: str, method: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError("alerts.ping_url: expected an address such as https://hc.example.org/0123")
        self._host, self._url, self._method = parts.hostname, url, method

    def send(self) -> None:
        """Call once. Raises NotDelivered."""
        try:
            answer = requests.request(self._method, self._url, timeout=_ATTEMPT_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise NotDelivered(f"{self._host} did not take a ping: {type(error).__name__}") from None
        if answer.status_code >= 300:
            raise NotDelivered(f"{self._host} did not take a ping: HTTP status {answer.status_code}")


def ping(settings: AlertSettings) -> Ping | None:
    """What is called, None for nothing. Raises ConfigurationError."""
    url = settings.ping_url
    return Ping(url.get_secret_value(), settings.ping_method) if url is not None else None


def is_well(session: Session, now: datetime) -> bool:
    """Whether a daemon is at work and no serious alert is open."""
    alive = select(Daemon.id).where(Daemon.seen_at >= now - ALIVE, Daemon.stopped_at.is_(None)).limit(1)
    if session.scalars(alive).first() is None:
        return False
    return not any(alert.kind in SERIOUS for alert in alerts.standing(session))
