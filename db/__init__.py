"""The history of every run: what ran, with what, when, and what came out. Imports no other room.

Every function of this package takes a SQLAlchemy session and leaves the commit to its caller:
`with writing(engine) as session: ...` is one transaction, `with reading(engine) as session: ...` a read.

Errors, by what the caller should do::

    DatabaseError             say it and stop
    ├── SchemaMismatch        run `sigmacast db upgrade`, or a newer sigmacast
    ├── UnknownRun            correct the run's name
    ├── UnknownOrder          correct the order's number
    ├── RunExists             use the run that is there
    ├── IllegalTransition     read the run's state again
    └── LeaseError
        ├── LeaseHeld         wait: another process is running it
        └── LeaseLost         stop at once: another process has taken the run over
"""

from db.connection import engine, is_away, masked_url, reading, require_url, writing
from db.errors import (
    DatabaseError,
    IllegalTransition,
    LeaseError,
    LeaseHeld,
    LeaseLost,
    RunExists,
    SchemaMismatch,
    UnknownOrder,
    UnknownRun,
)

__all__ = [
    "DatabaseError",
    "IllegalTransition",
    "LeaseError",
    "LeaseHeld",
    "LeaseLost",
    "RunExists",
    "SchemaMismatch",
    "UnknownOrder",
    "UnknownRun",
    "engine",
    "is_away",
    "masked_url",
    "reading",
    "require_url",
    "writing",
]
