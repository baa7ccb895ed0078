"""A store in a local directory.

An object is written to a hidden file beside its place, synchronised to the disk, and then renamed (or,
for `if_absent`, hard-linked) to its name, which POSIX does atomically; the directory is synchronised last.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


class LocalStore:
    """Objects as files under a directory, which is made when first written to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.expanduser().absolute()

    @property
    def url(self) -> str:
        """Address of the store."""
        return self._directory.as_uri()

    def path(self, key: str) -> Path:
        """Where the object with this key is, or would be."""
        return self._directory / require_key(key)

    def put(self, key: str, content: Path | bytes, if_absent: bool = False) -> ObjectInfo:
        """Write, synchronise, rename; see Store.put."""
        path = self.path(key)
        with _translated(key):
            made = _make_directories(path.parent)
            _write_whole(content, path, if_absent)
            for directory in made:
                _synchronise(directory)
        return ObjectInfo(key, size_of(content), sha256_of(content))

    def get(self, key: str) -> bytes:
        """See Store.get."""
        with _translated(key):
            return self.path(key).read_bytes()

    def download(self, key: str, path: Path) -> None:
        """See Store.download."""
        source = self.path(key)
        with _translated(key):
            if not source.is_file():
                raise FileNotFoundError(source)
            _write_whole(source, path, if_absent=False)

    def head(self, key: str) -> ObjectInfo | None:
        """See Store.head; the SHA-256 is computed from the file."""
        path = self.path(key)
        if not path.is_file():
            return None
        with _translated(key):
            return ObjectInfo(key, size_of(path), sha256_of(path))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See Store.list."""
        base = self._directory / prefix.rpartition("/")[0]
        found = []
        for directory, children, names in os.walk(base):
            children[:] = [child for child in children if not child.startswith(".")]
            found += [Path(directory) / name for name in names if not name.startswith(".")]
        keys = {path.relative_to(self._directory).as_posix(): path for path in found}
        for key in sorted(keys):
            if key.startswith(prefix):
                yield ObjectInfo(key, size_of(keys[key]))

    def delete(self, key: str) -> None:
        """See Store.delete."""
        path = self.path(key)
        with _translated(key):
            path.unlink(missing_ok=True)


def _make_directories(directory: Path) -> list[Path]:
    """Make a directory and its parents; the directories that have a new entry, innermost last."""
    missing = [directory, *directory.parents]
    changed = [path.parent for path in missing if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    return changed[::-1]


def _write_whole(content: Path | bytes, path: Path, if_absent: bool) -> None:
    part = path.parent / f".{path.name}.{uuid.uuid4().hex}.part"
    try:
        with part.open("xb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        if if_absent:
            os.link(part, path)
        else:
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _synchronise(path.parent)


def _synchronise(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """The operating system's errors as the store's."""
    try:
        yield
    except FileNotFoundError:
        raise ObjectNotFound(f"no object {key} in the store") from None
    except FileExistsError:
        raise ObjectExists(f"the store has an object {key} already") from None
    except (IsADirectoryError, NotADirectoryError):
        raise StoreError(f"{key} cannot be an object: part of it names a directory or a file of the store") from None
    except PermissionError as error:
        raise StoreDenied(f"no permission for {error.filename}, which holds {key}; change its owner or mode") from None
    except OSError as error:
        raise StoreUnavailable(f"could not read or write {key}: {error.strerror}") from error
