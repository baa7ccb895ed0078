"""ECMWF's open data as a feed: the analysis of the control, or of one perturbed member, from several mirrors."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

import requests

from ingest.cache import InputCache, Origin
from ingest.download import Promise, Transfer
from ingest.errors import Broken, Denied, Gone, Incomplete, NotYetAvailable, SourceError
from ingest.feed import Availability, Fetched, Item, OnBytes, Part
from ingest.http import HttpRemote, new_session, without_secrets
from ingest.index import Entry, ends_within, in_order, named, parse_json_lines, whole_lines
from ingest.mirrors import Mirror, Mirrors
from ingest.patience import Deadline
from ingest.proof import prove_fields
from ingest.sources.ecmwf_client import OFFER, AnalysisFile

MEMBERS = range(1, 51)
"""The perturbed members."""

LATENCY = timedelta(hours=5, minutes=50)
"""From the cycle to its analysis, by the provider's schedule with a few minutes to spare."""

_HELD = timedelta(days=2)
_Answer = TypeVar("_Answer")


class _Listing(NamedTuple):
    """A file at one mirror, and what of ours its index offers and it is long enough for."""

    file: AnalysisFile
    index: bytes
    offered: dict[Item, Entry]


class _Order(NamedTuple):
    """What is to be loaded, and to where."""

    cycle: datetime
    items: Collection[Item]
    path: Path
    progress: OnBytes


@dataclass(frozen=True)
class EcmwfOpenData:
    """The analysis of one forecast: the control, or that of perturbed `member` 1 to 50.

    `fetch_seconds` and `ask_seconds` bound a fetch and an enquiry, all mirrors together.
    """

    cache: InputCache
    mirrors: Mirrors
    member: int | None = None
    transfer: Transfer = field(default_factory=Transfer)
    fetch_seconds: float = 1800.0
    ask_seconds: float = 120.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    deadline: Callable[[float], Deadline] = Deadline.after
    session: requests.Session = field(default_factory=lambda: new_session(8))
    name: ClassVar[str] = "ecmwf"

    def __post_init__(self) -> None:
        if self.member is not None and self.member not in MEMBERS:
            raise ValueError(f"expected a perturbed member from 1 to {MEMBERS[-1]}, got {self.member}")

    def capability(self, cycle: datetime) -> frozenset[Item]:
        """The fields of an analysis file, whatever the cycle."""
        return OFFER

    def available(self, cycle: datetime, items: Collection[Item]) -> Availability:
        """Which items an index lists and its file is long enough for, at the first mirror with all, or else most.

        Raises SourceError when no mirror answers.
        """
        wanted = frozenset(items)
        best, where = frozenset[Item](), None
        deadline = self.deadline(self.ask_seconds)
        for mirror, present in self._answers(lambda each, until: self._present(each, cycle, until) & wanted, deadline):
            if len(present) > len(best):
                best, where = present, mirror.name
            if best == wanted:
                break
        expected = cycle + LATENCY
        late = best == wanted or expected <= self.now()
        return Availability(cycle, best, wanted - best, None if late else expected, where)

    def fetch(
        self, cycle: datetime, items: Collection[Item], progress: OnBytes = lambda had, total: None
    ) -> list[Fetched]:
        """The items in one file, from the cache or the first mirror that can give them all.

        Raises NotYetAvailable when some are not published yet, Gone when the cycle is days old, Incomplete when
        the provider does not offer them, and what went wrong at the first mirror when none could.
        """
        if not items:
            return []
        beyond = set(items) - OFFER
        if beyond:
            raise Incomplete(f"{self.name} does not offer {named(beyond)}; take them from another source")
        deadline = self.deadline(self.fetch_seconds)
        variant = "" if self.member is None else f"member {self.member}"

        def fill(path: Path) -> Origin:
            order = _Order(cycle, items, path, progress)
            _, origin = next(self._answers(lambda mirror, until: self._load(mirror, order, until), deadline))
            return origin

        try:
            return [self.cache.get(self.name, cycle, items, fill, deadline, variant)]
        except NotYetAvailable as error:
            if self.now() - cycle > _HELD:
                raise Gone(f"{error}; the cycle is too old to come, use another source") from error
            raise

    def _answers(
        self, ask: Callable[[Mirror, Deadline], _Answer], deadline: Deadline
    ) -> Iterator[tuple[Mirror, _Answer]]:
        """What the mirrors answer, one after another, each with half of the time that is left.

        Who fails is noted. When nobody answered, the first failure is raised, or NotYetAvailable when a mirror
        said so and no other was Busy or Broken (stores deny what they do not have).
        """
        failure: SourceError | None = None
        late: SourceError | None = None
        answered = False
        mirrors = self.mirrors.in_order()
        for mirror in mirrors:
            try:
                answer = ask(mirror, deadline if mirror == mirrors[-1] else deadline.share(0.5))
            except NotYetAvailable as error:
                late = late or error
            except SourceError as error:
                self.mirrors.failed(mirror)
                failure = failure or error
            else:
                self.mirrors.worked(mirror)
                answered = True
                yield mirror, answer
        if answered:
            return
        if late is not None and (failure is None or isinstance(failure, Denied)):
            raise late
        raise failure or Denied(f"{self.name}: expected the address of a mirror, none is configured")

    def _listing(self, mirror: Mirror, cycle: datetime, deadline: Deadline) -> _Listing:
        """Raises NotYetAvailable when there is no index or no file."""
        file = AnalysisFile(mirror.url, cycle, self.member)
        remote = HttpRemote(file.index_url, self.session)
        index = whole_lines(self.transfer.read(remote, deadline))
        size = self.transfer.size(HttpRemote(file.url, self.session), deadline)
        offered = file.offered(parse_json_lines(index, remote.uri))
        return _Listing(file, index, {item: entry for item, entry in offered.items() if ends_within(entry.part, size)})

    def _present(self, mirror: Mirror, cycle: datetime, deadline: Deadline) -> frozenset[Item]:
        try:
            return frozenset(self._listing(mirror, cycle, deadline).offered)
        except NotYetAvailable:
            return frozenset()

    def _load(self, mirror: Mirror, order: _Order, deadline: Deadline) -> Origin:
        listing = self._listing(mirror, order.cycle, deadline)
        parts = _parts(listing, order.items)
        promise = Promise(
            len(parts),
            hashlib.sha256(listing.index).hexdigest(),
            lambda partial: prove_fields(partial, order.cycle, order.items, self.member or 0),
        )
        remote = HttpRemote(listing.file.url, self.session)
        self.transfer.download(remote, order.path, parts, deadline=deadline, promise=promise, progress=order.progress)
        return Origin(remote.uri, {"mirror": mirror.name, **listing.file.details})


def _parts(listing: _Listing, items: Collection[Item]) -> list[Part]:
    """The bytes of the items, as our reading of the index and the client's agree on."""
    where = without_secrets(listing.file.index_url)
    missing = set(items) - set(listing.offered)
    if missing:
        raise NotYetAvailable(f"{where}: {named(missing)} not published yet; ask again later")
    parts = in_order(listing.file.select(listing.index, items))
    if parts != in_order(listing.offered[item].part for item in items):
        raise Broken(
            f"{where}: expected one line for each of {len(set(items))} fields, found {len(parts)}; fetch it again"
        )
    return parts
