"""Fetching published objects, or parts of them, as local files: gone on with where cut off, checked, then named."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from publish.manifest import PublishedObject
from publish.selection import Span
from publish.stores.base import ObjectDamaged, RangesRefused, Reader, sha256_of

PART = ".part"
STEP_BYTES = 8 << 20

_BEGIN, _END = b"GRIB", b"7777"
_LENGTH = slice(8, 16)
"""Octets of section 0 that hold the length of a GRIB2 message."""

Check = Callable[[Path], str | None]
"""What is wrong with a file, None for a sound one."""


def whole(reader: Reader, each: PublishedObject, path: Path) -> bool:
    """An object as the file `path`; whether anything had to be fetched. Raises ObjectDamaged, StoreError."""

    def check(file: Path) -> str | None:
        digest = sha256_of(file)
        return None if digest == each.sha256 else f"expected SHA-256 {each.sha256}, got {digest}"

    return _fetch(reader, each.key, [(0, each.bytes)], path, check)


def messages(reader: Reader, key: str, spans: Sequence[Span], path: Path) -> bool:
    """The GRIB messages at these places of an object, one after the other, as the file `path`; see `whole`."""

    def check(file: Path) -> str | None:
        with file.open("rb") as opened:
            bad = sum(not _is_message(opened.read(length), length) for _, length in spans)
        return f"{bad} of {len(spans)} messages are not what the index says" if bad else None

    return _fetch(reader, key, spans, path, check)


def _fetch(reader: Reader, key: str, spans: Sequence[Span], path: Path, check: Check) -> bool:
    size = sum(length for _, length in spans)
    if path.is_file() and path.stat().st_size == size and check(path) is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}{PART}")
    resumed = part.is_file() and 0 < part.stat().st_size <= size
    _fill(reader, key, spans, part, resumed)
    if resumed and check(part) is not None:
        _fill(reader, key, spans, part, resumed=False)
    if complaint := check(part):
        part.unlink()
        raise ObjectDamaged(f"{key} in {reader.url} is damaged: {complaint}; nothing was written")
    os.replace(part, path)
    return True


def _fill(reader: Reader, key: str, spans: Sequence[Span], part: Path, resumed: bool) -> None:
    """Make the part whole, from its end on or from nothing."""
    try:
        with part.open("ab" if resumed else "wb") as file:
            for begin, end in _steps(spans, file.tell()):
                file.write(reader.get_range(key, begin, end))
            file.flush()
            os.fsync(file.fileno())
    except RangesRefused:
        _cut_from_whole(reader, key, spans, part)


def _steps(spans: Sequence[Span], done: int) -> Iterator[Span]:
    """First octet and end of each request, neighbours joined, when `done` octets of the spans are there."""
    for offset, length in _joined(spans):
        begin, done = offset + min(done, length), max(done - length, 0)
        for at in range(begin, offset + length, STEP_BYTES):
            yield at, min(at + STEP_BYTES, offset + length)


def _joined(spans: Sequence[Span]) -> list[Span]:
    joined: list[Span] = []
    for offset, length in spans:
        if joined and sum(joined[-1]) == offset:
            joined[-1] = (joined[-1][0], joined[-1][1] + length)
        else:
            joined.append((offset, length))
    return joined


def _cut_from_whole(reader: Reader, key: str, spans: Sequence[Span], part: Path) -> None:
    """What is wanted of an object that the server gives as a whole only."""
    everything = part.with_name(f"{part.name}.whole")
    try:
        reader.download(key, everything)
        with everything.open("rb") as source, part.open("wb") as file:
            for offset, length in spans:
                _copy(source, file, offset, length)
            file.flush()
            os.fsync(file.fileno())
    finally:
        everything.unlink(missing_ok=True)


def _copy(source: BinaryIO, file: BinaryIO, offset: int, length: int) -> None:
    source.seek(offset)
    while length > 0 and (block := source.read(min(length, STEP_BYTES))):
        file.write(block)
        length -= len(block)


def _is_message(octets: bytes, length: int) -> bool:
    """Whether the octets are one GRIB2 message of this length."""
    framed = octets.startswith(_BEGIN) and octets.endswith(_END)
    return framed and len(octets) == length == int.from_bytes(octets[_LENGTH], "big")
