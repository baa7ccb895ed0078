"""A store in an S3 bucket, Amazon's or any other server's.

An object appears whole or not at all: a PUT does, and so does the end of a multipart upload. Each
object carries its SHA-256 as user metadata, because checksums of multipart uploads are not those of
the object; the server checks a checksum of what it receives besides.
"""

import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from publish.stores.base import (
    ObjectExists,
    ObjectInfo,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    require_key,
    sha256_of,
    size_of,
)

_DIGEST = "sha256"
_SINGLE_PUT_BYTES = 64 << 20
_TRANSFER = TransferConfig(multipart_threshold=_SINGLE_PUT_BYTES, multipart_chunksize=16 << 20, max_concurrency=4)
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NotFound"})
_TAKEN = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_DENIED = frozenset(
    {
        "401",
        "403",
        "AccessDenied",
        "AllAccessDisabled",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "NoSuchBucket",
        "PermanentRedirect",
        "SignatureDoesNotMatch",
    }
)


class S3Store:
    """Objects in a bucket, below a prefix. Credentials come from the environment."""

    def __init__(self, bucket: str, prefix: str = "", endpoint_url: str | None = None) -> None:
        self._bucket = bucket
        self._prefix = f"{require_key(prefix)}/" if prefix else ""
        self._endpoint = endpoint_url
        with self._translated(""):
            self._client = _client(endpoint_url)

    @property
    def url(self) -> str:
        """Address of the store."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, content: Path | bytes, if_absent: bool = False) -> ObjectInfo:
        """One PUT, or a multipart upload for a large file; see Store.put."""
        info = ObjectInfo(require_key(key), size_of(content), sha256_of(content))
        options: dict[str, Any] = {"Metadata": {_DIGEST: str(info.sha256)}, "ChecksumAlgorithm": "SHA256"}
        if if_absent:
            options["IfNoneMatch"] = "*"
        with self._translated(key):
            if isinstance(content, Path) and info.bytes > _SINGLE_PUT_BYTES and not if_absent:
                self._client.upload_file(
                    str(content), self._bucket, self._prefix + key, ExtraArgs=options, Config=_TRANSFER
                )
            elif isinstance(content, Path):
                with content.open("rb") as file:
                    self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=file, **options)
            else:
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content, **options)
        return info

    def get(self, key: str) -> bytes:
        """See Store.get."""
        with self._translated(require_key(key)):
            buffer = io.BytesIO()
            self._client.download_fileobj(self._bucket, self._prefix + key, buffer, Config=_TRANSFER)
            return buffer.getvalue()

    def download(self, key: str, path: Path) -> None:
        """See Store.download."""
        part = path.parent / f".{path.name}.{uuid.uuid4().hex}.part"
        try:
            with self._translated(require_key(key)):
                self._client.download_file(self._bucket, self._prefix + key, str(part), Config=_TRANSFER)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def head(self, key: str) -> ObjectInfo | None:
        """See Store.head; the SHA-256 is the one given when the object was stored."""
        try:
            with self._translated(require_key(key)):
                found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except ObjectNotFound:
            return None
        return ObjectInfo(key, found["ContentLength"], found.get("Metadata", {}).get(_DIGEST))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See Store.list."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with self._translated(prefix):
            for page in pages:
                for found in page.get("Contents", []):
                    yield ObjectInfo(found["Key"].removeprefix(self._prefix), found["Size"])

    def delete(self, key: str) -> None:
        """See Store.delete."""
        with self._translated(require_key(key)):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """The client library's errors as the store's."""
        where = f"bucket {self._bucket}" + (f" at {self._endpoint}" if self._endpoint else "")
        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise StoreDenied(
                f"no S3 credentials for {where}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({error})"
            ) from None
        except ClientError as error:
            raise _store_error(error, key, where) from error
        except (BotoCoreError, OSError) as error:
            raise StoreUnavailable(f"{where} could not be reached or used for {key or 'anything'}: {error}") from error


def _client(endpoint_url: str | None) -> Any:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 6},
        connect_timeout=10,
        read_timeout=60,
        s3={"addressing_style": "path"} if endpoint_url else {},
    )
    try:
        return boto3.Session().client("s3", endpoint_url=endpoint_url, config=config)
    except ValueError as error:
        raise StoreDenied(f"expected an endpoint such as https://s3.example.org, got {endpoint_url!r}") from error


def _store_error(error: ClientError, key: str, where: str) -> StoreError:
    answer = error.response.get("Error", {})
    code = str(answer.get("Code", ""))
    if code in _NOT_FOUND:
        return ObjectNotFound(f"no object {key} in {where}")
    if code in _TAKEN:
        return ObjectExists(f"{where} has an object {key} already")
    if code in _DENIED:
        return StoreDenied(f"{where} refuses {key or 'access'} ({code}): check bucket, endpoint and credentials")
    return StoreUnavailable(f"{where} failed for {key} ({code}): {answer.get('Message', '')}")
