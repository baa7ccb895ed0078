"""Analyses of NOAA's Global Forecast System in its public bucket: two files for each cycle, read in ranges.

The first file has 31 of the model's 37 levels, the second the other six, with relative for specific humidity, and
cloud at 70 hPa. Layout and content: NOAA-EMC/global-workflow, `parm/product/gfs.f000.paramlist.a.txt` and
`gfs.fFFF.paramlist.b.txt`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

from forecast.fields import PRESSURE_LEVELS
from ingest.cache import InputCache, Origin
from ingest.download import Promise, Transfer
from ingest.errors import Gone, Incomplete, NotYetAvailable
from ingest.feed import Availability, Fetched, Item, OnBytes, Part
from ingest.index import in_order, named
from ingest.patience import Deadline
from ingest.proof import prove_fields
from ingest.s3 import S3Remote, public_client
from ingest.sources.gfs_index import analysis_entries, message_parts, parse_index

BUCKET = "noaa-gfs-bdp-pds"
LATENCY = timedelta(hours=3, minutes=40)
"""From the cycle to its first files in the bucket."""

_NEVER_AFTER = timedelta(days=1)
_CONNECTIONS = 8

_SECOND_FILE_LEVELS = (125, 175, 225, 775, 825, 875)
_WIND_AND_MASS = ("geopotential_height", "air_temperature", "eastward_wind", "northward_wind")
_CLOUD = ("cloud_mixing_ratio", "cloud_ice_mixing_ratio")
_SURFACE = ("surface_temperature", "sea_ice_area_fraction", "land_area_fraction")


def _declared(product: str) -> frozenset[Item]:
    second = product == "pgrb2b"
    levels = [level for level in PRESSURE_LEVELS if (level in _SECOND_FILE_LEVELS) == second]
    cloud_levels = [level for level in levels if level >= 50 and level != 70] + ([70] if second else [])
    humidity = ("relative_humidity",) if second else ("relative_humidity", "specific_humidity")
    on_levels = [Item(name, level) for name in (*_WIND_AND_MASS, *humidity) for level in levels]
    cloud = [Item(name, level) for name in _CLOUD for level in cloud_levels]
    return frozenset(on_levels + cloud + ([] if second else [Item(name) for name in _SURFACE]))


ITEMS = {product: _declared(product) for product in ("pgrb2b", "pgrb2")}
"""What each of the two files is declared to hold; the smaller first."""


@dataclass(frozen=True)
class Gfs:
    """The feed `gfs`: fields of the analysis at 0.25 degrees.

    `endpoint_url` is that of AWS when None. `fetch_seconds` and `ask_seconds` bound a fetch and an enquiry.
    """

    cache: InputCache
    bucket: str = BUCKET
    endpoint_url: str | None = None
    transfer: Transfer = field(default_factory=lambda: Transfer(_CONNECTIONS))
    fetch_seconds: float = 1800.0
    ask_seconds: float = 120.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    deadline: Callable[[float], Deadline] = Deadline.after
    name: ClassVar[str] = "gfs"

    def capability(self, cycle: datetime) -> frozenset[Item]:
        """Every field of ours that the two files are declared to hold."""
        return frozenset().union(*ITEMS.values())

    def available(self, cycle: datetime, items: Collection[Item]) -> Availability:
        """Those items that the index of a published file has; asks for two small objects and two sizes at most."""
        deadline = self.deadline(self.ask_seconds)
        present: set[Item] = set()
        for product, wanted in _by_file(items).items():
            try:
                present |= wanted & set(self._contents(cycle, product, deadline))
            except NotYetAvailable:
                continue
        missing = frozenset(items) - present
        expected = cycle + LATENCY
        known = missing and expected > self.now()
        return Availability(cycle, frozenset(present), missing, expected if known else None)

    def fetch(
        self, cycle: datetime, items: Collection[Item], progress: OnBytes = lambda had, total: None
    ) -> list[Fetched]:
        """The items as one or two GRIB files, from the cache or the bucket.

        Raises NotYetAvailable when some are not published yet, Gone when that is so a day after the cycle,
        Incomplete when GFS does not offer them, and what goes wrong on the way.
        """
        beyond = set(items) - self.capability(cycle)
        if beyond:
            raise Incomplete(f"{self.name} does not offer {named(beyond)}; take them from another source")
        deadline = self.deadline(self.fetch_seconds)
        fetched: list[Fetched] = []
        for product, wanted in _by_file(items).items():
            onward = _after(sum(file.bytes for file in fetched), progress)
            load = partial(self._load, cycle, product, wanted, deadline, onward)
            fetched.append(self.cache.get(self.name, cycle, wanted, load, deadline, product))
        return fetched

    def _load(
        self,
        cycle: datetime,
        product: str,
        items: frozenset[Item],
        deadline: Deadline,
        progress: OnBytes,
        path: Path,
    ) -> Origin:
        """Write the messages of these items, proven, to the path."""
        remote = self._remote(cycle, product)
        try:
            contents = self._contents(cycle, product, deadline)
            absent = items - set(contents)
            if absent:
                raise NotYetAvailable(f"{remote.uri}: its index does not list {named(absent)}; ask again later")
        except NotYetAvailable as error:
            if self.now() - cycle > _NEVER_AFTER:
                raise Gone(f"{error}; the cycle is too old to come, use another source") from error
            raise
        parts = in_order(contents[item] for item in items)
        carried = {item for item, part in contents.items() if part in parts}
        promise = Promise(len(parts), check=lambda written: prove_fields(written, cycle, carried))
        self.transfer.download(remote, path, parts, deadline=deadline, promise=promise, progress=progress)
        return Origin(remote.uri, {"messages": len(parts)})

    def _contents(self, cycle: datetime, product: str, deadline: Deadline) -> dict[Item, Part]:
        """What the index of a published file has of ours, and where the messages lie."""
        remote, index = self._remote(cycle, product), self._remote(cycle, product, ".idx")
        entries = parse_index(self.transfer.read(index, deadline).decode("ascii", errors="replace"), index.uri)
        parts = message_parts(entries, self.transfer.size(remote, deadline), index.uri)
        return {item: parts[entry.offset] for item, entry in analysis_entries(entries, cycle, index.uri).items()}

    def _remote(self, cycle: datetime, product: str, suffix: str = "") -> S3Remote:
        key = f"gfs.{cycle:%Y%m%d}/{cycle:%H}/atmos/gfs.t{cycle:%H}z.{product}.0p25.f000{suffix}"
        return S3Remote(self._client, self.bucket, key)

    @cached_property
    def _client(self) -> Any:
        return public_client(self.endpoint_url, self.transfer.connections, self.transfer.block_timeout)


def _by_file(items: Collection[Item]) -> dict[str, frozenset[Item]]:
    """Those items that GFS offers, by the file that is declared to hold them."""
    shares = {product: declared & frozenset(items) for product, declared in ITEMS.items()}
    return {product: share for product, share in shares.items() if share}


def _after(done: int, progress: OnBytes) -> OnBytes:
    """Tells of a file that follows others of so many bytes."""
    return lambda had, total: progress(done + had, None if total is None else done + total)
