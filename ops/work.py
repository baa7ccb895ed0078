"""The program of a worker, `python -m ops.work`: one job from the standard input, one run, an exit code.

The job is one line of JSON. The pipe that it comes through stays open: when it closes, whoever started the worker is
gone, and the worker drains as it does after SIGTERM. Exit codes are those of the command line (docs/cli.md).
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from ops.ending import exit_with
from ops.errors import ConfigurationError
from ops.executors import limits
from ops.executors.base import Job

if TYPE_CHECKING:
    from ops.forecaster import Forecaster


def main(forecaster: "Callable[[], Forecaster] | None" = None) -> NoReturn:
    """Carry out the job; `forecaster` makes what forecasts, the model unless told otherwise."""
    exit_with(lambda: _work(forecaster or _model), trace=True)


def _work(forecaster: "Callable[[], Forecaster]") -> None:
    job = _job()
    _end_with_the_launcher()
    from ops import log
    from ops.config import load

    settings = load(job.config, job.options)
    limits.impose(settings.worker)
    log.configure(settings.log)
    log.bind(run=job.run_id)
    from ops import worker
    from ops.progress import LogProgress

    worker.run(settings, forecaster(), LogProgress(), cycle=job.cycle, run_id=job.run_id)


def _model() -> "Forecaster":
    from ops.forecaster import ModelForecaster

    return ModelForecaster()


def _job() -> Job:
    line = sys.stdin.readline()
    try:
        return Job.from_json(line)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"expected a job as one line of JSON on the standard input, got {line!r}") from error


def _end_with_the_launcher() -> None:
    """Drain as soon as the standard input is closed, which it is when the launcher's process ends in any way."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="launcher", daemon=True).start()


if __name__ == "__main__":
    main()
