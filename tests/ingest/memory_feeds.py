"""Feeds that hold small analyses in memory, offering what the real ones do, and able to be late or to lack things."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forecast.constants import STANDARD_GRAVITY
from forecast.fields import PRESSURE_LEVELS
from ingest.canonical import QUANTITIES
from ingest.errors import Busy
from ingest.feed import Availability, Fetched, Item
from ingest.moisture import saturation_pressure
from tests.ingest.examples import FILE_LEVELS, Example, message, state

RETRIEVED = datetime(2020, 3, 1, 10, tzinfo=UTC)
ONLY_IN_B = (125, 175, 225, 775, 825, 875)
CLOUD_LEVELS = tuple(level for level in PRESSURE_LEVELS if level >= 100 or level in (50, 70))
NAMES = {"surface_temperature": "skt", "sea_ice_area_fraction": "ci"}


def short_name(quantity: str) -> str:
    return NAMES.get(quantity, QUANTITIES[quantity].grib_names[0])


def item(short: str, level: int) -> Item:
    found = next(q for q in QUANTITIES.values() if short in q.grib_names and q.on_levels == bool(level))
    return Item(found.name, level or None)


@dataclass
class MemoryFeed:
    """Offers the fields of an example for every cycle; `missing`, `late` and `broken` make it worse."""

    name: str
    fields: dict
    directory: Path
    member: int = 0
    missing: set[Item] = field(default_factory=set)
    late: set[datetime] = field(default_factory=set)
    busy: bool = False
    delay: timedelta = timedelta(hours=4)
    fetched: list[tuple[datetime, frozenset[Item]]] = field(default_factory=list)
    asked: list[datetime] = field(default_factory=list)

    @property
    def items(self) -> frozenset[Item]:
        return frozenset(item(*key) for key in self.fields)

    def capability(self, cycle: datetime) -> frozenset[Item]:
        return self.items

    def available(self, cycle: datetime, items: Collection[Item]) -> Availability:
        self.asked.append(cycle)
        if self.busy:
            raise Busy(f"{self.name} does not answer")
        wanted = frozenset(items)
        lacking = wanted if cycle in self.late else wanted & self.missing
        return Availability(cycle, wanted - lacking, lacking, cycle + self.delay, "memory")

    def fetch(self, cycle: datetime, items: Collection[Item], progress=lambda had, total: None) -> list[Fetched]:
        self.fetched.append((cycle, frozenset(items)))
        given = Example(dict(self.fields), valid_time=cycle, member=self.member or None)
        chosen = {key: values for key, values in self.fields.items() if item(*key) in items}
        content = b"".join(message(given, *key, values) for key, values in chosen.items())
        path = self.directory / f"{self.name}-{self.member}-{cycle:%Y%m%d%H}.grib2"
        path.write_bytes(content)
        progress(len(content), len(content))
        digest = hashlib.sha256(content).hexdigest()
        uri = f"memory://{self.name}/{self.member}/{cycle:%Y%m%d%H}"
        return [Fetched(path, frozenset(items), self.name, uri, digest, len(content), RETRIEVED)]


def ecmwf_fields() -> dict:
    """The state on fourteen levels, skin temperature and land; no cloud, no sea surface."""
    given = state()
    fields = {("gh", level): given["z", level] / STANDARD_GRAVITY for level in FILE_LEVELS}
    fields |= {(name, level): given[name, level] for name in "tuvq" for level in FILE_LEVELS}
    return fields | {key: given[key] for key in (("skt", 0), ("lsm", 0))}


def gfs_fields(warmer: float = 0.0) -> dict:
    """All levels, relative humidity at six of them, cloud mixing ratios from 50 hPa down, surface temperature, ice."""
    given = state()
    fields = {("gh", level): given["z", level] / STANDARD_GRAVITY for level in PRESSURE_LEVELS}
    fields |= {(name, level): given[name, level] for name in "tuv" for level in PRESSURE_LEVELS}
    fields |= {("q", level): given["q", level] for level in PRESSURE_LEVELS if level not in ONLY_IN_B}
    for level in ONLY_IN_B:
        vapour = given["q", level] * 100.0 * level / (0.622 + 0.378 * given["q", level])
        fields["r", level] = (100.0 * vapour / saturation_pressure(given["t", level])).clip(0.0, 150.0)
    for level in CLOUD_LEVELS:
        fields["clwmr", level], fields["icmr", level] = given["clwc", level], given["ciwc", level]
    surface = {("skt", 0): given["skt", 0] + warmer, ("ci", 0): given["ci", 0], ("lsm", 0): given["lsm", 0]}
    return fields | surface


def era5_fields() -> dict:
    """Everything the model needs, on all levels."""
    return {key: values for key, values in state().items() if key[0] not in ("skt",)}
