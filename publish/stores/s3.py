"""A store in an S3 bucket, Amazon's or any other server's.

An object appears whole or not at all: a PUT does, and so does the end of a multipart upload. The server checks
the SHA-256 of everything it receives. Each object carries that of all its bytes as user metadata, because the
checksums of multipart uploads are not those of the object; whatever is fetched is compared with it.
"""

import mimetypes
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from publish.stores import s3_transfer
from publish.stores.base import (
    ObjectChanged,
    ObjectDamaged,
    ObjectExists,
    ObjectInfo,
    ObjectNotFound,
    require_key,
    require_range,
    sha256_of,
    size_of,
)
from publish.stores.retrying import Deadline
from publish.stores.s3_client import Bucket, S3Options, TimedBody

_DIGEST, _WRITER = "sha256", "writer"
_DAMAGED_TRIES = 3
_MEDIA_TYPES = {".grib2": "application/wmo-GRIB2", ".nc": "application/netcdf", ".html": "text/html; charset=utf-8"}


class S3Store:
    """Objects in a bucket, below a prefix. Credentials come from the environment. The version is the ETag."""

    def __init__(
        self, bucket: str, prefix: str = "", endpoint_url: str | None = None, options: S3Options | None = None
    ) -> None:
        below = f"{require_key(prefix)}/" if prefix else ""
        self._bucket = Bucket(bucket, below, endpoint_url, options or S3Options())

    @property
    def url(self) -> str:
        """Address of the store."""
        return f"s3://{self._bucket.name}/{self._bucket.prefix}".rstrip("/")

    def put(
        self, key: str, content: Path | bytes, if_absent: bool = False, if_version: str | None = None
    ) -> ObjectInfo:
        """One PUT, or a multipart upload for a large file; see Store.put."""
        require_key(key)
        digest, writer = sha256_of(content), uuid.uuid4().hex
        of_object = {"Metadata": {_DIGEST: digest, _WRITER: writer}, "ContentType": _media_type(key)}
        of_object |= {"ChecksumAlgorithm": "SHA256", **self._bucket.options.of_objects}
        condition = {"IfNoneMatch": "*"} if if_absent else {"IfMatch": if_version} if if_version else {}
        try:
            version = self._send(key, content, of_object, condition)
        except (ObjectChanged, ObjectNotFound):
            version = self._version_by(key, writer)
            if version is None and if_absent:
                raise ObjectExists(f"{self.url} has an object {key} already") from None
            if version is None:
                raise ObjectChanged(f"{self.url} has another version of {key} than was to be replaced") from None
        return ObjectInfo(key, size_of(content), digest, version)

    def _send(self, key: str, content: Path | bytes, of_object: dict[str, Any], condition: dict[str, str]) -> str:
        if isinstance(content, Path):
            if size_of(content) > self._bucket.options.part_bytes:
                return s3_transfer.upload(self._bucket, key, content, of_object, condition)
            content = content.read_bytes()

        def send(deadline: Deadline) -> Any:
            body = TimedBody(content, deadline)
            return self._bucket.client.put_object(**self._bucket.named(key), Body=body, **of_object, **condition)

        return self._bucket.ask(key, send)["ETag"]

    def _version_by(self, key: str, writer: str) -> str | None:
        """The object's version if this writer wrote it: then the answer to an earlier try was lost on its way."""
        try:
            found = self._head(key)
        except ObjectNotFound:
            return None
        return found["ETag"] if found["Metadata"].get(_WRITER) == writer else None

    def get(self, key: str) -> bytes:
        """See Store.get."""
        return self.read(key)[0]

    def read(self, key: str) -> tuple[bytes, str]:
        """See Store.read."""

        def fetch(deadline: Deadline) -> tuple[Any, bytes]:
            found = self._bucket.client.get_object(**self._bucket.named(key))
            return found, s3_transfer.body_of(found, deadline)

        for _ in range(_DAMAGED_TRIES):
            found, content = self._bucket.ask(key, fetch)
            if not _differs(found, sha256_of(content)):
                return content, found["ETag"]
        raise ObjectDamaged(_damage(key, self.url))

    def download(self, key: str, path: Path) -> None:
        """See Store.download."""
        part = path.parent / f".{path.name}.{uuid.uuid4().hex}.part"
        try:
            for _ in range(_DAMAGED_TRIES):
                if self._download(key, part):
                    os.replace(part, path)
                    return
            raise ObjectDamaged(_damage(key, self.url))
        finally:
            part.unlink(missing_ok=True)

    def _download(self, key: str, path: Path) -> bool:
        """Fetch an object; whether its bytes are those that were stored."""
        found = self._head(key)
        with path.open("wb") as file:
            s3_transfer.download(self._bucket, key, found["ContentLength"], found["ETag"], file)
        return not _differs(found, sha256_of(path))

    def get_range(self, key: str, begin: int, end: int) -> bytes:
        """See Reader.get_range."""

        def fetch(deadline: Deadline) -> bytes:
            found = self._bucket.client.get_object(**self._bucket.named(key), Range=f"bytes={begin}-{end - 1}")
            return s3_transfer.body_of(found, deadline)

        return require_range(key, self._bucket.ask(key, fetch), begin, end)

    def head(self, key: str) -> ObjectInfo | None:
        """See Store.head; the SHA-256 is the one given when the object was stored."""
        try:
            found = self._head(key)
        except ObjectNotFound:
            return None
        return ObjectInfo(key, found["ContentLength"], found["Metadata"].get(_DIGEST), found["ETag"])

    def _head(self, key: str) -> Any:
        found = self._bucket.ask(key, lambda _: self._bucket.client.head_object(**self._bucket.named(key)))
        return {"Metadata": {}, **found}

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See Store.list."""
        below = self._bucket.prefix
        asked: dict[str, Any] = {"Bucket": self._bucket.name, "Prefix": below + prefix}
        while True:
            page = self._bucket.ask(prefix or "a list", lambda _: self._bucket.client.list_objects_v2(**asked))
            for found in page.get("Contents", []):
                yield ObjectInfo(found["Key"].removeprefix(below), found["Size"], None, found["ETag"])
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, key: str, if_version: str | None = None) -> None:
        """See Store.delete."""
        asked = self._bucket.named(key) | ({"IfMatch": if_version} if if_version else {})
        self._bucket.ask(key, lambda _: self._bucket.client.delete_object(**asked))

    def link(self, key: str, seconds: int) -> str:
        """A presigned address; see Store.link."""
        self._head(key)
        with self._bucket.translated(key):
            return self._bucket.client.generate_presigned_url("get_object", self._bucket.named(key), ExpiresIn=seconds)


def _damage(key: str, url: str) -> str:
    return f"{key} in {url} is damaged: its SHA-256 is not that of what was stored; publish or copy it again"


def _differs(found: dict[str, Any], digest: str) -> bool:
    """Whether these bytes are not those stored; an object that another program stored tells no SHA-256."""
    return found.get("Metadata", {}).get(_DIGEST, digest) != digest


def _media_type(key: str) -> str:
    suffix = Path(key).suffix
    return _MEDIA_TYPES.get(suffix) or mimetypes.guess_type(key)[0] or "application/octet-stream"
