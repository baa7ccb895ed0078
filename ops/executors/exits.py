"""What an exit code or a signal means: in one word for the scheduler, in a sentence for people."""

import signal
from pathlib import Path

from ops.errors import ExitCode
from ops.executors.base import Kind

KINDS: dict[int, Kind] = {
    ExitCode.OK: Kind.PUBLISHED,
    ExitCode.INPUT_REFUSED: Kind.INPUT,
    ExitCode.ALREADY_RUNNING: Kind.TAKEN,
    ExitCode.HISTORY_UNAVAILABLE: Kind.INTERRUPTED,
    ExitCode.OUT_OF_MEMORY: Kind.MEMORY,
    ExitCode.DEVICE_LOST: Kind.DEVICE,
    ExitCode.TIMED_OUT: Kind.TIMEOUT,
    ExitCode.INTERRUPTED: Kind.INTERRUPTED,
    ExitCode.TERMINATED: Kind.INTERRUPTED,
}
"""Every other code is a failure. A history that is away is no fault of the run."""

SENTENCES: dict[int, str] = {
    ExitCode.OK: "published",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "the configuration is wrong",
    ExitCode.INPUT_REFUSED: "the source gave no analysis that may reach the model",
    ExitCode.QUORUM_LOST: "too few members ended",
    ExitCode.ALREADY_RUNNING: "another process has the run",
    ExitCode.NOT_FOUND: "no such model",
    ExitCode.HISTORY_UNAVAILABLE: "the run history did not answer",
    ExitCode.OUT_OF_MEMORY: "out of memory, with one member at a time",
    ExitCode.DEVICE_LOST: "the device was lost",
    ExitCode.TIMED_OUT: "a stage took longer than it may",
    ExitCode.INTERRUPTED: "interrupted by SIGINT",
    ExitCode.TERMINATED: "drained after SIGTERM: the last window is saved",
}

_COUNTERS = Path("/proc/vmstat")


def kind_of(code: int) -> Kind:
    """What an exit code, or with a minus a signal, means if nothing more is known."""
    return KINDS.get(code, Kind.INTERRUPTED if code in (-signal.SIGTERM, -signal.SIGINT) else Kind.FAILED)


def sentence(code: int) -> str:
    """The same in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return SENTENCES.get(code, f"ended with code {code}")


def killed_for_memory(counters: Path = _COUNTERS) -> int:
    """How many processes the kernel has killed for want of memory since the system started; 0 when it does not say."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
