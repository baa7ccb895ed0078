"""Analyses of NOAA's Global Forecast System in its public bucket: two files for each cycle, read in ranges.

The first file has 31 of the model's 37 levels, the second the other six, with relative for specific humidity, and
cloud at 70 hPa. Layout and content: NOAA-EMC/global-workflow, `parm/product/gfs.f000.paramlist.a.txt` and
`gfs.fFFF.paramlist.b.txt`.
"""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forecast.fields import PRESSURE_LEVELS
from ingest import grib
from ingest.cache import InputCache, Origin
from ingest.download import Promise, Transfer
from ingest.errors import Broken, Gone, NotYetAvailable, Refused
from ingest.feed import Availability, Fetched, Item, OnBytes, Part
from ingest.patience import Deadline
from ingest.s3 import S3Remote, public_client
from ingest.sources.gfs_index import Entry, analysis_entries, message_parts, parse_index

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


class Gfs:
    """The feed `gfs`: fields of the analysis at 0.25 degrees, GRIB as NCEP packs it.

    `latency` is the time from a cycle to its files; `seconds` bounds a fetch. The bucket and its endpoint are
    those of AWS unless said otherwise.
    """

    name = "gfs"

    def __init__(
        self,
        cache: InputCache,
        bucket: str = BUCKET,
        endpoint_url: str | None = None,
        latency: timedelta = LATENCY,
        seconds: float = 1800.0,
        transfer: Transfer | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cache = cache
        self._bucket = bucket
        self._latency = latency
        self._seconds = seconds
        self._transfer = transfer or Transfer(_CONNECTIONS)
        self._clock = clock
        connections = self._transfer.connections
        self._client = public_client(endpoint_url, connections, self._transfer.block_timeout)

    def capability(self, cycle: datetime) -> frozenset[Item]:
        """Every field of ours that both files are declared to hold."""
        return frozenset().union(*ITEMS.values())

    def available(self, cycle: datetime, items: Collection[Item]) -> Availability:
        """Those items that the index of a published file has; asks for two small objects and two sizes at most."""
        deadline = Deadline.after(self._seconds)
        present: set[Item] = set()
        for product, wanted in self._by_file(items).items():
            try:
                found, _ = self._contents(cycle, product, deadline)
            except NotYetAvailable:
                continue
            present |= wanted & set(found)
        missing = frozenset(items) - present
        return Availability(cycle, frozenset(present), missing, cycle + self._latency if missing else None)

    def fetch(
        self, cycle: datetime, items: Collection[Item], progress: OnBytes = lambda had, total: None
    ) -> list[Fetched]:
        """The items as one or two GRIB files in the cache. Raises SourceError; Gone a day after the cycle."""
        deadline = Deadline.after(self._seconds)
        fetched: list[Fetched] = []
        for product, wanted in self._by_file(items).items():
            before = sum(file.bytes for file in fetched)

            def on_bytes(had: int, total: int | None, before: int = before) -> None:
                progress(before + had, None if total is None else before + total)

            def fill(target: Path, product: str = product, wanted: frozenset[Item] = wanted, on_bytes=on_bytes):
                return self._fill(target, cycle, product, wanted, deadline, on_bytes)

            fetched.append(self._cache.get(self.name, cycle, wanted, fill, deadline, variant=product))
        return fetched

    def _by_file(self, items: Collection[Item]) -> dict[str, frozenset[Item]]:
        """The items by the file that is declared to hold them."""
        unknown = sorted(map(str, frozenset(items) - self.capability(self._clock())))
        if unknown:
            raise Refused(f"GFS does not have {', '.join(unknown)}; take it from another source")
        shares = {product: declared & frozenset(items) for product, declared in ITEMS.items()}
        return {product: share for product, share in shares.items() if share}

    def _fill(
        self,
        target: Path,
        cycle: datetime,
        product: str,
        items: frozenset[Item],
        deadline: Deadline,
        progress: OnBytes,
    ) -> Origin:
        """Write the messages of these items, proven, to the target."""
        remote = self._remote(cycle, product)
        try:
            found, parts = self._contents(cycle, product, deadline)
        except NotYetAvailable as error:
            if self._clock() < cycle + _NEVER_AFTER:
                raise
            raise Gone(f"{remote.uri}: not there a day after the cycle; use another source") from error
        absent = sorted(map(str, items - set(found)))
        if absent:
            raise Gone(f"{remote.uri}: its index lacks {', '.join(absent)}; use another source for these")
        chosen = [parts[offset] for offset in sorted({found[item].offset for item in items})]
        promise = Promise(len(chosen), check=lambda path: _confirm(path, items, cycle, remote.uri))
        self._transfer.download(remote, target, chosen, deadline=deadline, promise=promise, progress=progress)
        return Origin(remote.uri, {"messages": len(chosen), "file": product})

    def _contents(self, cycle: datetime, product: str, deadline: Deadline) -> tuple[dict[Item, Entry], dict[int, Part]]:
        """What the index of a published file has of ours, and where its messages lie."""
        remote = self._remote(cycle, product)
        index = S3Remote(self._client, self._bucket, f"{self._key(cycle, product)}.idx")
        text = self._transfer.read(index, deadline).decode("ascii", errors="replace")
        entries = parse_index(text, index.uri)
        parts = message_parts(entries, self._transfer.size(remote, deadline), index.uri)
        return analysis_entries(entries, cycle, index.uri), parts

    def _remote(self, cycle: datetime, product: str) -> S3Remote:
        return S3Remote(self._client, self._bucket, self._key(cycle, product))

    def _key(self, cycle: datetime, product: str) -> str:
        return f"gfs.{cycle:%Y%m%d}/{cycle:%H}/atmos/gfs.t{cycle:%H}z.{product}.0p25.f000"


def _confirm(path: Path, items: frozenset[Item], cycle: datetime, uri: str) -> None:
    """Raises Broken when the messages of a file are not the fields that the index said."""
    headers = grib.read_headers(path)
    found = {Item(header.quantity.name, header.level) for header in headers if header.valid_time == cycle}
    absent = sorted(map(str, items - found))
    if absent:
        raise Broken(
            f"{uri}: its index says that it holds {', '.join(absent[:5])} ({len(absent)} in all), its messages are "
            "other fields; fetch it again"
        )
