"""What the contract of the run history is tested with."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine

import db
from db import runs
from db.leases import Owner
from db.runs import Identity, NewRun
from db.states import RunState

NOW = datetime(2026, 11, 21, 6, 30, 15, 123456, tzinfo=UTC)
CYCLE = datetime(2026, 11, 21, 6, tzinfo=UTC)
ME = Owner("host-a", 101, "boot:1")
OTHER = Owner("host-b", 202, "boot:2")
NEW = NewRun(
    "run-1",
    Identity("m" * 64, CYCLE, "c" * 64),
    "demo",
    "files",
    "var/products",
    4,
    {"members": 4},
)


def nobody_is_dead(_owner: Owner) -> bool:
    return False


def everybody_is_dead(_owner: Owner) -> bool:
    return True


def move_to(engine: Engine, run_id: str, *states: RunState) -> None:
    for state in states:
        with db.writing(engine) as session:
            runs.transition(session, run_id, state, NOW)


def state_of(engine: Engine, run_id: str) -> str:
    with db.reading(engine) as session:
        return runs.get(session, run_id).state


def in_parallel(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
