"""A store in a local directory.

An object is written to a hidden file beside its place, synchronised to the disk, and then renamed (or,
for `if_absent`, hard-linked) to its name, which POSIX does atomically; the directory is synchronised last.
Replacing and deleting happen under a lock on the store, so that the version of an object can be compared first.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forecast.files import synchronise
from publish.stores.base import (
    ObjectChanged,
    ObjectExists,
    ObjectInfo,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    require_key,
    require_range,
    sha256_of,
    size_of,
)


class LocalStore:
    """Objects as files under a directory, which is made when first written to. The version is the SHA-256."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.expanduser().absolute()

    @property
    def url(self) -> str:
        """Address of the store."""
        return self._directory.as_uri()

    def path(self, key: str) -> Path:
        """Where the object with this key is, or would be."""
        return self._directory / require_key(key)

    def put(
        self, key: str, content: Path | bytes, if_absent: bool = False, if_version: str | None = None
    ) -> ObjectInfo:
        """Write, synchronise, rename; see Store.put."""
        path = self.path(key)
        digest = sha256_of(content)
        with _translated(key):
            made = _make_directories(path.parent)
            with _written(content, path) as part:
                if if_absent:
                    os.link(part, path)
                else:
                    self._replace(part, path, if_version)
            for directory in made:
                synchronise(directory)
        return ObjectInfo(key, size_of(content), digest, digest)

    def _replace(self, part: Path, path: Path, if_version: str | None) -> None:
        with self._locked():
            _require_version(path, if_version)
            os.replace(part, path)

    def get(self, key: str) -> bytes:
        """See Store.get."""
        with _translated(key):
            return self.path(key).read_bytes()

    def read(self, key: str) -> tuple[bytes, str]:
        """See Store.read."""
        content = self.get(key)
        return content, sha256_of(content)

    def download(self, key: str, path: Path) -> None:
        """See Store.download."""
        source = self.path(key)
        with _translated(key):
            if not source.is_file():
                raise FileNotFoundError(source)
            with _written(source, path) as part:
                os.replace(part, path)

    def get_range(self, key: str, begin: int, end: int) -> bytes:
        """See Reader.get_range."""
        with _translated(key), self.path(key).open("rb") as file:
            file.seek(begin)
            return require_range(key, file.read(end - begin), begin, end)

    def head(self, key: str) -> ObjectInfo | None:
        """See Store.head; the SHA-256 is computed from the file."""
        path = self.path(key)
        if not path.is_file():
            return None
        with _translated(key):
            digest = sha256_of(path)
            return ObjectInfo(key, size_of(path), digest, digest)

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
                with suppress(FileNotFoundError):
                    yield ObjectInfo(key, size_of(keys[key]))

    def delete(self, key: str, if_version: str | None = None) -> None:
        """See Store.delete."""
        path = self.path(key)
        with _translated(key), self._locked():
            _require_version(path, if_version)
            path.unlink(missing_ok=True)

    def link(self, key: str, seconds: int) -> str:
        """The file's own address: whoever may read the file needs no other, and it does not end."""
        del seconds
        path = self.path(key)
        if not path.is_file():
            raise ObjectNotFound(f"no object {key} in the store")
        return path.as_uri()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from replacing or deleting; the system lifts the lock of a process that dies."""
        if not self._directory.is_dir():
            yield
            return
        with (self._directory / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _require_version(path: Path, version: str | None) -> None:
    if version is None:
        return
    if not path.is_file() or sha256_of(path) != version:
        raise ObjectChanged(f"{path.name} is not the version that was to be replaced: another process has changed it")


def _make_directories(directory: Path) -> list[Path]:
    """Make a directory and its parents; the directories that have a new entry, innermost last."""
    missing = [directory, *directory.parents]
    changed = [path.parent for path in missing if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    return changed[::-1]


@contextmanager
def _written(content: Path | bytes, path: Path) -> Iterator[Path]:
    """The content in a hidden file beside the path, on the disk; the block gives it its name."""
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
        yield part
    finally:
        part.unlink(missing_ok=True)
    synchronise(path.parent)


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
