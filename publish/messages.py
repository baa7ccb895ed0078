"""What the messages of a GRIB2 file say of themselves, read from their octets (WMO-No. 306, volume I.2).

Hundreds of messages are indexed at each lead time: taking a handful of octets by their place is fifty times
faster than building ecCodes' view of each message. ecCodes gives the short name, once for each parameter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import eccodes

from publish.quantities import PUBLISHABLE
from publish.writers.base import WriterError

_LENGTHS = {1: 3, 2: 2, 5: 13, 6: 1}
"""Octets that product definition templates 4.1, 4.2, 4.5 and 4.6 have more than template 4.0."""
_OF_AN_INTERVAL = {11: 1, 12: 2, 9: 5, 10: 6}
"""Templates with an interval at the end, and the template that each extends."""
_COMMON = 34
_HOURS = {1: 1, 10: 3, 11: 6, 12: 12, 2: 24}
"""Length of the units of time (code table 4.4) that are whole hours."""

_OURS = {(each.grib.discipline, each.grib.category, each.grib.number): each.short_name for each in PUBLISHABLE.values()}
"""Short names of parameters for local use, which ecCodes does not know."""

_short_names: dict[bytes, str] = {}


@dataclass(frozen=True)
class Surface:
    """A fixed surface: its type (code table 4.5) and value, None where it has none."""

    type: int
    value: float | None


@dataclass(frozen=True)
class Message:
    """One message: its place in the file [octets], sections 1 and 4, and discipline."""

    offset: int
    length: int
    discipline: int
    identification: bytes
    product: bytes
    short_name: str

    @property
    def reference_time(self) -> datetime:
        """The cycle."""
        year, (month, day, hour) = _number(self.identification, 13, 2), self.identification[14:17]
        return datetime(year, month, day, hour, tzinfo=UTC)

    @property
    def centre(self) -> int:
        """Originating centre (common code table C-11)."""
        return _number(self.identification, 6, 2)

    @property
    def tables_version(self) -> int:
        """Version of the code tables."""
        return self.identification[9]

    @property
    def local_tables_version(self) -> int:
        """Version of the centre's own code tables, 0 where they are not used."""
        return self.identification[10]

    @cached_property
    def template(self) -> int:
        """Number of the product definition template without interval: 1, 2, 5 or 6."""
        number = _number(self.product, 8, 2)
        template = _OF_AN_INTERVAL.get(number, number)
        if template not in _LENGTHS:
            raise WriterError(f"expected a product of an ensemble, got one of product definition template 4.{number}")
        return template

    @property
    def parameter(self) -> tuple[int, int, int]:
        """Discipline, category and number (code tables 0.0, 4.1 and 4.2)."""
        return self.discipline, self.product[9], self.product[10]

    @property
    def surfaces(self) -> tuple[Surface, Surface]:
        """First and second fixed surface; isobaric surfaces have values in Pa."""
        return Surface(self.product[22], self.scaled(24)), Surface(self.product[28], self.scaled(30))

    @property
    def hours(self) -> tuple[int, int]:
        """Lead times of beginning and end [h]; equal for a moment."""
        begin = _hours(self.product, 18)
        return begin, begin if self.process is None else begin + _hours(self.product, self._interval + 15)

    @property
    def process(self) -> int | None:
        """What is taken over the interval (code table 4.10), None for a moment."""
        return self.product[self._interval + 12] if len(self.product) > self._interval else None

    def octet(self, place: int) -> int:
        """An octet of section 4, counted from 1 as the templates do."""
        return self.product[place - 1]

    def scaled(self, place: int) -> float | None:
        """The value whose scale factor is at this octet of section 4; None when missing."""
        factor, value = self.product[place - 1 : place], self.product[place : place + 4]
        if factor == b"\xff" or value == b"\xff\xff\xff\xff":
            return None
        return _signed(value) / 10.0 ** _signed(factor)

    @property
    def _interval(self) -> int:
        return _COMMON + _LENGTHS[self.template]


def read(path: Path) -> Iterator[Message]:
    """The messages of a file, in order. Raises WriterError for octets that are none."""
    offset = 0
    with path.open("rb") as file:
        while start := file.read(16):
            if len(start) != 16 or start[:4] != b"GRIB" or start[7] != 2:
                raise WriterError(f"{path.name}: expected a GRIB2 message at octet {offset}, got {start[:4]!r}")
            length = _number(start, 9, 8)
            content = start + file.read(length - 16)
            if len(content) != length or content[-4:] != b"7777":
                raise WriterError(f"{path.name}: the message at octet {offset} does not end after {length} octets")
            sections = _sections(content)
            yield Message(offset, length, start[6], sections[1], sections[4], _short_name(content, sections[4]))
            offset += length


def _sections(content: bytes) -> dict[int, bytes]:
    """Sections 1 to 4 by number."""
    sections, place = {}, 16
    while 4 not in sections:
        length = _number(content, place + 1, 4)
        sections[content[place + 4]] = content[place : place + length]
        place += length
    return sections


def _short_name(content: bytes, product: bytes) -> str:
    """ecCodes' name, sought once for each template, parameter, pair of surfaces and kind of interval."""
    interval = product[-12:-5]
    identity = content[6:7] + product[7:11] + product[22:34] + interval
    if identity not in _short_names:
        handle = eccodes.codes_new_from_message(content)
        _short_names[identity] = eccodes.codes_get_string(handle, "shortName")
        eccodes.codes_release(handle)
        if _short_names[identity] == "unknown":
            _short_names[identity] = _OURS.get((content[6], product[9], product[10]), "unknown")
    return _short_names[identity]


def _number(octets: bytes, place: int, count: int) -> int:
    """The unsigned number in `count` octets from a place that is counted from 1."""
    return int.from_bytes(octets[place - 1 : place - 1 + count])


def _signed(octets: bytes) -> int:
    """A number whose first bit is its sign (regulation 92.1.5)."""
    value = int.from_bytes(octets)
    sign = 1 << (8 * len(octets) - 1)
    return -(value - sign) if value & sign else value


def _hours(product: bytes, place: int) -> int:
    """The span whose unit is in the octet at `place` and whose length is in the four after it."""
    unit = product[place - 1]
    if unit not in _HOURS:
        raise WriterError(f"expected lead times in hours or days (code table 4.4), got unit {unit}")
    return _number(product, place + 1, 4) * _HOURS[unit]
