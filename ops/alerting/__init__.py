"""Finds out what people must know, and tells them.

`evaluate` compares what the run history says with what should be, and opens and closes alerts: a daemon calls it in
every tick. `telling` delivers them from a thread of its own, to each receiver once although there may be several
daemons, and calls a dead man's switch while all is well. Neither ever holds up a run or makes one fail.
"""

from ops.alerting.evaluation import evaluate
from ops.alerting.teller import telling

__all__ = ["evaluate", "telling"]
