"""An HTTP proxy on the loopback interface that stands before a real server and does harm, as it is told.

Requests and answers pass unchanged, headers and all, so that signatures stay valid; a fault changes one of them.
"""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Fault(Enum):
    """What happens to a request."""

    UNAVAILABLE = "the server says 503 and does nothing"
    CUT_REQUEST = "the connection ends in the middle of the request"
    CUT_ANSWER = "the connection ends in the middle of the answer"
    LOST_ANSWER = "the server does what it is asked, and the answer never arrives"
    FLIP_UP = "one bit of the request's body is another"
    FLIP_DOWN = "one bit of the answer's body is another"
    SLOW = "the answer trickles"


@dataclass
class _Order:
    fault: Fault
    method: str
    part: str
    times: int


@dataclass
class Proxy:
    """Where the proxy is, what it is to do, and what it has done."""

    upstream: str
    url: str = ""
    chance: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(0))
    done: list[Fault] = field(default_factory=list)
    _orders: list[_Order] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, fault: Fault, method: str = "", part: str = "", times: int = 1) -> None:
        """Do this to the next requests of this method with this part in their path."""
        with self._lock:
            self._orders.append(_Order(fault, method, part, times))

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self._lock:
            fault = self._ordered(method, path)
            if fault is None and self.dice.random() < self.chance:
                fault = self.dice.choice([each for each in Fault if each is not Fault.SLOW])
            if fault is not None:
                self.done.append(fault)
            return fault

    def _ordered(self, method: str, path: str) -> Fault | None:
        for order in self._orders:
            if order.times and method.startswith(order.method) and order.part in path:
                order.times -= 1
                return order.fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        fault = self.proxy.fault_for(self.command, self.path)
        if fault is Fault.CUT_REQUEST:
            self.rfile.read(length // 2)
            return self._hang_up()
        body = self.rfile.read(length)
        if fault is Fault.UNAVAILABLE:
            return self._answer(503, [("Retry-After", "0")], b"<Error><Code>SlowDown</Code></Error>")
        if fault is Fault.FLIP_UP:
            body = flipped(body)
        try:
            status, headers, content = self._ask(body)
        except OSError:
            return self._hang_up()
        if fault is Fault.LOST_ANSWER or (fault is Fault.CUT_ANSWER and not content):
            return self._hang_up()
        return self._answer(status, headers, flipped(content) if fault is Fault.FLIP_DOWN else content, fault)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        parts = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "expect":
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, fault: Fault | None = None) -> None:
        self.send_response_only(status)
        dropped = {"transfer-encoding", "connection"} | (set() if self.command == "HEAD" else {"content-length"})
        for name, value in headers:
            if name.lower() not in dropped:
                self.send_header(name, value)
        if self.command != "HEAD" and status != http.client.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault is Fault.CUT_ANSWER:
            self.wfile.write(content[: len(content) // 2])
            return self._hang_up()
        if fault is Fault.SLOW:
            return self._trickle(content)
        self.wfile.write(content)
        return None

    def _trickle(self, content: bytes) -> None:
        for octet in content:
            self.wfile.write(bytes([octet]))
            time.sleep(0.05)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):
            self.close_connection = True

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()


for _method in ("DELETE", "GET", "HEAD", "POST", "PUT"):
    setattr(_Handler, f"do_{_method}", _Handler._pass_on)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def flipped(content: bytes) -> bytes:
    """The content with one bit in its middle changed; nothing stays nothing."""
    if not content:
        return content
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@contextmanager
def fault_proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy before the server at this address."""
    proxy = Proxy(upstream)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy
        server.shutdown()
