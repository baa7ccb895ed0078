"""From the plan that should be to the plan that can be: asks the feeds what is published, and keeps to what is allowed.

Nothing is worse than planned unless a mode of `ingest.modes.Mode` allows it, and then the plan says so.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from forecast.fields import FORCING_FIELDS
from ingest.errors import NotYetAvailable, SourceError
from ingest.execute import require_possible
from ingest.feed import Availability, Feed, Item
from ingest.modes import Mode
from ingest.plan import Degradation, Place, Plan, Request, degradations, in_order, told
from ingest.planner import FORCING_ITEMS, Offer, make_plan
from ingest.source import ModelNeeds

Watch = Callable[[str, Availability], Availability]
"""Told what a feed answered at first; gives the answer back, perhaps with a better guess of when the rest comes."""

SIX_HOURS = timedelta(hours=6)


@dataclass(frozen=True)
class Terms:
    """In which ways a start may be worse than planned, and how old a state or a forcing may be then."""

    allowed: tuple[Mode, ...] = ()
    max_age: timedelta = timedelta(hours=12)
    max_forcing_age: timedelta = timedelta(days=10)

    def strict(self) -> "Terms":
        """The terms of a start that is as planned: what is worse for the time being only is not allowed."""
        return replace(self, allowed=tuple(mode for mode in self.allowed if mode == "zero_cloud"))


def declared_plan(cycle: datetime, needs: ModelNeeds, feeds: Mapping[str, Feed], terms: Terms) -> Plan:
    """The plan by what feeds are declared to offer; asks nobody."""
    offers = [Offer(name, cycle, feed.capability(cycle)) for name, feed in feeds.items()]
    return make_plan(needs, cycle, offers, terms.allowed)


def settle(
    cycle: datetime,
    needs: ModelNeeds,
    feeds: Mapping[str, Feed],
    terms: Terms,
    watch: Watch = lambda feed, availability: availability,
) -> Plan:
    """A plan whose every field is published.

    Raises Incomplete when even the declared capabilities do not suffice, NotYetAvailable saying what is missing and
    when it is expected, or the error of a feed that could not be asked.
    """
    require_possible(declared_plan(cycle, needs, feeds, terms))
    enquiry = Enquiry(feeds, needs, terms, watch)
    for state_cycle in _state_cycles(cycle, terms):
        plan = enquiry.plan(state_cycle)
        nominal = declared_plan(state_cycle, needs, feeds, terms)
        worse = [] if plan.refused else list(degradations(nominal, plan))
        if not plan.refused and all(one.mode in terms.allowed for one in worse):
            late = [_late(state_cycle, enquiry, cycle)] if state_cycle != cycle else []
            return replace(plan, cycle=cycle, degraded=(*late, *worse))
    raise enquiry.complaint(cycle)


def _state_cycles(cycle: datetime, terms: Terms) -> Iterator[datetime]:
    yield cycle
    if "previous_analysis" in terms.allowed:
        for count in range(1, terms.max_age // SIX_HOURS + 1):
            yield cycle - count * SIX_HOURS


def _late(state_cycle: datetime, enquiry: "Enquiry", cycle: datetime) -> Degradation:
    what = f"the state is the analysis of {state_cycle:%Y-%m-%dT%H}, carried to the cycle by the model"
    return Degradation("previous_analysis", what, str(enquiry.complaint(cycle)))


@dataclass
class Enquiry:
    """What has been asked of feeds so far, and what they answered."""

    feeds: Mapping[str, Feed]
    needs: ModelNeeds
    terms: Terms
    watch: Watch
    _asked: dict[tuple[str, datetime], set[Item]] = field(default_factory=dict)
    _missing: dict[tuple[str, datetime], set[Item]] = field(default_factory=dict)
    _answers: dict[tuple[str, datetime], Availability | SourceError] = field(default_factory=dict)

    def plan(self, cycle: datetime) -> Plan:
        """The best plan from what is published; asks until every field of it is known to be there."""
        plan = self._confirmed(cycle, [cycle])
        if "previous_forcing" in self.terms.allowed and any(row.variable in FORCING_FIELDS for row in plan.refused):
            for count in range(1, self.terms.max_forcing_age // SIX_HOURS + 1):
                plan = self._confirmed(cycle, [cycle, cycle - count * SIX_HOURS])
                if not any(row.variable in FORCING_FIELDS for row in plan.refused):
                    break
        return plan

    def _confirmed(self, cycle: datetime, cycles: list[datetime]) -> Plan:
        while True:
            offers = [self._offer(name, each, cycle) for each in cycles for name in self.feeds]
            plan = make_plan(self.needs, cycle, offers, self.terms.allowed)
            if not [request for request in plan.requests if self._ask(request)]:
                return plan

    def _offer(self, name: str, cycle: datetime, state_cycle: datetime) -> Offer:
        items = self.feeds[name].capability(cycle) - self._missing.get((name, cycle), set())
        return Offer(name, cycle, items if cycle == state_cycle else items & FORCING_ITEMS)

    def _ask(self, request: Request) -> bool:
        """Ask for what is not known yet; whether anything of it is missing."""
        key = request.feed, request.cycle
        unknown = (request.items | request.above) - self._asked.setdefault(key, set())
        if not unknown:
            return False
        missing = self._answer(key, unknown)
        self._asked[key] |= unknown
        self._missing.setdefault(key, set()).update(missing)
        return bool(missing)

    def _answer(self, key: tuple[str, datetime], items: frozenset[Item]) -> frozenset[Item]:
        name, cycle = key
        try:
            answer = self.feeds[name].available(cycle, items)
        except SourceError as error:
            self._answers[key] = error
            return items | self.feeds[name].capability(cycle)
        if key not in self._answers:
            self._answers[key] = self.watch(name, answer)
        return answer.missing

    def complaint(self, cycle: datetime) -> SourceError:
        """Why there is no analysis of a cycle: what is missing and when it is expected, or what a feed said instead."""
        lines, errors = [], []
        for (name, each), answer in self._answers.items():
            if each == cycle and isinstance(answer, SourceError):
                errors.append(answer)
                lines.append(f"{name}: {answer}")
            elif each == cycle and not isinstance(answer, SourceError) and answer.missing:
                lines.append(f"{name} {missing_text(answer)}")
        if len(errors) == len(lines) == 1:
            return errors[0]
        return NotYetAvailable(
            f"the analysis of {cycle:%Y-%m-%dT%H} is not complete yet: {'; '.join(lines) or 'nothing is there'}; "
            "ask again then, or allow a degraded start (ingest.degraded)"
        )


def missing_text(answer: Availability) -> str:
    """What is missing and when it is expected, in words."""
    when = f"{answer.expected_at:%Y-%m-%d %H:%M} UTC" if answer.expected_at else "at a time that nobody knows"
    return f"lacks {missing_fields(answer)}, expected {when}"


def missing_fields(answer: Availability) -> str:
    """How many fields are missing, and which, in words."""
    total = len(answer.missing) + len(answer.present)
    if not answer.present:
        return f"all {total} fields"
    what = told(Place(*item) for item in in_order(answer.missing))
    return f"{len(answer.missing)} of {total} fields ({what})"
