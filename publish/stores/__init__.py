"""Where published bytes live: a local directory or an S3 bucket, behind one protocol."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from publish.stores.base import (
    InvalidKey,
    ObjectExists,
    ObjectInfo,
    ObjectNotFound,
    Store,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from publish.stores.local import LocalStore
from publish.stores.s3 import S3Store

__all__ = [
    "InvalidKey",
    "LocalStore",
    "ObjectExists",
    "ObjectInfo",
    "ObjectNotFound",
    "S3Store",
    "Store",
    "StoreDenied",
    "StoreError",
    "StoreUnavailable",
    "open_store",
]


def open_store(url: str, endpoint_url: str | None = None) -> Store:
    """The store at `file:///directory`, a plain path, or `s3://bucket/prefix`.

    `endpoint_url` is that of an S3 server other than Amazon's. Credentials come from the environment
    (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or an AWS profile). Raises ValueError
    for any other URL.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        return S3Store(parts.netloc, parts.path.strip("/"), endpoint_url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return LocalStore(Path(unquote(parts.path)))
    if not parts.scheme and url:
        return LocalStore(Path(url))
    raise ValueError(f"expected a store as a path, file:///directory or s3://bucket/prefix, got {url!r}")
