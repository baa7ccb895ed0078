"""The program of a daemon for a crash campaign, `python -m tests.failure.daemon FILE`.

All of it is real but the forecaster, and how its workers begin: as forks of this process, which has loaded everything.
"""

import functools
import os
import signal
import sys
from pathlib import Path

from ops.commands.daemon import serve
from ops.ending import exit_with
from ops.executors import local
from tests.failure.workers import Forked


def _default_signals() -> None:
    """A worker has not the daemon's ways to hear signals."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    os.register_at_fork(after_in_child=_default_signals)
    local.__dict__["LocalLauncher"] = functools.partial(local.LocalLauncher, spawn=Forked)
    exit_with(lambda: serve(Path(sys.argv[1])), trace=True)
