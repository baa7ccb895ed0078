"""A plain web server over a directory, with single byte ranges, that counts what is asked of it."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


@dataclass
class FileServer:
    """Where the directory is served, and what was sent so far."""

    url: str
    requests: list[str] = field(default_factory=list)
    bytes_sent: int = 0

    def forget(self) -> None:
        """Count from nothing again."""
        self.requests, self.bytes_sent = [], 0


@contextmanager
def served(directory: Path) -> Iterator[FileServer]:
    """Serve a directory on the loopback interface."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    state = FileServer(f"http://127.0.0.1:{httpd.server_address[1]}")
    httpd.directory, httpd.state = directory, state  # pyright: ignore[reportAttributeAccessIssue]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, with_body: bool) -> None:
        server: Any = self.server
        server.state.requests.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        path = server.directory / unquote(self.path.partition("?")[0]).lstrip("/")
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content, status, begin = path.read_bytes(), 200, 0
        total = len(content)
        if found := _RANGE.match(self.headers.get("Range", "")):
            first, last = found.groups()
            begin = int(first) if first else max(total - int(last), 0)
            content, status = content[begin : int(last) + 1 if first and last else total], 206
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{begin + len(content) - 1}/{total}")
        self.end_headers()
        if with_body:
            server.state.bytes_sent += len(content)
            self.wfile.write(content)
