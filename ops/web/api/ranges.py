"""Which octets of a product a request asks for (RFC 9110, section 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """Octets from `begin` up to but not including `end`; at least one."""

    begin: int
    end: int


class Unsatisfiable(ValueError):
    """The object has none of the octets asked for."""


def asked(headers: Mapping[str, str], size: int, tag: str, modified: str) -> Span | None:
    """The span that the request wants; None for all octets.

    A server may ignore a Range: this one does for several ranges, for units other than octets, and when If-Range
    names another version. Raises Unsatisfiable.
    """
    match = ONE_RANGE.fullmatch(headers.get("range", ""))
    if match is None or match.groups() == ("", ""):
        return None
    if headers.get("if-range", tag).strip() not in (tag, modified):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    begin = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if begin >= end:
        raise Unsatisfiable(f"the object has {size} octets, none of them in {match.group()}")
    return Span(begin, end)
