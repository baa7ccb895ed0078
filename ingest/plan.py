"""The plan of an analysis: for each variable and level where it comes from and how, settled before a byte is fetched.

Rows say what happens, requests what is asked of which feed. The same rows come back in the provenance of the analysis;
`disagreements` tells where they do not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from forecast.fields import PRESSURE_LEVELS
from forecast.times import require_utc
from ingest.analysis import Origin
from ingest.feed import Item
from ingest.fill import FILLED, no_cloud_method
from ingest.modes import Mode
from ingest.recipes import CLOUD

SCHEMA = "sigmacast-plan/1"


class Action(StrEnum):
    """What is done to have a variable at some levels."""

    FETCH = "fetch"
    DERIVE = "derive"
    FILL = "fill"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Row:
    """One variable at some levels [hPa], none for a surface field: what is done, how, and from whose fields of when.

    `method` is the reason where nothing can be done.
    """

    variable: str
    levels: tuple[int, ...]
    action: Action
    method: str
    source: str | None = None
    cycle: datetime | None = None

    @property
    def places(self) -> tuple["Place", ...]:
        """Each variable and level by itself."""
        return tuple(Place(self.variable, level) for level in self.levels or (None,))


@dataclass(frozen=True)
class Request:
    """The fields of one cycle that are asked of one feed.

    `above` are those that only tell thickness above the state's highest level.
    """

    feed: str
    cycle: datetime
    items: frozenset[Item]
    above: frozenset[Item] = frozenset()


@dataclass(frozen=True)
class Degradation:
    """Something about a start that is worse than it should be, and why."""

    mode: Mode
    what: str
    why: str


class Place(NamedTuple):
    """A variable at a level [hPa], None at the surface."""

    variable: str
    level: int | None


@dataclass(frozen=True)
class Plan:
    """How the analysis of a cycle is made; `state_cycle` is when its fields are valid, the cycle itself or earlier."""

    cycle: datetime
    state_cycle: datetime
    chain: tuple[str, ...]
    rows: tuple[Row, ...]
    requests: tuple[Request, ...]
    degraded: tuple[Degradation, ...] = ()
    forcing: str = "held"
    member: int = field(default=0)

    def __post_init__(self) -> None:
        require_utc(self.cycle)
        require_utc(self.state_cycle)

    @property
    def refused(self) -> tuple[Row, ...]:
        """What cannot be had."""
        return tuple(row for row in self.rows if row.action is Action.REFUSE)

    @property
    def age(self) -> timedelta:
        """How much older than the cycle the state is."""
        return self.cycle - self.state_cycle

    def places(self) -> dict[Place, Row]:
        """The row of every variable and level."""
        return {place: row for row in self.rows for place in row.places}

    def document(self) -> dict[str, Any]:
        """The plan as plain JSON, the same for the same plan."""
        return {
            "schema": SCHEMA,
            "cycle": self.cycle.isoformat(),
            "state_cycle": self.state_cycle.isoformat(),
            "chain": list(self.chain),
            "member": self.member,
            "rows": [_plain(row) for row in self.rows],
            "requests": [_request(one) for one in self.requests],
            "forcing": self.forcing,
            "degraded": [asdict(one) for one in self.degraded],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Plan":
        """The plan that `document` told of."""
        return cls(
            datetime.fromisoformat(document["cycle"]),
            datetime.fromisoformat(document["state_cycle"]),
            tuple(document["chain"]),
            tuple(_row(row) for row in document["rows"]),
            tuple(_request_of(one) for one in document["requests"]),
            tuple(Degradation(**one) for one in document["degraded"]),
            document["forcing"],
            document["member"],
        )


def _plain(row: Row) -> dict[str, Any]:
    moment = None if row.cycle is None else row.cycle.isoformat()
    return asdict(row) | {"levels": list(row.levels), "action": row.action.value, "cycle": moment}


def _request(one: Request) -> dict[str, Any]:
    items = {name: [list(item) for item in in_order(getattr(one, name))] for name in ("items", "above")}
    return {"feed": one.feed, "cycle": one.cycle.isoformat(), **items}


def _row(document: Mapping[str, Any]) -> Row:
    cycle = document["cycle"] and datetime.fromisoformat(document["cycle"])
    same = {name: document[name] for name in ("variable", "method", "source")}
    return Row(levels=tuple(document["levels"]), action=Action(document["action"]), cycle=cycle, **same)


def _request_of(document: Mapping[str, Any]) -> Request:
    items, above = (frozenset(Item(*item) for item in document[name]) for name in ("items", "above"))
    return Request(document["feed"], datetime.fromisoformat(document["cycle"]), items, above)


def in_order(items: Iterable[Item]) -> list[Item]:
    """Items by quantity, then from the top down, the surface first."""
    return sorted(items, key=lambda item: (item.quantity, item.level or 0))


def merged(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows of one variable, action, method, source and cycle as one, in the order of their first level."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        key = row.variable, row.action, row.method, row.source, row.cycle
        found.setdefault(key, []).extend(row.levels)
    return tuple(
        Row(variable, tuple(sorted(levels)), action, method, source, cycle)
        for (variable, action, method, source, cycle), levels in found.items()
    )


def degradations(nominal: Plan, actual: Plan) -> Iterator[Degradation]:
    """In what the plan that can be carried out is worse than the one that should be, one entry for each way."""
    wanted = nominal.places()
    found: dict[tuple[Mode, str], list[Place]] = {}
    for place, row in actual.places().items():
        why = _worse(wanted[place], row, actual.state_cycle)
        if why is not None:
            found.setdefault(why, []).append(place)
    for (mode, why), places in found.items():
        yield Degradation(mode, told(places), why)


def _worse(wanted: Row, row: Row, cycle: datetime) -> tuple[Mode, str] | None:
    if row.action is Action.REFUSE:
        return None
    if row.variable in CLOUD and row.method == no_cloud_method((), 0):
        return "zero_cloud", "no source has cloud"
    if row.cycle is not None and row.cycle != cycle:
        return "previous_forcing", f"no source has it for this cycle; {row.source} of {row.cycle:%Y-%m-%dT%H} is held"
    if row.action is Action.FILL and wanted.action is not Action.FILL:
        return "filled_levels", f"{wanted.source} has not published these"
    if row.action is not Action.FILL and wanted.source not in (None, row.source):
        return "next_source", f"{wanted.source} has not published these, {row.source} has"
    return None


def told(places: Iterable[Place]) -> str:
    """Variables and levels in words: air_temperature at 1-7, 20 hPa; sea_ice_area_fraction."""
    by_name: dict[str, list[int]] = {}
    for place in places:
        by_name.setdefault(place.variable, []).extend([] if place.level is None else [place.level])
    return "; ".join(name + (f" at {listed(levels)} hPa" if levels else "") for name, levels in by_name.items())


def listed(levels: Sequence[int]) -> str:
    """Levels of the model in words; three and more that follow each other are joined: 1-7, 20, 30."""
    runs: list[list[int]] = []
    for level in sorted(set(levels)):
        if runs and PRESSURE_LEVELS.index(level) == PRESSURE_LEVELS.index(runs[-1][-1]) + 1:
            runs[-1].append(level)
        else:
            runs.append([level])
    return ", ".join(_joined(run) for run in runs)


def _joined(run: list[int]) -> str:
    return f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run))


def disagreements(plan: Plan, provenance: Mapping[str, Sequence[Origin]]) -> list[str]:
    """Where the analysis was not made as planned, one line for each variable and level."""
    made = {
        Place(name, level): (origin["method"].split(";")[0], origin["source"])
        for name, origins in provenance.items()
        for origin in origins
        for level in origin["levels"] or (None,)
    }
    lines = []
    for place, row in plan.places().items():
        planned = row.method, FILLED if row.action is Action.FILL else row.source
        if made.get(place) != planned:
            lines.append(f"{told([place])}: planned {planned}, found {made.get(place)}")
    return lines
