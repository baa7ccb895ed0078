"""Objects of web servers, read in ranges: what their answers mean, in the errors of `ingest.errors`.

Ranges and their answers: RFC 9110, sections 14 and 15.3.7; Retry-After: section 10.2.3.
"""

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from ingest.errors import Broken, Busy, Changed, Denied, Gone, NotYetAvailable, SourceError
from ingest.feed import Part

_BLOCK = 64 * 1024
_CONNECT_SECONDS = 10.0
_NO_HEAD = (405, 501)
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def new_session(connections: int) -> requests.Session:
    """A session that keeps this many connections open to each server and asks for bytes as they are."""
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=connections))
    return session


def without_secrets(url: str) -> str:
    """The address without user, password, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class HttpRemote:
    """An object at an address; `timeout` [s] bounds the wait for the answer to `size`."""

    def __init__(self, url: str, session: requests.Session, timeout: float = 30.0) -> None:
        self._url = url
        self._session = session
        self._timeout = timeout
        self._known: tuple[int, str | None] | None = None

    @property
    def uri(self) -> str:
        """Its address, without credentials."""
        return without_secrets(self._url)

    def size(self) -> int:
        """Its length [bytes], by a HEAD request, or by its first byte where that gives none; raises SourceError."""
        self._known = None
        with self._answer("HEAD", self._timeout, {}, (200, *_NO_HEAD)) as response:
            headers = response.headers if response.status_code == 200 else {}
            self._know(headers.get("Content-Length", ""), headers.get("ETag"))
        if self._known is None:
            with self._answer("GET", self._timeout, {"Range": "bytes=0-0"}) as response:
                of_all = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
                length = of_all[3] if of_all else response.headers.get("Content-Length", "")
                self._know(length, response.headers.get("ETag"))
        if self._known is None:
            raise Broken(f"{self.uri}: expected its length from the server, found none; try another mirror")
        return self._known[0]

    def _know(self, length: str, etag: str | None) -> None:
        if length.isdigit():
            self._known = int(length), etag

    def version(self) -> str | None:
        """Its ETag as of the last `size`."""
        return self._known[1] if self._known else None

    def read(self, part: Part, timeout: float) -> Iterator[bytes]:
        """The bytes of a range, in blocks; raises SourceError, see `ingest.feed.Remote`."""
        wanted = {"Range": f"bytes={part.offset}-{part.offset + part.length - 1}"}
        with self._answer("GET", timeout, wanted) as response:
            skip = self._offset_within(response, part)
            yield from within(part, blocks_of(response.raw, self.uri, timeout), skip, self.uri)

    @contextmanager
    def _answer(
        self, method: str, timeout: float, headers: Mapping[str, str], accepted: Collection[int] = (200, 206)
    ) -> Iterator[requests.Response]:
        limits = (min(timeout, _CONNECT_SECONDS), timeout)
        try:
            response = self._session.request(
                method, self._url, headers=headers, timeout=limits, stream=True, allow_redirects=True
            )
        except requests.Timeout as error:
            raise Busy(f"{self.uri}: no answer within {timeout:.0f} s; try again later") from error
        except requests.ConnectionError as error:
            raise Busy(f"{self.uri}: the connection failed ({_reason(error)}); try again later") from error
        except requests.RequestException as error:
            raise Denied(f"{self.uri}: the request cannot be made ({_reason(error)}); check the address") from error
        with response:
            if response.status_code not in accepted:
                raise _error_of(response, self.uri)
            yield response

    def _offset_within(self, response: requests.Response, part: Part) -> int:
        """How many bytes of the body come before the range; a server may answer with more than was asked for."""
        self._check_version(response.headers.get("ETag"))
        if response.status_code == 200:
            self._check_size(response.headers.get("Content-Length", ""))
            return part.offset
        given = response.headers.get("Content-Range", "")
        match = _RANGE.fullmatch(given)
        if match is None or not int(match[1]) <= part.offset <= int(match[2]):
            raise Broken(f"{self.uri}: expected a range from byte {part.offset}, the server sent {given!r}")
        self._check_size(match[3])
        return part.offset - int(match[1])

    def _check_size(self, length: str) -> None:
        if self._known and length.isdigit() and int(length) != self._known[0]:
            raise Changed(f"{self.uri}: expected an object of {self._known[0]} bytes, found {length}; fetch it again")

    def _check_version(self, etag: str | None) -> None:
        before = self.version()
        if before is not None and etag is not None and etag != before:
            raise Changed(f"{self.uri}: it was replaced while it was read ({before} by {etag}); fetch it again")


def within(part: Part, blocks: Iterable[bytes], skip: int, uri: str) -> Iterator[bytes]:
    """The blocks without the first `skip` bytes, up to the length of the part; raises Broken when they end before."""
    left = part.length
    for block in blocks:
        kept = block[skip : skip + left]
        skip = max(skip - len(block), 0)
        left -= len(kept)
        if kept:
            yield kept
        if left == 0:
            return
    raise Broken(f"{uri}: expected {part.length} bytes from {part.offset}, the last {left} did not come")


def blocks_of(body: Any, uri: str, timeout: float) -> Iterator[bytes]:
    """The body of a response of urllib3, as it comes.

    Raises Busy when nothing comes for `timeout` [s] or a block takes longer than that, Broken when it is cut off.
    """
    come, begun = 0, time.monotonic()
    with _reading(uri, timeout):
        while data := body.read1(_BLOCK):
            yield data
            come += len(data)
            waited = time.monotonic() - begun
            if come >= _BLOCK:
                come, begun = 0, time.monotonic()
            elif waited > timeout:
                raise Busy(f"{uri}: only {come} bytes came in {waited:.0f} s; try again later")


@contextmanager
def _reading(uri: str, timeout: float) -> Iterator[None]:
    try:
        yield
    except urllib3.exceptions.TimeoutError as error:
        raise Busy(f"{uri}: nothing came for {timeout:.0f} s; try again later") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Broken(f"{uri}: the transfer was cut off ({_reason(error)}); fetch it again") from error


def _reason(error: BaseException) -> str:
    """The kind of the innermost error: its text may repeat an address with credentials."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return type(error).__name__


def _error_of(response: requests.Response, uri: str) -> SourceError:
    status = response.status_code
    said = f"{uri}: the server answered {status} {response.reason or ''}".rstrip()
    if status == 404:
        return NotYetAvailable(f"{said}; ask again after the source's latency")
    if status == 410:
        return Gone(f"{said}; use another source")
    if status in (408, 425, 429) or status >= 500:
        return Busy(f"{said}; try again later", retry_after(response.headers.get("Retry-After")))
    if status == 416:
        return Changed(f"{said}: the object is shorter than its index says; fetch both again")
    return Denied(f"{said}; check credentials, licence and address")


def retry_after(text: str | None) -> float | None:
    """Seconds from a header Retry-After, which gives seconds or a date; None when it gives neither."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max((moment.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 0.0)
