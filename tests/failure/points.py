"""Places in the program at which a worker may be killed or stopped: right before the n-th call of a function."""

import functools
import os
import signal
import threading
from importlib import import_module
from typing import Any

from ops.heartbeat import Heartbeat

POINTS = (
    "db.leases:acquire",
    "db.leases:renew",
    "db.leases:release",
    "db.stages:begin",
    "db.stages:end",
    "db.products:record",
    "db.runs:seal",
    "db.runs:transition",
    "ops.stages:_record_analysis",
    "ops.stages:_publish",
    "ops.stages:_object_of",
    "ops.recorder:Recorder.seal",
    "ops.recorder:Recorder.publish",
    "publish.publisher:Publisher._put",
    "publish.publisher:Publisher._release",
    "publish.publisher:Publisher._publish_whole_run",
    "publish.publisher:Publisher._declare",
    "publish.publisher:Publisher._remove_remains",
    "publish.publisher:Publisher._announce",
    "publish.status:Claim.update",
    "publish.latest:advance",
    "publish.discovery:refresh",
    "publish.stores.local:synchronise",
    "ops.publications:supersede_earlier",
)
"""From the claim to the last object, the windows between a store's and a history's commit among them."""


def arm(point: str, number: int, name: str) -> None:
    """Send this process a signal right before the n-th call, from now on, of the function `module:path`.

    Between two heartbeats, so that one that is stopped does not keep a transaction, and SQLite's only lock, to itself.
    """
    beat, between = Heartbeat.beat, threading.Lock()

    def alone(self: Heartbeat) -> None:
        with between:
            beat(self)

    Heartbeat.beat = alone
    module, _, path = point.partition(":")
    holder: Any = import_module(module)
    *parents, last = path.split(".")
    for parent in parents:
        holder = getattr(holder, parent)
    function, calls = getattr(holder, last), [0]

    @functools.wraps(function)
    def armed(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            with between:
                os.kill(os.getpid(), signal.Signals[name])
        return function(*args, **options)

    setattr(holder, last, armed)
