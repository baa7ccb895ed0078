"""The Store protocol, and its errors.

- StoreError
    - ObjectNotFound: no object has this key; nothing to retry
    - ObjectExists: the key is taken and was to be taken only once; somebody else has published
    - StoreDenied: wrong or missing credentials, or no such bucket; change the configuration
    - StoreUnavailable: the store did not answer or is full, after all retries; try again later
- InvalidKey (a ValueError): the key could escape the store or cannot be an object's name
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_BLOCK = 1 << 20


class StoreError(RuntimeError):
    """A store could not do what it was asked."""


class ObjectNotFound(StoreError):
    """No object has this key."""


class ObjectExists(StoreError):
    """An object has this key already."""


class StoreDenied(StoreError):
    """The store refuses us; change credentials, bucket or endpoint."""


class StoreUnavailable(StoreError):
    """The store cannot serve us now; try again later."""


class InvalidKey(ValueError):
    """This text cannot be the key of an object."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a store knows of an object; `sha256` is None where it would have to be computed first."""

    key: str
    bytes: int
    sha256: str | None = None


class Store(Protocol):
    """Named immutable-by-convention objects. A key never names half an object.

    Every method may raise StoreDenied or StoreUnavailable, and InvalidKey for a bad key.
    """

    @property
    def url(self) -> str:
        """Address of the store, without credentials."""
        ...

    def put(self, key: str, content: Path | bytes, if_absent: bool = False) -> ObjectInfo:
        """Store a file's or these bytes, at once and durably; replaces the object unless `if_absent`.

        With `if_absent` exactly one of several writers succeeds; the others get ObjectExists.
        """
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectNotFound."""
        ...

    def download(self, key: str, path: Path) -> None:
        """The object as a local file, which appears whole or not at all. Raises ObjectNotFound."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """Size and SHA-256 of an object, None when there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects whose keys begin with the prefix, in the order of their keys."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""
        ...


def require_key(key: str) -> str:
    """The key, or InvalidKey: relative, of printable characters, no empty, `.` or hidden part."""
    parts = key.split("/")
    if not key.isprintable() or "\\" in key or any(not part or part.startswith(".") for part in parts):
        raise InvalidKey(
            f"expected an object key such as 20261121/00z/name.grib2, made of parts that are not empty "
            f"and do not begin with a dot, got {key!r}"
        )
    return key


def sha256_of(content: Path | bytes) -> str:
    """SHA-256 of a file or of bytes, in hexadecimal."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    with content.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def size_of(content: Path | bytes) -> int:
    """Number of bytes."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size
