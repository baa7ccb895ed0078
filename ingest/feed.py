"""What a feed is: a provider that publishes fields by cycle, said what it has, asked whether it is there, fetched from.

A feed deals in items and files and knows nothing of the model; `ingest.plan` decides which items are taken from
which feed.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol


class Item(NamedTuple):
    """One horizontal field: a quantity by its name in `ingest.canonical`, and a pressure level [hPa] or None."""

    quantity: str
    level: int | None = None

    def __str__(self) -> str:
        return self.quantity if self.level is None else f"{self.quantity} at {self.level} hPa"


@dataclass(frozen=True)
class Availability:
    """Which of the items asked for are published; `expected_at` is when the rest should be, None if nobody knows."""

    cycle: datetime
    present: frozenset[Item]
    missing: frozenset[Item]
    expected_at: datetime | None = None
    mirror: str | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True)
class Fetched:
    """A whole, verified GRIB file on this machine that holds the items; `details` is plain JSON, such as expver."""

    path: Path
    items: frozenset[Item]
    source: str
    uri: str
    sha256: str
    bytes: int
    retrieved_at: datetime
    details: dict[str, Any] = field(default_factory=dict)


OnBytes = Callable[[int, int | None], None]
"""Told the bytes had so far and in all, None when that is not known."""


class Feed(Protocol):
    """A provider of analyses."""

    name: ClassVar[str]
    """Its name in configuration and in provenance."""

    def capability(self, cycle: datetime) -> frozenset[Item]:
        """Everything that it is declared to offer for a cycle; asks nobody."""
        ...

    def available(self, cycle: datetime, items: Collection[Item]) -> Availability:
        """Whether these items are published, proven from the provider's index; cheap. Raises SourceError."""
        ...

    def fetch(
        self, cycle: datetime, items: Collection[Item], progress: OnBytes = lambda had, total: None
    ) -> list[Fetched]:
        """These items as files in the input cache; those that are there are not fetched again. Raises SourceError."""
        ...


class Part(NamedTuple):
    """A range of bytes of a remote object."""

    offset: int
    length: int


class Remote(Protocol):
    """A remote object that can be read in ranges; every method raises SourceError."""

    @property
    def uri(self) -> str:
        """Its address, without credentials."""
        ...

    def size(self) -> int:
        """Its length [bytes], asked anew each time."""
        ...

    def version(self) -> str | None:
        """What differs when its content does, such as an ETag, as of the last `size`; None when nobody tells."""
        ...

    def read(self, part: Part, timeout: float) -> Iterator[bytes]:
        """The bytes of a range, in blocks, from another thread for each range.

        Raises Busy when a block takes longer than the timeout [s], Broken when the bytes end early, and
        Changed when the object is not the one that `size` and `version` told of.
        """
        ...
