"""The S3 client: how it is asked, and what its errors mean."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from publish.stores.base import (
    ObjectChanged,
    ObjectDamaged,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    require_key,
)
from publish.stores.retrying import Deadline, persistently

_NOT_FOUND = frozenset({"404", "NoSuchKey", "NotFound"})
_CONDITION = frozenset({"412", "PreconditionFailed"})
_TRANSIENT = frozenset(
    {
        "409",
        "BadDigest",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InvalidDigest",
        "OperationAborted",
        "RequestTimeout",
        "XAmzContentSHA256Mismatch",
    }
)
"""Refusals of this request, not of its like: it was damaged or cut on its way, or met another one."""

T = TypeVar("T")


@dataclass(frozen=True)
class S3Options:
    """How objects are kept, and how long the server is asked.

    `deadline_seconds` bounds one request with its retries, `timeout_seconds` the silence within one try. A file
    larger than `part_bytes` travels as so many requests. `encryption` is AES256 or aws:kms, with `kms_key_id`.
    """

    deadline_seconds: float = 300.0
    timeout_seconds: float = 60.0
    part_bytes: int = 16 << 20
    encryption: str | None = None
    kms_key_id: str | None = None
    storage_class: str | None = None

    @property
    def of_objects(self) -> dict[str, str]:
        """What is said of every object that is stored."""
        said = {
            "ServerSideEncryption": self.encryption,
            "SSEKMSKeyId": self.kms_key_id,
            "StorageClass": self.storage_class,
        }
        return {name: value for name, value in said.items() if value is not None}


class TimedBody(io.BytesIO):
    """Bytes to be sent, which end in StoreUnavailable when sending them takes too long."""

    def __init__(self, content: bytes, deadline: Deadline) -> None:
        super().__init__(content)
        self._deadline = deadline

    def read(self, size: int | None = -1, /) -> bytes:
        """See io.BytesIO.read."""
        self._deadline.check()
        return super().read(size)


class Bucket:
    """What lies below a prefix in one bucket, asked for until the server answers, refuses, or has taken too long."""

    def __init__(self, name: str, prefix: str, endpoint_url: str | None, options: S3Options) -> None:
        self.name = name
        self.prefix = prefix
        self.options = options
        self._where = f"bucket {name}" + (f" at {endpoint_url}" if endpoint_url else "")
        with self.translated("anything"):
            self.client = _client(endpoint_url, options)

    def named(self, key: str) -> dict[str, str]:
        """The parameters that name an object in a request. Raises InvalidKey."""
        return {"Bucket": self.name, "Key": self.prefix + require_key(key)}

    def ask(self, key: str, action: Callable[[Deadline], T]) -> T:
        """What the action gives; the errors of the client library become the store's."""

        def once(deadline: Deadline) -> T:
            deadline.check()
            with self.translated(key):
                return action(deadline)

        return persistently(self.options.deadline_seconds, once)

    @contextmanager
    def translated(self, key: str) -> Iterator[None]:
        """The client library's errors as the store's."""
        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise StoreDenied(
                f"no S3 credentials for {self._where}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({error})"
            ) from None
        except ClientError as error:
            raise self._store_error(error, key) from error
        except (BotoCoreError, OSError) as error:
            raise StoreUnavailable(f"{self._where} could not be reached or used for {key}: {error}") from error

    def _store_error(self, error: ClientError, key: str) -> StoreError:
        answer = error.response.get("Error", {})
        code, told = str(answer.get("Code", "")), answer.get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        if code in _NOT_FOUND:
            return ObjectNotFound(f"no object {key} in {self._where}")
        if code in _CONDITION:
            return ObjectChanged(f"{self._where} has another version of {key}")
        if status == 416:
            return ObjectDamaged(f"{key} in {self._where} is shorter than what was published")
        if status >= 500 or status in (408, 429) or code in _TRANSIENT:
            return StoreUnavailable(f"{self._where} failed for {key} ({code}): {told}")
        return StoreDenied(
            f"{self._where} refuses {key} ({code}): {told}; check bucket, endpoint and credentials, and options"
        )


def _client(endpoint_url: str | None, options: S3Options) -> Any:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        response_checksum_validation="when_required",
        connect_timeout=min(10.0, options.timeout_seconds),
        read_timeout=options.timeout_seconds,
        s3={"addressing_style": "path"} if endpoint_url else {},
    )
    try:
        return boto3.Session().client("s3", endpoint_url=endpoint_url, config=config)
    except ValueError as error:
        raise StoreDenied(f"expected an endpoint such as https://s3.example.org, got {endpoint_url!r}") from error
