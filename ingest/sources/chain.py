"""Analyses from feeds: an ordered chain of them, a plan of what comes from which, and the analysis made by it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forecast.times import CYCLE_HOURS
from ingest.analysis import Analysis
from ingest.errors import NotYetAvailable, SourceError
from ingest.execute import Inputs, OnFetch, carry_out, fetch_inputs
from ingest.feed import Availability, Feed
from ingest.plan import Plan, Request
from ingest.settle import SIX_HOURS, Terms, Watch, declared_plan, missing_text, settle
from ingest.source import ModelNeeds

_ANY_GRID = ModelNeeds(64, 32)
"""What is asked of feeds does not depend on the grid."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ChainSource:
    """Feeds in order of preference, by name.

    `perturbed` gives the feed of a member's perturbed analysis, in place of the first feed. `lookback` is how old the
    newest cycle may be; `release` is told of files that are needed no more.
    """

    name: str
    feeds: Mapping[str, Feed]
    terms: Terms = field(default_factory=Terms)
    perturbed: Callable[[int], Feed] | None = None
    forcing: str = "held"
    lookback: timedelta = timedelta(days=2)
    watch: Watch = lambda feed, availability: availability
    progress: OnFetch = lambda feed, had, total: None
    release: Callable[[Path], None] = lambda path: None
    clock: Callable[[], datetime] = _now

    def cycles(self) -> tuple[datetime, ...]:
        """The newest cycle that is published as planned; raises NotYetAvailable when none within `lookback` is."""
        newest = self._newest()
        complaint: SourceError | None = None
        strict = self.terms.strict()
        for count in range(self.lookback // SIX_HOURS + 1):
            try:
                settle(newest - count * SIX_HOURS, _ANY_GRID, self.feeds, strict, self.watch)
            except NotYetAvailable as error:
                complaint = complaint or error
            else:
                return (newest - count * SIX_HOURS,)
        raise NotYetAvailable(f"{self.name} has no whole cycle of the last {self.lookback}: {complaint}")

    def plan(self, cycle: datetime, needs: ModelNeeds = _ANY_GRID) -> Plan:
        """The plan by what the feeds are declared to offer; asks nobody."""
        return replace(declared_plan(cycle, needs, self.feeds, self.terms), forcing=self.forcing)

    def settled(self, cycle: datetime, needs: ModelNeeds = _ANY_GRID) -> Plan:
        """The plan by what is published; raises SourceError, see `settle`."""
        return replace(settle(cycle, needs, self.feeds, self.terms, self.watch), forcing=self.forcing)

    def check(self, cycle: datetime) -> list[tuple[Request, Availability | SourceError]]:
        """What each feed says to the plan's requests."""
        return [(request, self._answer(request)) for request in self.plan(cycle).requests]

    def fetch_inputs(self, plan: Plan) -> Inputs:
        """The files that a plan asks for; raises SourceError."""
        return fetch_inputs(plan, self._feeds(plan.member), self.progress)

    def fetch(self, cycle: datetime, needs: ModelNeeds) -> Analysis:
        """The analysis made by the plan that can be carried out, checked; raises SourceError.

        Its valid time is the cycle, or earlier where a previous analysis is allowed.
        """
        return self._made(self.settled(cycle, needs), needs, {})

    def fetch_member(self, plan: Plan, needs: ModelNeeds, member: int) -> Analysis:
        """The analysis of a member: perturbed from the first feed, the rest as the control. Raises SourceError."""
        own = replace(plan, member=member)
        first = next(iter(self.feeds))
        requests = [request for request in plan.requests if request.feed == first]
        if not requests:
            raise NotYetAvailable(f"the plan takes nothing from {first}, so there is no perturbed analysis by it")
        for request in requests:
            self._require_member(request, member)
        return self._made(own, needs, {first: member})

    def _made(self, plan: Plan, needs: ModelNeeds, members: Mapping[str, int]) -> Analysis:
        """The analysis by a plan; its files are released after it."""
        inputs = self.fetch_inputs(plan)
        try:
            return carry_out(plan, needs, inputs, members)
        finally:
            for files in inputs.files.values():
                for one in files:
                    self.release(one.path)

    def _require_member(self, request: Request, member: int) -> None:
        answer = self._feeds(member)[request.feed].available(request.cycle, request.items)
        if answer.missing:
            raise NotYetAvailable(f"member {member} of {request.feed} {missing_text(answer)}; ask again then")

    def _feeds(self, member: int) -> Mapping[str, Feed]:
        if member == 0:
            return self.feeds
        if self.perturbed is None:
            raise ValueError(f"source {self.name} has no perturbed analyses")
        return {**self.feeds, next(iter(self.feeds)): self.perturbed(member)}

    def _answer(self, request: Request) -> Availability | SourceError:
        try:
            return self.watch(
                request.feed, self.feeds[request.feed].available(request.cycle, request.items | request.above)
            )
        except SourceError as error:
            return error

    def _newest(self) -> datetime:
        now = self.clock()
        return now.replace(hour=max(h for h in CYCLE_HOURS if h <= now.hour), minute=0, second=0, microsecond=0)
