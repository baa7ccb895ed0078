"""Sections of a GRIB2 message as tables of rows, each a number of some octets, in the order of the octets.

A row is named as ecCodes names it, so that the octets can be compared with what a reader finds in them.
"""

from functools import lru_cache
from typing import NamedTuple

MISSING = None
"""A value that is not given: all bits are one (regulation 92.1.5)."""

INDICATOR_LENGTH = 16
END = b"7777"


class Row(NamedTuple):
    """One number; negative ones have their sign in the first bit (regulation 92.1.5)."""

    key: str
    octets: int
    value: int | None


@lru_cache(maxsize=256)
def section(number: int, rows: tuple[Row, ...]) -> bytes:
    """A section: its length in four octets, its number, its rows."""
    body = b"".join(map(_octets, rows))
    return (5 + len(body)).to_bytes(4, "big") + bytes([number]) + body


def assemble(discipline: int, *sections: bytes) -> bytes:
    """A whole message of edition 2, with its indicator and end (sections 0 and 8)."""
    body = b"".join(sections)
    length = INDICATOR_LENGTH + len(body) + len(END)
    indicator = b"GRIB\xff\xff" + bytes([discipline, 2]) + length.to_bytes(8, "big")
    return indicator + body + END


def sections_of(message: bytes) -> dict[int, bytes]:
    """The sections of a message by their numbers, lengths included."""
    found, position = {}, INDICATOR_LENGTH
    while message[position : position + 4] != END:
        length = int.from_bytes(message[position : position + 4], "big")
        found[message[position + 4]] = message[position : position + length]
        position += length
    return found


def _octets(row: Row) -> bytes:
    bits = 8 * row.octets
    if row.value is None:
        return b"\xff" * row.octets
    if row.value < 0:
        return ((1 << (bits - 1)) | -row.value).to_bytes(row.octets, "big")
    try:
        return row.value.to_bytes(row.octets, "big")
    except OverflowError:
        raise ValueError(f"expected {row.key} in {row.octets} octets, got {row.value}") from None
