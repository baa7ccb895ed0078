"""The program of a daemon whose workers have a forecaster that is none: `python -m tests.ops.daemon_program FILE`."""

import sys
from pathlib import Path

from ops.commands.daemon import serve
from ops.ending import exit_with

WORKER = (sys.executable, "-m", "tests.failure.worker")

if __name__ == "__main__":
    exit_with(lambda: serve(Path(sys.argv[1]), WORKER), trace=True)
