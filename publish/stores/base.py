"""The Store protocol, and its errors.

- StoreError
    - ObjectNotFound: no object has this key; nothing to retry
    - ObjectExists: the key is taken and was to be taken only once; somebody else has published
    - ObjectChanged: the object is not the version that was to be replaced; somebody else was faster
    - ObjectDamaged: what comes back is not what was stored, after all retries; restore or publish it again
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


class ObjectChanged(StoreError):
    """The object is no more, or not yet, the version that was to be replaced or deleted."""


class ObjectDamaged(StoreError):
    """The bytes that came back are not those that were stored."""


class StoreDenied(StoreError):
    """The store refuses us; change credentials, bucket, endpoint or options."""


class StoreUnavailable(StoreError):
    """The store cannot serve us now; try again later."""


class RangesRefused(StoreError):
    """The server gives whole objects only; fetch the whole object."""


class InvalidKey(ValueError):
    """This text cannot be the key of an object."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a store knows of an object; `sha256` and `version` are None where they would have to be computed first.

    `version` is the store's own mark of the object's content.
    """

    key: str
    bytes: int
    sha256: str | None = None
    version: str | None = None


class Reader(Protocol):
    """Named objects to be read. A key never names half an object.

    Every method may raise StoreDenied or StoreUnavailable, ObjectDamaged, and InvalidKey for a bad key.
    """

    @property
    def url(self) -> str:
        """Address of the store, without credentials."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectNotFound."""
        ...

    def download(self, key: str, path: Path) -> None:
        """The object as a local file, which appears whole or not at all. Raises ObjectNotFound."""
        ...

    def get_range(self, key: str, begin: int, end: int) -> bytes:
        """The octets from `begin` up to but not including `end`, all of them.

        Raises ObjectNotFound, ObjectDamaged when the object ends before, RangesRefused.
        """
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """Size and SHA-256 of an object, None when there is none."""
        ...


class Store(Reader, Protocol):
    """Objects that can be written too; immutable by convention."""

    def put(
        self, key: str, content: Path | bytes, if_absent: bool = False, if_version: str | None = None
    ) -> ObjectInfo:
        """Store a file's or these bytes, at once and durably; replaces the object unless there is a condition.

        With `if_absent` exactly one of several writers succeeds; the others get ObjectExists. With
        `if_version` exactly one of several writers replaces that version; the others get ObjectChanged.
        """
        ...

    def read(self, key: str) -> tuple[bytes, str]:
        """The whole object and its version. Raises ObjectNotFound."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects whose keys begin with the prefix, in the order of their keys."""
        ...

    def delete(self, key: str, if_version: str | None = None) -> None:
        """Remove an object; no error when there is none. Raises ObjectChanged when it is not `if_version`."""
        ...

    def link(self, key: str, seconds: int) -> str:
        """An address at which anybody can read the object for so long. Raises ObjectNotFound."""
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


def require_range(key: str, content: bytes, begin: int, end: int) -> bytes:
    """The content, or ObjectDamaged when it is not as long as was asked for."""
    if len(content) != end - begin:
        raise ObjectDamaged(f"{key} ends at octet {begin + len(content)}, before {end}: it is not what was published")
    return content


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
