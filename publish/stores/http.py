"""Published objects as anybody can read them, over HTTP."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import HTTPError

from publish.stores.base import (
    ObjectDamaged,
    ObjectInfo,
    ObjectNotFound,
    RangesRefused,
    StoreDenied,
    StoreUnavailable,
    require_key,
    require_range,
)
from publish.stores.retrying import Deadline, blocks, persistently


class HttpReader:
    """Objects below an address; nothing can be written. `seconds` bounds one object with its retries."""

    def __init__(self, url: str, seconds: float = 300.0, timeout_seconds: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"expected an address such as https://data.example.org/forecasts, got {url!r}")
        self._url = url.rstrip("/")
        self._seconds = seconds
        self._timeout = timeout_seconds
        self._session = requests.Session()

    @property
    def url(self) -> str:
        """Address of the store."""
        return self._url

    def get(self, key: str) -> bytes:
        """See Reader.get."""

        def fetch(deadline: Deadline) -> bytes:
            with self._answer("GET", key) as answer:
                return b"".join(_blocks(answer, deadline))

        return persistently(self._seconds, fetch)

    def download(self, key: str, path: Path) -> None:
        """See Reader.download."""
        part = path.parent / f".{path.name}.{uuid.uuid4().hex}.part"

        def fetch(deadline: Deadline) -> None:
            with self._answer("GET", key) as answer, part.open("wb") as file:
                for block in _blocks(answer, deadline):
                    file.write(block)

        try:
            persistently(self._seconds, fetch)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def get_range(self, key: str, begin: int, end: int) -> bytes:
        """See Reader.get_range."""

        def fetch(deadline: Deadline) -> bytes:
            with self._answer("GET", key, {"Range": f"bytes={begin}-{end - 1}"}) as answer:
                if answer.status_code != requests.codes.partial_content:
                    raise RangesRefused(f"{self._url} gives whole objects only")
                return b"".join(_blocks(answer, deadline))

        return require_range(key, persistently(self._seconds, fetch), begin, end)

    def head(self, key: str) -> ObjectInfo | None:
        """See Reader.head; the SHA-256 is not known."""

        def ask(_deadline: Deadline) -> ObjectInfo:
            with self._answer("HEAD", key) as answer:
                return ObjectInfo(key, int(answer.headers.get("Content-Length", 0)))

        try:
            return persistently(self._seconds, ask)
        except ObjectNotFound:
            return None

    @contextmanager
    def _answer(self, method: str, key: str, headers: Mapping[str, str] | None = None) -> Iterator[requests.Response]:
        """The server's answer, with bodies as they are stored; its refusals as the store's errors."""
        address = f"{self._url}/{quote(require_key(key))}"
        try:
            with self._session.request(
                method,
                address,
                stream=True,
                timeout=self._timeout,
                allow_redirects=True,
                headers={"Accept-Encoding": "identity", **(headers or {})},
            ) as answer:
                _require_success(answer, address)
                yield answer
        except (requests.RequestException, HTTPError) as error:
            raise StoreUnavailable(f"{address} could not be fetched: {error}") from error


def _require_success(answer: requests.Response, address: str) -> None:
    status = answer.status_code
    if status in (404, 410):
        raise ObjectNotFound(f"there is nothing at {address}")
    if status >= 500 or status in (408, 429):
        raise StoreUnavailable(f"{address} failed with HTTP status {status}")
    if status == requests.codes.requested_range_not_satisfiable:
        raise ObjectDamaged(f"{address} is shorter than what was published")
    if status not in (requests.codes.ok, requests.codes.partial_content):
        raise StoreDenied(f"{address} is refused with HTTP status {status}")


def _blocks(answer: requests.Response, deadline: Deadline) -> Iterator[bytes]:
    """The body, whole: a connection that was cut raises StoreUnavailable."""
    expected, count = answer.headers.get("Content-Length"), 0
    for block in blocks(answer.raw.read, deadline):
        count += len(block)
        yield block
    if expected is not None and count != int(expected):
        raise StoreUnavailable(f"{answer.url}: {count} bytes came where {expected} were announced")
