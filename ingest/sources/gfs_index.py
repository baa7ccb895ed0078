"""The index beside a GFS file: a line for each field, `number:offset:d=YYYYMMDDHH:PARAMETER:level:time:`.

The layout is that of wgrib2's simple inventory. A line gives no length: a message ends where the next one begins,
and the last one with the file.
"""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from forecast.fields import PRESSURE_LEVELS
from ingest.errors import Broken
from ingest.feed import Item, Part

_LINE = re.compile(r"\d+(?:\.\d+)?:(\d+):d=(\d{10}):([^:]+):([^:]+):([^:]+):?(?:.*)")
_LEVEL = re.compile(r"(\d+) mb")
_LEAD = re.compile(r"(\d+) hour fcst")

_ON_LEVELS = {
    "HGT": "geopotential_height",
    "TMP": "air_temperature",
    "UGRD": "eastward_wind",
    "VGRD": "northward_wind",
    "SPFH": "specific_humidity",
    "RH": "relative_humidity",
    "CLWMR": "cloud_mixing_ratio",
    "CLMR": "cloud_mixing_ratio",
    "ICMR": "cloud_ice_mixing_ratio",
}
_AT_SURFACE = {"TMP": "surface_temperature", "ICEC": "sea_ice_area_fraction", "LAND": "land_area_fraction"}


class Entry(NamedTuple):
    """One line: where its message begins [bytes], and the field as NCEP spells it."""

    offset: int
    cycle: datetime
    parameter: str
    level: str
    time: str

    @property
    def item(self) -> Item | None:
        """Our name for it; None when it is none of ours, or on a level that is none of the model's."""
        on_level = _LEVEL.fullmatch(self.level)
        if on_level is None:
            quantity = _AT_SURFACE.get(self.parameter) if self.level == "surface" else None
            return Item(quantity) if quantity else None
        quantity, level = _ON_LEVELS.get(self.parameter), int(on_level[1])
        return Item(quantity, level) if quantity and level in PRESSURE_LEVELS else None

    @property
    def lead_hours(self) -> int | None:
        """Hours from the cycle to the time it is valid at; None for a mean, sum or extreme over a span."""
        if self.time == "anl":
            return 0
        found = _LEAD.fullmatch(self.time)
        return int(found[1]) if found else None


def parse_index(text: str, name: str) -> tuple[Entry, ...]:
    """The lines of an index in the order of their messages; raises Broken when it is none, or out of order."""
    entries = tuple(_entry(line, f"{name}, line {number}") for number, line in enumerate(text.splitlines(), start=1))
    if not entries:
        raise Broken(f"{name}: expected an index of GRIB messages, found no lines; fetch it again")
    for before, after in pairwise(entries):
        if after.offset < before.offset:
            raise Broken(f"{name}: expected offsets that rise, found {after.offset} after {before.offset}")
    return entries


def _entry(line: str, label: str) -> Entry:
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise Broken(f"{label}: expected number:offset:d=YYYYMMDDHH:parameter:level:time:, found {line[:80]!r}")
    offset, date, parameter, level, time = found.groups()
    try:
        cycle = datetime.strptime(date, "%Y%m%d%H").replace(tzinfo=UTC)
    except ValueError:
        raise Broken(f"{label}: expected a date as YYYYMMDDHH, found {date}") from None
    return Entry(int(offset), cycle, parameter, level, time)


def analysis_entries(entries: Iterable[Entry], cycle: datetime, name: str) -> dict[Item, Entry]:
    """The lines of our items that are valid at the cycle; raises Broken when they belong to another cycle."""
    found: dict[Item, Entry] = {}
    for entry in entries:
        if entry.item is None or entry.lead_hours != 0:
            continue
        if entry.cycle != cycle:
            raise Broken(f"{name}: expected lines of {cycle:%Y-%m-%d %H} UTC, found {entry.cycle:%Y-%m-%d %H} UTC")
        found.setdefault(entry.item, entry)
    return found


def message_parts(entries: Collection[Entry], size: int, name: str) -> dict[int, Part]:
    """The bytes of each message by its offset, in a file of `size` bytes.

    Raises Broken when the index goes beyond the file: it is that of another one.
    """
    offsets = sorted({entry.offset for entry in entries})
    if offsets[-1] >= size:
        raise Broken(
            f"{name}: expected messages within {size} bytes, found one at byte {offsets[-1]}; "
            "index and file do not belong together: fetch both again"
        )
    return {start: Part(start, end - start) for start, end in pairwise([*offsets, size])}
