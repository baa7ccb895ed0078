"""The program of a worker whose forecaster is none: `python -m tests.failure.worker`, a job on the standard input.

What goes wrong is told in the environment, as in MISHAP='{"kill_at": 24, "seconds": 0.1}' for the forecaster, or
'{"at": ["publish.latest:advance", 1, "SIGSTOP"]}' for a place of `tests.failure.points`. Everything but the forecaster,
from the lease to the last object, is real.
"""

import json
import os
import signal
from pathlib import Path

from ops import work
from tests.failure import points
from tests.ops.fakes import FakeForecaster

MISHAP = "MISHAP"


def forecaster() -> FakeForecaster:
    """What the environment asks for."""
    asked = json.loads(os.environ.get(MISHAP, "{}"))
    if "at" in asked:
        points.arm(*asked.pop("at"))
    if "diary" in asked:
        asked["diary"] = Path(asked["diary"])
    if "signal_at" in asked:
        hours, name = asked["signal_at"]
        asked["signal_at"] = (hours, signal.Signals[name])
    return FakeForecaster(**asked)


if __name__ == "__main__":
    work.main(forecaster)
