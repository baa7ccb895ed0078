"""Which published lead times and runs others have been told of: what is recorded and not told is the outbox.

So a notice is owed from the moment in which products are recorded, and survives whatever happens to the process.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.products import published_lead_times
from db.runs import tell
from db.schema import Event, Run
from db.states import RunState

KIND = "notified"


@dataclass(frozen=True)
class Owed:
    """A notice that is owed: of a lead time [h], or with None of the whole run."""

    run_id: str
    lead_hours: int | None

    @property
    def name(self) -> str:
        """What tells the notice apart within its run."""
        return "run" if self.lead_hours is None else f"T+{self.lead_hours} h"


def owed(session: Session, since: datetime) -> list[Owed]:
    """Notices owed of the runs created since then, in the order in which they became owed."""
    runs = session.scalars(select(Run).where(Run.created_at >= since).order_by(Run.created_at, Run.id)).all()
    return [each for run in runs for each in _of_run(session, run)]


def _of_run(session: Session, run: Run) -> list[Owed]:
    told = set(session.scalars(select(Event.message).where(Event.run_id == run.id, Event.kind == KIND)))
    possible = [Owed(run.id, hours) for hours in published_lead_times(session, run.id)]
    if run.state == RunState.PUBLISHED:
        possible.append(Owed(run.id, None))
    return [each for each in possible if each.name not in told]


def told(session: Session, each: Owed, now: datetime) -> None:
    """Note that a notice was delivered."""
    tell(session, each.run_id, now, KIND, each.name)
