"""Whole cycles of GFS and of ECMWF's open data on loopback servers, all of the same smooth, hydrostatic atmosphere."""

from datetime import datetime, timedelta

from forecast.constants import STANDARD_GRAVITY
from ingest.sources.gfs import BUCKET
from tests.ingest.examples import FILE_LEVELS, Example, message, state
from tests.ingest.feeds.ecmwf import index_line, path_of, stream_of
from tests.ingest.feeds.gfs_files import Gfs
from tests.ingest.feeds.grib_maker import Field


def newest(now: datetime) -> datetime:
    """The cycle before the last that began."""
    return now.replace(hour=now.hour // 6 * 6, minute=0, second=0, microsecond=0) - timedelta(hours=6)


def publish_gfs(server, cycle: datetime) -> None:
    """Both files of an analysis and their indices."""
    for key, content in Gfs(cycle=cycle).files().items():
        server.publish(f"/{BUCKET}/{key}", content)


def publish_ecmwf(server, cycle: datetime, members: int = 0) -> None:
    """The control's analysis, and that of perturbed members, each a tenth of a degree warmer than the one before."""
    _publish(server, path_of(cycle, stream_of(cycle), "fc"), cycle, "fc", [None])
    if members:
        _publish(server, path_of(cycle, "enfo", "ef"), cycle, "pf", range(1, members + 1))


def _publish(server, path: str, cycle: datetime, kind: str, members) -> None:
    content, index = b"", ""
    for member in members:
        for (name, level), values in _fields(0.1 * (member or 0)).items():
            encoded = message(Example(valid_time=cycle, member=member), name, level, values)
            field = Field(name, level, cycle, member, "oper" if member is None else "enfo")
            index += index_line(field, kind, len(content), len(encoded))
            content += encoded
    server.publish(path, content)
    server.publish(path.replace(".grib2", ".index"), index.encode())


def _fields(warmer: float) -> dict:
    given = state()
    fields = {("gh", level): given["z", level] / STANDARD_GRAVITY for level in FILE_LEVELS}
    fields |= {(name, level): given[name, level] for name in "uvq" for level in FILE_LEVELS}
    fields |= {("t", level): given["t", level] + warmer for level in FILE_LEVELS}
    return fields | {(name, 0): given[name, 0] for name in ("skt", "lsm")}
