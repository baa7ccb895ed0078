"""A service manager that listens, for processes that tell it how they are."""

import socket
from pathlib import Path


class Manager:
    """Keeps what it is told in `told`; whoever tells it much must be listened to now and then."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify")
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(0.0)

    def listen(self) -> list[str]:
        """All that was told so far."""
        while True:
            try:
                self.told.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.told

    def close(self) -> None:
        self._socket.close()
