"""Where GRIB messages begin and end: the check that a file is whole, before anything is decoded.

Layouts: WMO Manual on Codes I.2, FM 92 GRIB, sections 0 to 8 (edition 2) and 0 to 5 (edition 1). Lengths
of edition 1 beyond 8 MiB follow the convention of ECMWF: coded in units of 120 bytes, less the coded
length of section 4.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ingest.errors import Broken

_START, _END = b"GRIB", b"7777"
_LONGEST_GAP = 100
"""Bytes between messages that are bulletin headers or padding; a lost message is longer."""

_LARGE = 0x800000


class Message(NamedTuple):
    """One GRIB message with a single field; `number` counts the messages of the file from 1."""

    number: int
    content: bytes


def read_messages(file: BinaryIO, name: str) -> Iterator[Message]:
    """The messages of a file in order, those with several fields split into one for each.

    Raises Broken when the file is empty, ends within a message, has other bytes between messages, or a
    message whose sections do not fit its length.
    """
    number = 0
    while True:
        gap = _skip_to_message(file, name, number)
        if gap is None:
            break
        number += 1
        label = f"{name}, message {number}"
        content = _read_message(file, label)
        edition = content[7]
        for field in _single_fields(content, label) if edition == 2 else [content]:
            yield Message(number, field)
    if number == 0:
        raise Broken(f"{name}: expected GRIB messages, found none; the file is empty or damaged, fetch it again")


def _skip_to_message(file: BinaryIO, name: str, number: int) -> int | None:
    """Move to the next message and return the number of bytes passed over, or None at the end."""
    origin = file.tell()
    ahead = file.read(_LONGEST_GAP + len(_START))
    at = ahead.find(_START)
    if at >= 0:
        file.seek(origin + at)
        return at
    rest = ahead.rstrip(b"\0\r\n\x03 ")
    if len(ahead) <= _LONGEST_GAP and not any(rest.endswith(_START[:length]) for length in (1, 2, 3)):
        return None
    where = "at its start" if number == 0 else f"after message {number}"
    raise Broken(f"{name}: expected the next GRIB message {where} (byte {origin}), found other bytes; fetch it again")


def _read_message(file: BinaryIO, label: str) -> bytes:
    head = file.read(16)
    if len(head) < 16:
        raise Broken(f"{label}: the file ends within its first section; fetch the file again")
    edition = head[7]
    if edition == 1:
        length = _length_of_edition_1(file, head, label)
    elif edition == 2:
        length = int.from_bytes(head[8:16], "big")
    else:
        raise Broken(f"{label}: expected GRIB edition 1 or 2, found {edition}; fetch the file again")
    content = head + file.read(max(length - len(head), 0))
    if len(content) != length:
        raise Broken(
            f"{label}: expected {length} bytes, found {len(content)} before the file ends; "
            "it is truncated, fetch it again"
        )
    if content[-4:] != _END:
        raise Broken(f"{label}: expected the end marker 7777, found {content[-4:]!r}; fetch the file again")
    return content


def _length_of_edition_1(file: BinaryIO, head: bytes, label: str) -> int:
    coded = int.from_bytes(head[4:7], "big")
    if not coded & _LARGE:
        return coded
    position = file.tell()
    offset = position - len(head) + 8
    section_1 = _bytes_at(file, offset, 8, label)
    offset += int.from_bytes(section_1[:3], "big")
    for flag in (0x80, 0x40):
        if section_1[7] & flag:
            offset += int.from_bytes(_bytes_at(file, offset, 3, label), "big")
    section_4 = int.from_bytes(_bytes_at(file, offset, 3, label), "big")
    file.seek(position)
    return coded if section_4 >= 120 else (coded & ~_LARGE) * 120 - section_4 + 4


def _bytes_at(file: BinaryIO, offset: int, count: int, label: str) -> bytes:
    file.seek(offset)
    found = file.read(count)
    if len(found) < count:
        raise Broken(f"{label}: the file ends within its headers; it is truncated, fetch it again")
    return found


def _single_fields(content: bytes, label: str) -> list[bytes]:
    """A message of edition 2 as messages of one field each (section 7 ends a field)."""
    current: dict[int, bytes] = {}
    bitmap = b""
    fields = []
    for number, section in _sections(content, label):
        if number == 6:
            section, bitmap = _explicit_bitmap(section, bitmap)
        current[number] = section
        if number == 7:
            fields.append(_assemble(content, current, label))
    if not fields:
        raise Broken(f"{label}: expected a data section, found none; fetch the file again")
    return fields if len(fields) > 1 else [content]


def _sections(content: bytes, label: str) -> Iterator[tuple[int, bytes]]:
    position, last = 16, len(content) - len(_END)
    while position < last:
        length, number = int.from_bytes(content[position : position + 4], "big"), content[position + 4]
        if length < 5 or not 1 <= number <= 7 or position + length > last:
            raise Broken(
                f"{label}: expected a section at byte {position}, found number {number} with {length} bytes "
                f"of {last - position} left; fetch the file again"
            )
        yield number, content[position : position + length]
        position += length


def _explicit_bitmap(section: bytes, previous: bytes) -> tuple[bytes, bytes]:
    """The section, with the last bitmap where it says to use that (indicator 254); and the last bitmap."""
    indicator = section[5]
    if indicator == 254:
        return previous or section, previous
    return section, section if indicator == 0 else previous


def _assemble(content: bytes, sections: dict[int, bytes], label: str) -> bytes:
    absent = [number for number in (1, 3, 4, 5, 6, 7) if number not in sections]
    if absent:
        raise Broken(f"{label}: expected sections 1 and 3 to 7, section {absent[0]} is absent; fetch the file again")
    body = b"".join(sections[number] for number in sorted(sections))
    length = 16 + len(body) + len(_END)
    return content[:8] + length.to_bytes(8, "big") + body + _END
