"""The list of runs, as a form asks for it: filters from the address, and the way to the next page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlencode

from db.overview import Wanted
from db.states import RunState

SIZE = 50
"""Runs on a page."""
PURPOSES = ("forecast", "hindcast")
LONGEST = 200
"""Letters of a filter."""


@dataclass(frozen=True)
class Asked:
    """What the form says, as text, and what of it could not be understood."""

    state: str = ""
    model: str = ""
    purpose: str = ""
    since: str = ""
    until: str = ""
    complaints: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything is filtered."""
        return bool(self.state or self.model or self.purpose or self.since or self.until)

    def address(self, **more: str) -> str:
        """The address of the list with these filters, and further parameters."""
        given = {name: getattr(self, name) for name in ("state", "model", "purpose", "since", "until")} | more
        query = urlencode({name: value for name, value in given.items() if value})
        return f"/runs?{query}" if query else "/runs"


def asked(query: Mapping[str, str]) -> tuple[Asked, Wanted]:
    """The form's fields and the filters that they mean; a field that means nothing is told and left out."""
    complaints: list[str] = []
    text = {name: query.get(name, "").strip()[:LONGEST] for name in ("state", "model", "purpose", "since", "until")}
    for name, known in (("state", list(RunState)), ("purpose", PURPOSES)):
        if text[name] and text[name] not in known:
            complaints.append(f"{name}: expected one of {', '.join(known)}, got “{text[name]}”")
            text[name] = ""
    since, until = _day("since", text, complaints), _day("until", text, complaints)
    wanted = Wanted(
        state=RunState(text["state"]) if text["state"] else None,
        model=text["model"] or None,
        purpose=text["purpose"] or None,
        since=since,
        until=until + timedelta(days=1, microseconds=-1) if until else None,
    )
    return Asked(**text, complaints=tuple(complaints)), wanted


def _day(name: str, text: dict[str, str], complaints: list[str]) -> datetime | None:
    if not text[name]:
        return None
    try:
        return datetime.combine(datetime.strptime(text[name], "%Y-%m-%d").replace(tzinfo=UTC).date(), time(), UTC)
    except ValueError:
        complaints.append(f"{name}: expected a day such as 2026-11-21, got “{text[name]}”")
        text[name] = ""
        return None
