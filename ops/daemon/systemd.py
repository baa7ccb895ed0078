"""What systemd is told, in its own protocol (sd_notify(3)); nothing where no service manager listens."""

import sdnotify

GRACE_MICROSECONDS = 60_000_000


class Systemd:
    """The service manager, if there is one."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        self._status = ""

    def ready(self) -> None:
        """The daemon does its work."""
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
        """The daemon drains."""
        self._notifier.notify("STOPPING=1")

    def patience(self) -> None:
        """Draining goes on: the manager is not to lose patience for another minute."""
        self._notifier.notify(f"EXTEND_TIMEOUT_USEC={GRACE_MICROSECONDS}")
