"""A loopback web server that keeps objects as the providers do: ranges, ETags, HEAD, and their ways to fail.

    with Loopback() as server:
        server.publish("/20260701/00z/file.grib2", content)
        server.inject(Cut(after=1000), at=3)            # the third request loses its connection
        server.inject(Status(503, retry_after=1), path=".index", times=2)
        ... server.url, server.requests

A request is answered by `answer`, which a subclass may override; faults change what is answered.
"""

import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

SLOW_DOWN = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code>'
    "<Message>Please reduce your request rate.</Message><RequestId>0</RequestId></Error>"
)
_CODES = {403: "AccessDenied", 404: "NoSuchKey", 410: "Gone", 416: "InvalidRange", 429: "SlowDown", 503: "SlowDown"}


@dataclass(frozen=True)
class Request:
    """What was asked; `number` counts the requests from 1 in the order of their arrival."""

    number: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def ranges(self) -> str:
        """The header Range, empty when there is none."""
        return self.headers.get("range", "")


@dataclass(frozen=True)
class Answer:
    """What is sent; `length` is the Content-Length when it is not that of the body, -1 for none."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    cut_after: int | None = None
    reset: bool = False
    pause: float = 0.0
    pause_every: int = 1 << 16


class Fault:
    """Something that goes wrong with one answer."""

    def spoil(self, answer: Answer, server: "Loopback", request: Request) -> Answer:
        raise NotImplementedError


@dataclass(frozen=True)
class Status(Fault):
    """An error instead of the answer; 429 and 503 look like SlowDown of S3."""

    status: int
    retry_after: float | str | None = None

    def spoil(self, answer, server, request):
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return error_answer(self.status, headers)


@dataclass(frozen=True)
class Cut(Fault):
    """The body ends after some bytes: with a closed connection, or a reset one."""

    after: int = 0
    reset: bool = False

    def spoil(self, answer, server, request):
        return replace(answer, cut_after=self.after, reset=self.reset)


@dataclass(frozen=True)
class Refuse(Fault):
    """The connection is reset before a byte of the answer."""

    def spoil(self, answer, server, request):
        return replace(answer, cut_after=-1, reset=True)


@dataclass(frozen=True)
class Slow(Fault):
    """A pause [s] before every so many bytes of the body."""

    pause: float
    every: int = 1 << 16

    def spoil(self, answer, server, request):
        return replace(answer, pause=self.pause, pause_every=self.every)


@dataclass(frozen=True)
class Stall(Fault):
    """Nothing for so long [s], then the answer."""

    seconds: float

    def spoil(self, answer, server, request):
        time.sleep(self.seconds)
        return answer


@dataclass(frozen=True)
class WrongLength(Fault):
    """A Content-Length that is off by so many bytes; the connection closes after the body."""

    by: int

    def spoil(self, answer, server, request):
        length = answer.length if answer.length is not None else len(answer.body)
        return replace(answer, length=max(length + self.by, 0), cut_after=len(answer.body))


@dataclass(frozen=True)
class NoLength(Fault):
    """No Content-Length; the connection closes after the body."""

    def spoil(self, answer, server, request):
        return replace(answer, length=-1, cut_after=len(answer.body))


@dataclass(frozen=True)
class IgnoreRange(Fault):
    """All of the object, as if no range was asked for."""

    def spoil(self, answer, server, request):
        headers = {name: text for name, text in request.headers.items() if name != "range"}
        return server.answer(replace(request, headers=headers))


@dataclass(frozen=True)
class Corrupt(Fault):
    """Other bytes from a place of the body on, as many as there were."""

    at: int = 0
    count: int = 16

    def spoil(self, answer, server, request):
        body = bytearray(answer.body)
        spoiled = body[self.at : self.at + self.count]
        body[self.at : self.at + self.count] = bytes(byte ^ 0xFF for byte in spoiled)
        return replace(answer, body=bytes(body))


@dataclass
class _Injection:
    fault: Fault
    at: int | None
    path: str
    method: str
    times: int

    def applies(self, request: Request) -> bool:
        """Whether it strikes this request; it is used up by that."""
        right = self.at in (None, request.number) and self.path in request.path
        if not right or self.times <= 0 or self.method not in ("", request.method):
            return False
        self.times -= 1
        return True


class Loopback:
    """The server, on a free port of 127.0.0.1, from `start` (or `with`) to `stop`."""

    def __init__(self, name: str = "AmazonS3", multiple_ranges: bool = False) -> None:
        self.name = name
        self.multiple_ranges = multiple_ranges
        self.objects: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self._injections: list[_Injection] = []
        self._lock = threading.Lock()
        self._http = _HttpServer(("127.0.0.1", 0), _Handler)
        self._http.loopback = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def publish(self, path: str, content: bytes) -> None:
        """Put an object, or another in its place."""
        self.objects[path] = content

    def inject(self, fault: Fault, at: int | None = None, path: str = "", method: str = "", times: int = 1) -> None:
        """Spoil the answers to the request of that number, or to the next `times` on a path that contains `path`."""
        self._injections.append(_Injection(fault, at, path, method, times))

    def forget(self) -> None:
        """Count the requests from 1 again, and leave out what was injected."""
        with self._lock:
            self.requests.clear()
            self._injections.clear()

    def bytes_asked(self, path: str = "") -> int:
        """The bytes of all ranges asked for with GET."""
        total = 0
        for request in self.requests:
            if request.method == "GET" and path in request.path:
                size = len(self.objects.get(request.path, b""))
                total += sum(stop - start for start, stop in _ranges(request.ranges, size) or [(0, size)])
        return total

    def respond(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer, faults included."""
        url = urlsplit(target)
        with self._lock:
            request = Request(len(self.requests) + 1, method, unquote(url.path), url.query, headers, body)
            self.requests.append(request)
            faults = [injection.fault for injection in self._injections if injection.applies(request)]
        answer = self.answer(request)
        for fault in faults:
            answer = fault.spoil(answer, self, request)
        return answer

    def answer(self, request: Request) -> Answer:
        """The answer of a server in good health."""
        content = self.objects.get(request.path)
        if content is None:
            return error_answer(404)
        headers = {"ETag": etag(content), "Accept-Ranges": "bytes", "Last-Modified": formatdate(0, usegmt=True)}
        headers["Content-Type"] = "binary/octet-stream"
        ranges = _ranges(request.ranges, len(content)) if request.method == "GET" else None
        if ranges is None or (len(ranges) > 1 and not self.multiple_ranges):
            return Answer(200, content, headers)
        if not ranges:
            return error_answer(416, {"Content-Range": f"bytes */{len(content)}"})
        return _partial(content, ranges, headers)


