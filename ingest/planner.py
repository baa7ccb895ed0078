"""Makes the plan of an analysis from what the model needs and what sources offer. Pure: asks nobody, reads nothing.

The first source that offers the whole state on the required levels gives it, on all levels that it has. Gaps between
these are filled; what lies above them comes from the next source that has it. Cloud, sea surface temperature and sea
ice come from the first source that offers them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from forecast.fields import FORCING_FIELDS
from ingest.checks import REQUIRED_LEVELS
from ingest.feed import Item
from ingest.fill import Method, held_method, hydrostatic_method, no_cloud_method, relaxed_method
from ingest.modes import Mode
from ingest.plan import Action, Plan, Request, Row, merged
from ingest.recipes import AS_GIVEN, CLOUD, FROM_SURFACE, STATE, Recipe, on_top, recipes
from ingest.source import ModelNeeds

_SST, _SEA_ICE = FORCING_FIELDS
_LAND = Item("land_area_fraction")
_SST_RECIPES = (
    (AS_GIVEN, (Item("sea_surface_temperature"),)),
    (FROM_SURFACE, (Item("surface_temperature"), _LAND, Item(_SEA_ICE))),
)
FORCING_ITEMS = frozenset({item for _, items in _SST_RECIPES for item in items})
"""Everything that the forcing can be made from."""

_HUMIDITY = "specific_humidity"
_FILLS: dict[str, Method] = {
    "geopotential": hydrostatic_method,
    "air_temperature": relaxed_method,
    **dict.fromkeys(CLOUD, no_cloud_method),
}


@dataclass(frozen=True)
class Offer:
    """What a feed has for a cycle."""

    feed: str
    cycle: datetime
    items: frozenset[Item]

    def recipe(self, variable: str, level: int, temperatures: Collection[int]) -> Recipe | None:
        """How the variable can be had at a level; `temperatures` are the levels with a temperature."""
        for one in recipes(variable, self.items):
            if Item(one.quantity, level) in self.items and (level in temperatures or not one.with_temperature):
                return one
        return None

    def state_levels(self, levels: Collection[int]) -> list[int]:
        """Those of the levels that the state but for humidity is offered at."""
        return [level for level in levels if all(self.recipe(name, level, ()) for name in STATE)]


@dataclass
class _Taken:
    """What is taken from offers while the plan is made: level by level, and item by item."""

    levels: dict[str, dict[int, tuple[Offer, str]]] = field(default_factory=dict)
    items: dict[tuple[str, datetime], set[Item]] = field(default_factory=dict)
    above: dict[tuple[str, datetime], set[Item]] = field(default_factory=dict)

    def take(self, variable: str, levels: Collection[int], offer: Offer, temperatures: Collection[int] = ()) -> None:
        """Take a variable at those of the levels where it is offered and not had already."""
        had = self.levels.setdefault(variable, {})
        for level in levels:
            recipe = offer.recipe(variable, level, temperatures)
            if recipe is not None and level not in had:
                had[level] = offer, recipe.method
                self.request(offer, [Item(recipe.quantity, level)])

    def take_on_top(self, levels: Collection[int], seam: int, offer: Offer) -> None:
        """Take the geopotential of levels as thickness above the seam."""
        for level in (*levels, seam):
            recipe = offer.recipe("geopotential", level, ())
            if recipe is not None:
                self.above.setdefault((offer.feed, offer.cycle), set()).add(Item(recipe.quantity, level))
        self.levels["geopotential"] |= {level: (offer, on_top(seam)) for level in levels}

    def request(self, offer: Offer, items: Collection[Item]) -> None:
        """Note items that are to be fetched."""
        self.items.setdefault((offer.feed, offer.cycle), set()).update(items)

    def rows(self, variable: str, levels: Sequence[int]) -> Iterator[Row]:
        """One row for each level."""
        had = self.levels.get(variable, {})
        for level in levels:
            if level in had:
                offer, method = had[level]
                action = Action.FETCH if method == AS_GIVEN else Action.DERIVE
                yield Row(variable, (level,), action, method, offer.feed, offer.cycle)
            else:
                yield Row(variable, (level,), Action.FILL, _FILLS.get(variable, held_method)(had, level))

    def requests(self) -> tuple[Request, ...]:
        """What is asked of each feed."""
        return tuple(
            Request(*key, frozenset(self.items.get(key, ())), frozenset(self.above.get(key, ()))) for key in self.items
        )


def make_plan(
    needs: ModelNeeds, cycle: datetime, offers: Sequence[Offer], allowed: Collection[Mode] = (), member: int = 0
) -> Plan:
    """The plan for the state at `cycle`, sources in order of preference; what cannot be had is in its refused rows.

    Offers of earlier cycles serve for sea surface temperature and sea ice only.
    """
    taken = _Taken()
    current = [offer for offer in offers if offer.cycle == cycle]
    rows = _state(needs, current, taken)
    rows += _clouds(needs, current, taken, "zero_cloud" in allowed)
    rows += _forcing(offers, taken)
    chain = tuple(dict.fromkeys(offer.feed for offer in offers))
    return Plan(cycle, cycle, chain, merged(rows), taken.requests(), member=member)


def _state(needs: ModelNeeds, offers: Sequence[Offer], taken: _Taken) -> list[Row]:
    base = next((offer for offer in offers if not _lacking(offer, needs)), None)
    if base is None:
        return _refused_state(needs, offers)
    common = base.state_levels(needs.levels)
    for name in STATE:
        taken.take(name, common, base)
    above = [level for level in needs.levels if level < min(common)]
    upper = next((offer for offer in offers if _on_top(offer, above, min(common))), None)
    extension = _on_top(upper, above, min(common)) if upper else []
    taken.take(_HUMIDITY, needs.levels, base, common)
    if upper:
        for name in STATE[1:]:
            taken.take(name, extension, upper)
        taken.take_on_top(extension, min(common), upper)
        top = min(taken.levels[_HUMIDITY])
        taken.take(_HUMIDITY, [level for level in needs.levels if level < top], upper, extension)
    return [row for name in (*STATE, _HUMIDITY) for row in taken.rows(name, needs.levels)]


def _lacking(offer: Offer, needs: ModelNeeds) -> dict[str, tuple[int, ...]]:
    """The required levels that an offer lacks, by variable."""
    temperatures = offer.state_levels(needs.levels)
    lacking = {
        name: tuple(level for level in REQUIRED_LEVELS if offer.recipe(name, level, temperatures) is None)
        for name in (*STATE, _HUMIDITY)
    }
    return {name: levels for name, levels in lacking.items() if levels}


def _on_top(offer: Offer, above: Collection[int], seam: int) -> list[int]:
    """The levels above the state's that an offer can place on top; it needs a geopotential at the seam for that."""
    return offer.state_levels(above) if offer.recipe("geopotential", seam, ()) else []


