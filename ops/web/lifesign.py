"""What `sigmacast serve` tells the service manager: that it is ready, and that it lives, when it answers a request.

It asks itself over its own port. So a server whose sockets are there and whose loop or processes hang is found out.
"""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from ops import systemd
from ops.systemd import Systemd

START_PAUSE_SECONDS = 0.1
TRIES_PER_WATCHDOG = 4
LONGEST_ANSWER_SECONDS = 10.0


@contextmanager
def given(manager: Systemd, address: str) -> Iterator[None]:
    """While the block serves at an address, its life is told from a thread; nothing is without a service manager."""
    if not systemd.is_listening():
        yield
        return
    end = threading.Event()
    thread = threading.Thread(target=_tell, args=(manager, address, end), name="lifesign", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()


def _tell(manager: Systemd, address: str, end: threading.Event) -> None:
    while not answers(address):
        if end.wait(START_PAUSE_SECONDS):
            return
    manager.ready()
    manager.status(f"serving on {address}")
    watchdog = systemd.watchdog_seconds()
    if watchdog is None:
        return
    manager.alive()
    while not end.wait(watchdog / TRIES_PER_WATCHDOG):
        if answers(address, min(LONGEST_ANSWER_SECONDS, watchdog / TRIES_PER_WATCHDOG)):
            manager.alive()


def answers(address: str, seconds: float = LONGEST_ANSWER_SECONDS) -> bool:
    """Whether a server answers within so many seconds, were it only that it has too much to do."""
    found = urlsplit(address)
    connection = http.client.HTTPConnection(found.hostname or "", found.port, timeout=seconds)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