def etag(content: bytes) -> str:
    """What a content is known by."""
    return f'"{hashlib.md5(content).hexdigest()}"'


def error_answer(status: int, headers: dict[str, str] | None = None) -> Answer:
    """An error as S3 words it."""
    body = SLOW_DOWN.replace("SlowDown", _CODES.get(status, "InternalError")).encode()
    return Answer(status, body, {"Content-Type": "application/xml"} | (headers or {}))


def _ranges(header: str, size: int) -> list[tuple[int, int]] | None:
    """Ranges [start, stop) within the object; None when none are asked for, empty when none can be given."""
    if not header.startswith("bytes="):
        return None
    ranges = []
    for first, last in re.findall(r"(\d*)-(\d*)", header.removeprefix("bytes=")):
        if first == "" and last == "":
            continue
        start = int(first) if first else max(size - int(last), 0)
        stop = min(int(last) + 1, size) if last and first else size
        if start < stop:
            ranges.append((start, stop))
    return ranges


def _partial(content: bytes, ranges: list[tuple[int, int]], headers: dict[str, str]) -> Answer:
    spans = [f"bytes {start}-{stop - 1}/{len(content)}" for start, stop in ranges]
    if len(ranges) == 1:
        start, stop = ranges[0]
        return Answer(206, content[start:stop], headers | {"Content-Range": spans[0]})
    boundary = "a1b2c3d4e5"
    body = b""
    for span, (start, stop) in zip(spans, ranges, strict=True):
        head = f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {span}\r\n\r\n"
        body += head.encode() + content[start:stop]
    body += f"\r\n--{boundary}--\r\n".encode()
    return Answer(206, body, headers | {"Content-Type": f"multipart/byteranges; boundary={boundary}"})


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    loopback: Loopback

    def handle_error(self, request, client_address):
        """Clients that go away are none of our errors."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def log_message(self, *arguments):
        pass

    def version_string(self):
        return self.server.loopback.name

    def _handle(self):
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): text for name, text in self.headers.items()}
        answer = self.server.loopback.respond(self.command, self.path, headers, self.rfile.read(length))
        if answer.cut_after is not None:
            self.close_connection = True
        if answer.cut_after != -1:
            self._send(answer)
        if answer.reset:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        if answer.length != -1:
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        if self.command == "HEAD":
            return
        for block in _blocks(answer.body[: answer.cut_after], answer.pause_every):
            time.sleep(answer.pause)
            self.wfile.write(block)
            self.wfile.flush()


def _blocks(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))
