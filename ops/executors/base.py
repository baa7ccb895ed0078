"""What starts a worker for a run and tells how it ended, whatever machine the worker is on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

Purpose = Literal["forecast", "hindcast"]


class Kind(StrEnum):
    """How a worker ended, as far as it matters to what is done next."""

    PUBLISHED = "published"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    INPUT = "input"
    MEMORY = "memory"
    DEVICE = "device"
    TIMEOUT = "timeout"
    TAKEN = "taken"


@dataclass(frozen=True)
class Job:
    """A run to be worked on: its row is there already, or is made by the worker.

    `options` maps dotted keys of the configuration to values, which go before the file and the environment.
    """

    run_id: str
    cycle: datetime
    config: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    purpose: Purpose = "forecast"

    def to_json(self) -> str:
        """The job as one line of JSON; a path among the options becomes text."""
        config = str(self.config) if self.config else None
        document = {"run_id": self.run_id, "cycle": self.cycle.isoformat(), "config": config, "purpose": self.purpose}
        return json.dumps(document | {"options": dict(self.options)}, default=str)

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Read a job back. Raises ValueError, KeyError or TypeError for anything else."""
        read = json.loads(text)
        config = Path(read["config"]) if read["config"] else None
        return cls(read["run_id"], datetime.fromisoformat(read["cycle"]), config, read["options"], read["purpose"])


@dataclass(frozen=True)
class Exit:
    """How a worker ended: its exit code, negative for a signal, what that means, and what it used."""

    code: int
    reason: str
    kind: Kind
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


class Handle(Protocol):
    """A worker that was started."""

    @property
    def run_id(self) -> str:
        """The run it works on."""
        ...

    @property
    def pid(self) -> int:
        """Its process on the host where it runs."""
        ...

    def poll(self) -> Exit | None:
        """How it ended, None while it works; the same answer ever after. Never waits."""
        ...

    def terminate(self) -> None:
        """Ask it to drain: save the window that it is in, give the lease back and end as interrupted."""
        ...

    def kill(self) -> None:
        """End it, and everything it started, at once."""
        ...


class Launcher(Protocol):
    """Starts workers."""

    def start(self, job: Job) -> Handle:
        """A worker for the job, in a process of its own; raises OSError when none can be started."""
        ...
