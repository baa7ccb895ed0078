"""A real browser for the tests: Debian's chromium, driven by playwright; and the server that it looks at."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from tests.servers import free_port, require_server

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 30.0


@contextmanager
def chromium() -> Iterator:
    """A browser; the test is skipped where there is none."""
    found = shutil.which("chromium")
    require_server(found, "chromium is not installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


class Served:
    """An application behind a real HTTP server on the loopback interface; may be stopped and started again."""

    def __init__(self, app: FastAPI) -> None:
        self.app, self.port = app, free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, and return when it answers."""
        settings = uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_level="error", date_header=False)
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing answers on {self.address}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End, with all connections."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)


@contextmanager
def served(app: FastAPI) -> Iterator[Served]:
    """The application, served while the block lasts."""
    server = Served(app)
    server.start()
    try:
        yield server
    finally:
        server.stop()
