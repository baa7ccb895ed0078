"""Where published bytes live: a local directory or an S3 bucket, behind one protocol; and readers over HTTP."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from publish.stores.base import (
    InvalidKey,
    ObjectChanged,
    ObjectDamaged,
    ObjectExists,
    ObjectInfo,
    ObjectNotFound,
    RangesRefused,
    Reader,
    Store,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from publish.stores.http import HttpReader
from publish.stores.local import LocalStore
from publish.stores.s3 import S3Store
from publish.stores.s3_client import S3Options

__all__ = [
    "HttpReader",
    "InvalidKey",
    "LocalStore",
    "ObjectChanged",
    "ObjectDamaged",
    "ObjectExists",
    "ObjectInfo",
    "ObjectNotFound",
    "RangesRefused",
    "Reader",
    "S3Options",
    "S3Store",
    "Store",
    "StoreDenied",
    "StoreError",
    "StoreUnavailable",
    "open_reader",
    "open_store",
]


def open_store(url: str, endpoint_url: str | None = None, options: S3Options | None = None) -> Store:
    """The store at `file:///directory`, a plain path, or `s3://bucket/prefix`.

    `endpoint_url` is that of an S3 server other than Amazon's. Credentials come from the environment
    (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or an AWS profile). Raises ValueError
    for any other URL.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        return S3Store(parts.netloc, parts.path.strip("/"), endpoint_url, options)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return LocalStore(Path(unquote(parts.path)))
    if not parts.scheme and url:
        return LocalStore(Path(url))
    raise ValueError(f"expected a store as a path, file:///directory or s3://bucket/prefix, got {url!r}")


def open_reader(url: str, endpoint_url: str | None = None, options: S3Options | None = None) -> Reader:
    """As `open_store`, to read only, and over HTTP or HTTPS as well."""
    if urlsplit(url).scheme in ("http", "https"):
        return HttpReader(url)
    return open_store(url, endpoint_url, options)
