"""Sidecar files that say where each message of a GRIB2 file is: `.index` as ECMWF's, `.idx` as NCEP's.

Both are read back from the finished file, so they say what is there. An `.index` has a JSON object per line
with the keys by which ECMWF's open-data client selects; an `.idx` has the lines of `wgrib2 -s`, by which the
tools for NCEP's data select.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from publish import inventory
from publish.layout import stream_of
from publish.messages import Message, read
from publish.writers.base import CONTROL, EncodedFile

INDEX_MEDIA_TYPE = "application/x-ndjson"
INVENTORY_MEDIA_TYPE = "text/plain"

_EXPERIMENT, _CLASS = "0001", "ai"
"""ECMWF's words for the version that is operational and for machine-learned forecasts."""

_MEMBER, _DERIVED, _PROBABILITY, _PERCENTILE = 1, 2, 5, 6
"""Product definition templates."""
_DERIVED_TYPES = {0: "em", 4: "es", 8: "min", 9: "max"}
"""By code table 4.7."""
_ONE_LEVEL = (100, 255)
"""First and second fixed surface of a pressure level (code table 4.5)."""


def sidecars(file: EncodedFile, product: str) -> list[EncodedFile]:
    """The `.index` and the `.idx` of a GRIB2 file, written beside it; none for a file of another format.

    Raises WriterError when the file holds anything but messages of ensemble products.
    """
    if file.path.suffix != ".grib2":
        return []
    messages = list(read(file.path))
    stream = stream_of(file.key)
    lines = (
        json.dumps(line(each, stream, product) | {"_offset": each.offset, "_length": each.length}) for each in messages
    )
    numbered = (f"{number}:{each.offset}:{inventory.text(each)}" for number, each in enumerate(messages, 1))
    return [
        _write(file, ".index", "index", INDEX_MEDIA_TYPE, lines),
        _write(file, ".idx", "inventory", INVENTORY_MEDIA_TYPE, numbered),
    ]


def line(message: Message, stream: str, product: str) -> dict[str, str]:
    """The line of the index without offset and length, in ECMWF's order; all values are text."""
    begin, end = message.hours
    return {
        "domain": "g",
        "date": f"{message.reference_time:%Y%m%d}",
        "time": f"{message.reference_time:%H%M}",
        "expver": _EXPERIMENT,
        "class": _CLASS,
        "type": _type(message, stream),
        "stream": stream,
        "step": str(end),
        **({} if message.process is None else {"stepRange": f"{begin}-{end}"}),
        **_level(message),
        **_distinction(message),
        "param": message.short_name,
        "model": product,
    }


def _type(message: Message, stream: str) -> str:
    """Type of forecast; the control is `fc` in the stream of its own and `cf` among the members."""
    if message.template == _MEMBER:
        control = "fc" if stream == "oper" else "cf"
        return control if message.octet(36) == CONTROL else "pf"
    if message.template == _DERIVED:
        return _DERIVED_TYPES[message.octet(35)]
    return "ep" if message.template == _PROBABILITY else "pb"


def _level(message: Message) -> dict[str, str]:
    first, second = message.surfaces
    if (first.type, second.type) != _ONE_LEVEL or first.value is None:
        return {"levtype": "sfc"}
    return {"levtype": "pl", "levelist": f"{first.value / 100:g}"}


def _distinction(message: Message) -> dict[str, str]:
    """What tells messages of one type, field and level apart."""
    if message.template == _MEMBER and message.octet(36) != CONTROL:
        return {"number": str(message.octet(36))}
    if message.template == _PROBABILITY:
        return {"threshold": inventory.limits(message)}
    if message.template == _PERCENTILE:
        return {"quantile": f"{message.octet(35)}:100"}
    return {}


def _write(file: EncodedFile, suffix: str, kind: str, media_type: str, lines: Iterable[str]) -> EncodedFile:
    path = file.path.with_suffix(suffix)
    path.write_text("".join(f"{each}\n" for each in lines))
    return EncodedFile(str(Path(file.key).with_suffix(suffix)), path, kind, media_type, file.members)
