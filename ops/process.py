"""Which process this is, and whether another one on this machine is still alive (Linux /proc)."""

import os
import socket
from pathlib import Path

from db.leases import Owner

PROC = Path("/proc")


def this_process() -> Owner:
    """The running process as the owner of a lease."""
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, f"{_machine()}/{_started(pid) or ''}")


def is_dead(owner: Owner) -> bool:
    """Whether the process ran on this machine, in this process namespace, and is there no more.

    False for a process of another machine, or from before a restart of this one: only its lease's end frees a run.
    """
    machine, _, started = owner.process.rpartition("/")
    if owner.host != socket.gethostname() or machine != _machine() or not started:
        return False
    return _started(owner.pid) != started


def _machine() -> str:
    """This boot of this machine, as this process namespace sees it."""
    try:
        return f"{(PROC / 'sys/kernel/random/boot_id').read_text().strip()}/{os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Start of a process in clock ticks since boot (proc(5): field 22 of stat); None when it is gone or a zombie."""
    try:
        after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else after_name[19]
