"""Locks on files between processes; the kernel drops those of a process that ends, however it ends.

They lie on open files, so one process may hold several that exclude each other. The file of a lock may be
removed by whoever holds it alone.
"""

import fcntl
import os
from pathlib import Path
from threading import Event

from ingest.errors import Busy
from ingest.patience import Deadline

_POLL_SECONDS = 0.1


class FileLock:
    """A lock held on the file at `path`, shared or alone, until `release`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back; only once."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove the file of a lock that is held alone, and give it back."""
        self.path.unlink(missing_ok=True)
        self.release()


def try_lock(path: Path, alone: bool) -> FileLock | None:
    """The lock, or None when somebody else's forbids it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_still_at(path, descriptor):
            return FileLock(path, descriptor)
        os.close(descriptor)


def wait_for_lock(path: Path, deadline: Deadline) -> FileLock:
    """The lock, alone; raises Busy when the deadline passes before."""
    while True:
        lock = try_lock(path, alone=True)
        if lock is not None:
            return lock
        if deadline.left() <= 0:
            raise Busy(f"{path.stem}: another process has been fetching it all the time allowed; ask again")
        deadline.pause(Event(), _POLL_SECONDS)


def _is_still_at(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
