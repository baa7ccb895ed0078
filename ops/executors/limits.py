"""Limits that a worker puts on itself before it does anything else, and what it has used."""

import os
import resource
from contextlib import suppress
from pathlib import Path

from ops.worker_settings import WorkerSettings

GIB = 1 << 30
_FIRST_TO_GO = "500"
"""oom_score_adj: a worker can be done again, so the kernel kills it before the daemon and the database."""


def impose(settings: WorkerSettings) -> None:
    """Give way to others, bound memory and open files. Raises ValueError when the system refuses the memory limit."""
    os.nice(settings.nice)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = settings.open_files if most == resource.RLIM_INFINITY else min(settings.open_files, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    if settings.memory_gib is not None:
        _bound_memory(int(settings.memory_gib * GIB))


def _bound_memory(wanted: int) -> None:
    """RLIMIT_DATA counts private memory that can be written; the addresses that CUDA reserves are not counted."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    size = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def peak_memory(pid: int | str = "self") -> int | None:
    """The most memory that a process had resident so far [bytes], None when it is gone or the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(found[0][1]) * 1024 if found else None


def cpu_seconds() -> float:
    """Processor time of this process so far [s]."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
