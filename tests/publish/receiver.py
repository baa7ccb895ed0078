"""A receiver of notices on the loopback interface, which fails as it is told to before it takes one."""

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Got:
    """One request."""

    path: str
    headers: Message
    body: bytes


class Receiver:
    """`faults` are answered in turn: an HTTP status, or "cut" for a connection that is closed; then 200 for ever."""

    def __init__(self, faults: Sequence[int | str] = ()) -> None:
        self.got: list[Got] = []
        self.faults = list(faults)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(Got(self.path, self.headers, body))
                fault = receiver.faults.pop(0) if receiver.faults else 200
                if fault == "cut":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(int(fault))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                del args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
