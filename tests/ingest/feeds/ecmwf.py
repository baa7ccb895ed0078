"""A cycle of ECMWF's open data, as its servers have it: files of GRIB messages in no order, and their indexes."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime

from tests.ingest.feeds.grib_maker import COARSE, Field, message

LEVELS = (10, 50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
LEVEL_NAMES = ("gh", "t", "u", "v", "q", "r")
SURFACE_NAMES = ("skt", "lsm", "sp", "msl")


def publish_analysis(server, cycle, spacing=COARSE, root="", without=(), levels=LEVELS):
    """The control's analysis; returns the path of the file. `without` leaves out (short name, level)."""
    stream = stream_of(cycle)
    fields = [
        Field(name, level, cycle, stream=stream)
        for name, level in [*_names(levels), ("z", 0)]
        if (name, level) not in without
    ]
    return _publish(server, root, cycle, stream, "fc", fields, spacing)


def publish_members(server, cycle, members, spacing=COARSE, root="", levels=LEVELS):
    """The perturbed analyses, interleaved, before 50r1 with the control of the ensemble; returns the path."""
    fields = [Field(name, level, cycle, member, "enfo") for member in members for name, level in _names(levels)]
    if cycle < datetime(2026, 5, 12, 6, tzinfo=UTC):
        fields += [Field(name, level, cycle, 0, "enfo") for name, level in _names(levels)]
    return _publish(server, root, cycle, "enfo", "ef", fields, spacing)


def stream_of(cycle):
    """The control's stream in addresses: scda at 06 and 18 UTC before cycle 50r1."""
    old = cycle < datetime(2026, 5, 12, tzinfo=UTC)
    return "scda" if old and cycle.hour in (6, 18) else "oper"


def path_of(cycle, stream, kind, root=""):
    """Where the file of step 0 is."""
    folder = f"{root}/{cycle:%Y%m%d}/{cycle:%H}z/ifs/0p25/{stream}"
    return f"{folder}/{cycle:%Y%m%d%H}0000-0h-{stream}-{kind}.grib2"


def index_line(field, kind, offset, length):
    """One line of an index: all is text but the place."""
    line = {"domain": "g", "date": f"{field.cycle:%Y%m%d}", "time": f"{field.cycle:%H}00", "expver": "0001"}
    line |= {"class": "od", "type": kind, "stream": field.stream, "step": "0"}
    line |= {"levelist": str(field.level), "levtype": "pl"} if field.level else {"levtype": "sfc"}
    if field.member:
        line["number"] = str(field.member)
    return json.dumps(line | {"param": field.short_name, "_offset": offset, "_length": length}) + "\n"


def _names(levels):
    return [(name, level) for name in LEVEL_NAMES for level in levels] + [(name, 0) for name in SURFACE_NAMES]


def _publish(server, root, cycle, stream, kind, fields, spacing):
    random.Random(len(fields)).shuffle(fields)
    content, index, at = [], [], 0
    for field in fields:
        encoded = message(replace(field, stream="oper" if field.stream == "scda" else field.stream), spacing=spacing)
        line_kind = "fc" if field.member is None else "pf" if field.member else "cf"
        index.append(index_line(field, line_kind, at, len(encoded)))
        content.append(encoded)
        at += len(encoded)
    path = path_of(cycle, stream, kind, root)
    server.publish(path, b"".join(content))
    server.publish(path.replace(".grib2", ".index"), "".join(index).encode())
    return path
