"""The states of a run and of a stage, and the only ways between them."""

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands."""

    CREATED = "created"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    PUBLISHED = "published"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.CREATED: frozenset({RunState.RUNNING, RunState.FAILED, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.PUBLISHED, RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED}),
    RunState.INTERRUPTED: frozenset({RunState.RUNNING, RunState.FAILED, RunState.CANCELLED}),
    RunState.FAILED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.PUBLISHED: frozenset(),
    RunState.CANCELLED: frozenset(),
}
"""The states that may follow each state. A failed or interrupted run goes on from what it has saved."""

GIVEN_UP = frozenset({RunState.FAILED, RunState.CANCELLED})
"""States that leave room for another run of the same model, cycle and configuration."""

ENDED = frozenset({RunState.PUBLISHED, RunState.FAILED, RunState.CANCELLED})
"""States in which nothing more happens by itself."""


class AttemptState(StrEnum):
    """Where one attempt at a stage stands; the stage stands where its last attempt does."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
