"""The HTTP server: in a thread of the daemon, or as a process of its own."""

import ipaddress
import threading
import time

import uvicorn
from fastapi import FastAPI

from ops import log
from ops.errors import RunFailed
from ops.web_settings import WebSettings

START_SECONDS = 30.0


def configuration(app: FastAPI, settings: WebSettings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=settings.drain_seconds,
    )


def warn_of_strangers(settings: WebSettings) -> None:
    """Log a warning when other machines can reach the server."""
    if not is_loopback(settings.host):
        log.get().warning(
            "the API listens beyond this machine: put a proxy with TLS before it, keys travel in clear",
            host=settings.host,
            port=settings.port,
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class ServerThread:
    """The server in a thread, for a process that has other work in its main one, and handles the signals."""

    def __init__(self, app: FastAPI, settings: WebSettings) -> None:
        self._settings = settings
        self._server = uvicorn.Server(configuration(app, settings))
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def start(self) -> None:
        """Return when the server answers. Raises RunFailed when it cannot, as when the port is taken."""
        warn_of_strangers(self._settings)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while self._thread.is_alive() and not self._server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        if not self._server.started:
            raise RunFailed(f"nothing can be served on {self._settings.host}, port {self._settings.port}: it is taken")

    def stop(self) -> None:
        """Let requests end, for `web.drain_seconds` at most, and stop."""
        self._server.should_exit = True
        self._thread.join(self._settings.drain_seconds + 5)

    def _serve(self) -> None:
        try:
            self._server.run()
        except SystemExit:
            return
