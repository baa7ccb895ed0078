"""What systemd is told, in its own protocol (sd_notify(3)); nothing where no service manager listens."""

import os

import sdnotify

GRACE_MICROSECONDS = 60_000_000


def watchdog_seconds() -> float | None:
    """How long this process may be silent before it is taken for hung [s]; None when nobody watches it."""
    watched, microseconds = os.environ.get("WATCHDOG_PID"), os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or watched not in (None, str(os.getpid())):
        return None
    return int(microseconds) / 1e6


def is_listening() -> bool:
    """Whether a service manager is there to be told."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


class Systemd:
    """The service manager, if there is one."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        self._status = ""

    def ready(self) -> None:
        """The service does its work."""
        self._notifier.notify("READY=1")

    def alive(self) -> None:
        """A sign of life for the watchdog."""
        self._notifier.notify("WATCHDOG=1")

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        if text != self._status:
            self._status = text
            self._notifier.notify(f"STATUS={text}")

    def stopping(self) -> None:
        """The service ends what it has begun, and then itself."""
        self._notifier.notify("STOPPING=1")

    def patience(self) -> None:
        """Draining goes on: the manager is not to lose patience for another minute."""
        self._notifier.notify(f"EXTEND_TIMEOUT_USEC={GRACE_MICROSECONDS}")
