"""The HTTP server: in a thread of the daemon, or as one or several processes of its own."""

import functools
import gc
import ipaddress
import os
import signal
import socket
import threading
import time
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

import db
from ops import log
from ops.clock import utc_now
from ops.config import Settings
from ops.errors import RunFailed
from ops.systemd import Systemd
from ops.web import lifesign
from ops.web.app import create
from ops.web_settings import WebSettings

START_SECONDS = 60
BACKLOG = 2048
CONNECTIONS = 1000
"""More than so many at once are told to come again later (503)."""


def listening(settings: WebSettings) -> socket.socket:
    """The socket that the server listens on. Raises RunFailed when that cannot be."""
    if not is_loopback(settings.host):
        log.get().warning(
            "other machines can reach the API: put a proxy with TLS before it, or keys travel in clear",
            host=settings.host,
            port=settings.port,
        )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host.strip("[]"), settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise RunFailed(
            f"nothing can be served on {settings.host}, port {settings.port}: "
            f"{os.strerror(error.errno or 0).lower()}; choose others with web.host and web.port"
        ) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def url(settings: WebSettings) -> str:
    """Where the server is reached from this machine."""
    host = f"[{settings.host.strip('[]')}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def run(settings: Settings, listener: socket.socket) -> None:
    """Serve in this process, or in several below it, until a signal; requests under way are answered first."""
    config = configuration(functools.partial(served, settings), settings.web, factory=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _nothing)
    systemd, address = Systemd(), url(settings.web)
    with lifesign.given(systemd, address):
        if settings.web.processes > 1:
            _Processes(config, listener, systemd).run()
        else:
            _Process(config, systemd).run([listener])


class _Process(uvicorn.Server):
    """One that tells the service manager when a signal ends it."""

    def __init__(self, config: uvicorn.Config, systemd: Systemd) -> None:
        super().__init__(config)
        self._systemd = systemd

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._systemd.stopping()
        super().handle_exit(sig, frame)


class _Processes(Multiprocess):
    """Several that tell the service manager when they are to end."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, systemd: Systemd) -> None:
        super().__init__(config, [listener])
        self._systemd = systemd

    def terminate_all(self) -> None:
        self._systemd.stopping()
        super().terminate_all()


def _nothing(_number: int, _frame: Any) -> None:
    """What a signal does that uvicorn has carried out and raises again for whoever else wants it."""


def served(settings: Settings) -> FastAPI:
    """The application in a process of its own. What has been loaded stays: to search it for garbage takes 0.2 s."""
    log.configure(settings.log, log.secrets_of(settings))
    app = create(settings, db.engine(settings.database.url.get_secret_value()), utc_now)
    gc.collect()
    gc.freeze()
    return app


def configuration(app: Any, settings: WebSettings, *, factory: bool = False) -> uvicorn.Config:
    """How uvicorn serves the application, or what the factory makes."""
    return uvicorn.Config(
        app,
        factory=factory,
        workers=settings.processes,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=settings.drain_seconds,
        timeout_worker_healthcheck=START_SECONDS,
    )


class ServerThread:
    """The server in a thread, for a process that has other work in its main one, and handles the signals."""

    def __init__(self, app: FastAPI, settings: WebSettings) -> None:
        self._settings = settings
        self._server = uvicorn.Server(configuration(app, settings))
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def start(self) -> None:
        """Return when the server answers. Raises RunFailed when it cannot, as when the port is taken."""
        self._listener = listening(self._settings)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RunFailed("the HTTP server did not start; the log says why")
            time.sleep(0.02)

    def stop(self) -> None:
        """Let requests end, for `web.drain_seconds` at most, and stop."""
        self._server.should_exit = True
        self._thread.join(self._settings.drain_seconds + 5)

    def _serve(self) -> None:
        self._server.run([self._listener])