def _refused_state(needs: ModelNeeds, offers: Sequence[Offer]) -> list[Row]:
    """Rows that tell what the nearest offer lacks."""
    if not offers:
        names = (*STATE, _HUMIDITY)
        return [Row(name, needs.levels, Action.REFUSE, "no source offers anything for this cycle") for name in names]
    nearest = min(offers, key=lambda offer: sum(map(len, _lacking(offer, needs).values())))
    return [
        Row(name, levels, Action.REFUSE, f"required, and not offered by {', '.join(o.feed for o in offers)}")
        for name, levels in _lacking(nearest, needs).items()
    ]


def _clouds(needs: ModelNeeds, offers: Sequence[Offer], taken: _Taken, zero_allowed: bool) -> list[Row]:
    warm = taken.levels.get("air_temperature", {})
    for offer in offers:
        if all(any(offer.recipe(name, level, warm) for level in needs.levels) for name in CLOUD):
            for name in CLOUD:
                taken.take(name, needs.levels, offer, warm)
            break
    else:
        if not zero_allowed:
            why = "no source offers cloud, and ingest.degraded does not allow zero_cloud"
            return [Row(name, needs.levels, Action.REFUSE, why) for name in CLOUD]
    return [row for name in CLOUD for row in taken.rows(name, needs.levels)]


def _forcing(offers: Sequence[Offer], taken: _Taken) -> list[Row]:
    """Sea surface temperature from the first offer that it can be made from, sea ice from the same one if it has it."""
    icy = [offer for offer in offers if Item(_SEA_ICE) in offer.items]
    ways = [(offer, way) for offer in offers for way in _SST_RECIPES if offer.items.issuperset(way[1])]
    rows = []
    for offer, (method, items) in ways[:1]:
        taken.request(offer, {*items, *({_LAND} & offer.items)})
        action = Action.FETCH if method == AS_GIVEN else Action.DERIVE
        rows.append(Row(_SST, (), action, method, offer.feed, offer.cycle))
        icy.sort(key=lambda other: other is not offer)
    for offer in icy[:1]:
        taken.request(offer, {Item(_SEA_ICE)})
        rows.append(Row(_SEA_ICE, (), Action.FETCH, AS_GIVEN, offer.feed, offer.cycle))
    made = {row.variable for row in rows}
    absent = [name for name in (_SST, _SEA_ICE) if name not in made]
    return rows + [Row(name, (), Action.REFUSE, "no source offers what it is made from") for name in absent]
