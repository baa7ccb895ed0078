"""Indexes of GRIB files: which message holds what, and where its bytes are.

ECMWF's are lines of JSON, one for each message: the keys of its MARS language as text, and `_offset` and
`_length` in bytes.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ingest.errors import Broken
from ingest.feed import Item, Part


@dataclass(frozen=True)
class Entry:
    """One message: what its index says of it, and the bytes it takes."""

    keys: Mapping[str, str]
    part: Part

    def says(self, **wanted: str) -> bool:
        """Whether its keys have these values."""
        return all(self.keys.get(key) == value for key, value in wanted.items())


def whole_lines(content: bytes) -> bytes:
    """An index up to the end of its last line; the rest of one that is still being written is left out."""
    return content[: content.rfind(b"\n") + 1] if _is_torn(content) else content


def _is_torn(content: bytes) -> bool:
    last = content.rpartition(b"\n")[2].strip()
    if not last:
        return False
    try:
        json.loads(last)
    except ValueError:
        return True
    return False


def parse_json_lines(content: bytes, uri: str) -> list[Entry]:
    """The entries of an index of JSON lines; raises Broken when a line is none."""
    entries = []
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                entries.append(_entry(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Broken(
                    f"{uri}, line {number}: expected JSON with _offset and _length, found {line[:80]!r}; fetch it again"
                ) from error
    return entries


def _entry(line: Mapping[str, object]) -> Entry:
    keys = {key: str(value) for key, value in line.items() if not key.startswith("_")}
    return Entry(keys, Part(_count(line["_offset"]), _count(line["_length"])))


def _count(value: object) -> int:
    count = int(str(value))
    if count < 0:
        raise ValueError(value)
    return count


def ends_within(part: Part, size: int) -> bool:
    """Whether an object of that many bytes holds all of the part."""
    return part.offset + part.length <= size


def named(items: Collection[Item], most: int = 6) -> str:
    """Items for a message: the first few by name, and how many more."""
    names = sorted(str(item) for item in items)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def in_order(parts: Iterable[Part]) -> list[Part]:
    """Parts by their place in the object, each once."""
    return sorted(set(parts))
