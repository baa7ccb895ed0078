"""Objects of public buckets, read in ranges through boto3 without credentials.

The waits and retries of boto3 are turned off: `ingest.download` has its own, with a deadline.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import botocore.exceptions
from botocore import UNSIGNED
from botocore.config import Config

from ingest.errors import Broken, Busy, Changed, Denied, Gone, NotYetAvailable, SourceError
from ingest.feed import Part
from ingest.http import blocks_of, retry_after, within

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def public_client(endpoint_url: str | None = None, connections: int = 8, timeout: float = 30.0) -> Any:
    """A client that signs nothing and tries each request once; `timeout` [s] bounds the wait for an answer."""
    config = Config(
        signature_version=UNSIGNED,
        connect_timeout=10.0,
        read_timeout=timeout,
        retries={"total_max_attempts": 1},
        max_pool_connections=connections,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint_url else "auto"},
    )
    return boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1", config=config)


class S3Remote:
    """One object of a bucket."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._known: tuple[int, str | None] | None = None

    @property
    def uri(self) -> str:
        """Its address."""
        return f"s3://{self._bucket}/{self._key}"

    def size(self) -> int:
        """Its length [bytes]; raises SourceError."""
        self._known = None
        with _translated(self.uri):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._key)
        self._known = int(answer["ContentLength"]), answer.get("ETag")
        return self._known[0]

    def version(self) -> str | None:
        """Its ETag as of the last `size`."""
        return self._known[1] if self._known else None

    def read(self, part: Part, timeout: float) -> Iterator[bytes]:
        """The bytes of a range, in blocks; raises SourceError, see `ingest.feed.Remote`."""
        wanted = f"bytes={part.offset}-{part.offset + part.length - 1}"
        condition = {"IfMatch": self.version()} if self.version() else {}
        with _translated(self.uri):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key, Range=wanted, **condition)
        skip = self._offset_within(answer, part)
        with answer["Body"] as body:
            yield from within(part, blocks_of(body, self.uri, timeout), skip, self.uri)

    def _offset_within(self, answer: dict[str, Any], part: Part) -> int:
        """How many bytes of the body come before the range; some servers send the whole object instead."""
        given = answer.get("ContentRange")
        match = _RANGE.fullmatch(given or f"bytes 0-0/{answer.get('ContentLength')}")
        if match is None or (given is not None and int(match[1]) != part.offset):
            raise Broken(f"{self.uri}: expected a range from byte {part.offset}, the server sent {given!r}")
        if self._known and int(match[2]) != self._known[0]:
            raise Changed(f"{self.uri}: expected an object of {self._known[0]} bytes, found {match[2]}; fetch it again")
        return part.offset - int(match[1])


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Errors of boto3 as those of `ingest.errors`."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        raise _error_of(error, uri) from error
    except botocore.exceptions.ParamValidationError as error:
        raise Denied(f"{uri}: the request cannot be made ({error}); check bucket and endpoint") from error
    except (botocore.exceptions.BotoCoreError, OSError) as error:
        raise Busy(f"{uri}: the connection failed ({type(error).__name__}); try again later") from error


def _error_of(error: botocore.exceptions.ClientError, uri: str) -> SourceError:
    answer: Any = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{uri}: the server answered {status}{'' if code == str(status) else f' {code}'}"
    if status == 404:
        return NotYetAvailable(f"{said}; ask again after the source's latency")
    if status == 410:
        return Gone(f"{said}; use another source")
    if status == 412:
        return Changed(f"{said}: it was replaced while it was read; fetch it again")
    if status == 416:
        return Changed(f"{said}: the object is shorter than its index says; fetch both again")
    if status in (408, 425, 429) or status >= 500 or code == "SlowDown":
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return Busy(f"{said}; try again later", retry_after(headers.get("retry-after")))
    return Denied(f"{said}; check bucket and endpoint")
