"""The shared cache of inputs: what one process fetched and proved, all may use, up to a bound of bytes.

    DIRECTORY/SOURCE/CYCLE/KEY.data        a whole file, as its source gave it
    DIRECTORY/SOURCE/CYCLE/KEY.json        its manifest: uri, SHA-256, bytes, items, when, details
    DIRECTORY/SOURCE/CYCLE/KEY.data.part   one on its way, with its journal
    DIRECTORY/locks/SOURCE-CYCLE-KEY.lock  held alone while it is fetched or removed, shared while it is used

KEY is a hash of the items and the variant. The manifest's modification time is that of its last use.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecast.times import format_cycle
from ingest.errors import Broken
from ingest.feed import Fetched, Item
from ingest.http import without_secrets
from ingest.locks import FileLock, try_lock, wait_for_lock
from ingest.patience import Deadline

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_STALE_SECONDS = 3 * 24 * 3600.0


@dataclass(frozen=True)
class Origin:
    """Where a file came from, and what else is worth keeping of it, as plain JSON."""

    uri: str
    details: Mapping[str, Any] = field(default_factory=dict)


Fill = Callable[[Path], Origin]
"""Writes the file at the path given, whole and proven or not at all; raises SourceError."""


class InputCache:
    """Files by source, cycle and items in `directory`, at most `max_bytes` of them beside those in use.

    A file that was handed out is in use, and safe from being evicted, until `release`, `close` or the end of
    the process. To be used by one thread at a time.
    """

    def __init__(self, directory: Path, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._clock = clock
        self._in_use: dict[Path, FileLock] = {}

    def __enter__(self) -> "InputCache":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def get(
        self,
        source: str,
        cycle: datetime,
        items: Collection[Item],
        fill: Fill,
        deadline: Deadline,
        variant: str = "",
    ) -> Fetched:
        """The file with these items, made by `fill` unless it is here and sound; `variant` tells like items apart.

        Two processes that ask for the same do not both fill. Raises what `fill` raises, and Busy when another
        process fills it until the deadline passes.
        """
        if not _NAME.fullmatch(source):
            raise ValueError(f"expected a source's name of small letters, digits, - and _, got {source!r}")
        entry = self._entry(source, format_cycle(cycle), _key(items, variant))
        self.release(entry.data)
        while (found := self._found(entry)) is None:
            self._fill(entry, source, items, fill, deadline)
        os.utime(entry.manifest, (self._clock(), self._clock()))
        self.evict()
        return found

    def release(self, path: Path) -> None:
        """Say that a file is no longer in use; nothing happens when it was not."""
        lock = self._in_use.pop(path, None)
        if lock is not None:
            lock.release()

    def close(self) -> None:
        """Release all, and keep to the bound."""
        for path in list(self._in_use):
            self.release(path)
        self.evict()

    def evict(self) -> None:
        """Remove what was on its way too long, then the least recently used, until the bound is kept."""
        entries = [(entry.last_use, entry.size, entry) for entry in self._entries()]
        total = sum(size for _, size, _ in entries)
        for last_use, size, entry in sorted(entries, key=lambda found: found[0]):
            stale = not entry.manifest.exists() and last_use < self._clock() - _STALE_SECONDS
            if (total > self.max_bytes or stale) and self._remove(entry):
                total -= size

    def _found(self, entry: "_Entry") -> Fetched | None:
        """The file, in use from now on, if it is here and sound."""
        lock = try_lock(entry.lock, alone=False)
        if lock is None:
            return None
        found = entry.read()
        if found is None:
            lock.release()
        else:
            self._in_use[entry.data] = lock
        return found

    def _fill(self, entry: "_Entry", source: str, items: Collection[Item], fill: Fill, deadline: Deadline) -> None:
        lock = wait_for_lock(entry.lock, deadline)
        try:
            if entry.read() is None:
                entry.clear()
                entry.write(source, items, fill(entry.data), datetime.fromtimestamp(self._clock(), UTC))
        finally:
            lock.release()

    def _remove(self, entry: "_Entry") -> bool:
        lock = try_lock(entry.lock, alone=True)
        if lock is None:
            return False
        for path in entry.files():
            path.unlink(missing_ok=True)
        entry.leave()
        lock.remove()
        return True

    def _entry(self, source: str, cycle: str, key: str) -> "_Entry":
        folder = self.directory / source / cycle
        return _Entry(folder, key, self.directory / "locks" / f"{source}-{cycle}-{key}.lock")

    def _entries(self) -> Iterator["_Entry"]:
        for folder in self.directory.glob("*/*T??"):
            for key in {path.name.partition(".")[0] for path in folder.iterdir()}:
                yield self._entry(folder.parent.name, folder.name, key)


def _key(items: Collection[Item], variant: str) -> str:
    content = json.dumps([variant, sorted(str(item) for item in items)])
    return hashlib.sha256(content.encode()).hexdigest()[:20]


class _Entry:
    """The files of one entry."""

    def __init__(self, folder: Path, key: str, lock: Path) -> None:
        self._folder = folder
        self._key = key
        self.lock = lock
        self.data = folder / f"{key}.data"
        self.manifest = folder / f"{key}.json"

    def files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._key}.*"))

    @property
    def size(self) -> int:
        return sum(_stat(path)[0] for path in self.files())

    @property
    def last_use(self) -> float:
        if self.manifest.exists():
            return _stat(self.manifest)[1]
        return max((_stat(path)[1] for path in self.files()), default=0.0)

    def read(self) -> Fetched | None:
        """The file, when manifest and bytes agree."""
        try:
            stored = json.loads(self.manifest.read_text(encoding="utf-8"))
            found = Fetched(
                self.data,
                frozenset(Item(*item) for item in stored["items"]),
                stored["source"],
                stored["uri"],
                stored["sha256"],
                stored["bytes"],
                datetime.fromisoformat(stored["retrieved_at"]),
                stored["details"],
            )
            sound = _stat(self.data)[0] == found.bytes and _sha256(self.data) == found.sha256
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if sound else None

    def clear(self) -> None:
        """Remove a file and a manifest that do not agree; what is on its way stays."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.manifest.unlink(missing_ok=True)
        self.data.unlink(missing_ok=True)

    def leave(self) -> None:
        """Remove the folder when nothing is left in it."""
        with suppress(OSError):
            self._folder.rmdir()

    def write(self, source: str, items: Collection[Item], origin: Origin, now: datetime) -> None:
        """The manifest of a file that was just fetched."""
        if not self.data.exists():
            raise Broken(f"{origin.uri}: expected a file at {self.data.name}, nothing was written; fetch it again")
        content = {
            "source": source,
            "uri": without_secrets(origin.uri),
            "sha256": _sha256(self.data),
            "bytes": _stat(self.data)[0],
            "items": sorted((list(item) for item in items), key=str),
            "retrieved_at": now.isoformat(),
            "details": dict(origin.details),
        }
        fresh = self.manifest.with_name(self.manifest.name + ".new")
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.manifest)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stat(path: Path) -> tuple[int, float]:
    """Bytes and modification time; zeros when it was just removed."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0.0
    return found.st_size, found.st_mtime
