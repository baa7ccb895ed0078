"""One analysis on pressure levels from GRIB or NetCDF files: a file, or all files of a directory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType

from forecast.times import CYCLE_HOURS
from ingest import grib, netcdf
from ingest.analysis import Analysis, InputFile
from ingest.assemble import assemble
from ingest.canonical import RawField
from ingest.checks import check_time
from ingest.errors import Broken, Gone, Refused, WrongTime
from ingest.grib import Header
from ingest.source import ModelNeeds

_NOT_DATA = (".idx", ".index", ".md", ".txt", ".json", ".sha256", ".log", ".html", ".xml")
_NETCDF_STARTS = (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF")
_GRIB_WITHIN = 100


@dataclass(frozen=True)
class FilesSource:
    """Reads what is at `path`; a forecast whose valid time is the cycle serves as the analysis of that cycle."""

    path: Path
    name: str = "files"

    def cycles(self) -> tuple[datetime, ...]:
        """The valid times at 00, 06, 12 or 18 UTC that the files hold temperature on pressure levels for.

        Raises WrongTime when there is none, Gone when there are no files, Broken when one is damaged.
        """
        found = set()
        for path in self._paths():
            found |= {h.valid_time for h in _reader(path).read_headers(path) if h.quantity.name == "air_temperature"}
        cycles = sorted(moment for moment in found if moment.hour in CYCLE_HOURS and moment.minute == 0)
        if not cycles:
            times = ", ".join(f"{moment:%Y-%m-%d %H:%M} UTC" for moment in sorted(found)[:4]) or "none at all"
            raise WrongTime(
                f"{self.path}: expected temperature on pressure levels valid at 00, 06, 12 or 18 UTC, found {times}; "
                "give a file that holds an analysis"
            )
        return tuple(cycles)

    def fetch(self, cycle: datetime, needs: ModelNeeds) -> Analysis:
        """The analysis valid at `cycle`, checked, on the model's grid; raises SourceError."""
        paths = self._paths()
        inputs = [_input_file(path) for path in paths]
        times: set[datetime] = set()
        assembly = assemble(self._fields(paths, cycle, needs, times), needs, str(self.path))
        check_time(times, cycle, str(self.path))
        return assembly.build(cycle, inputs)

    def _fields(
        self, paths: list[Path], cycle: datetime, needs: ModelNeeds, times: set[datetime]
    ) -> Iterator[RawField]:
        """The fields valid at the cycle, file by file; the times of all are noted in `times`."""

        def wanted(header: Header) -> bool:
            times.add(header.valid_time)
            return header.valid_time == cycle and (header.level is None or header.level in needs.levels)

        for path in paths:
            yield from _reader(path).read_fields(path, wanted)

    def _paths(self) -> list[Path]:
        if not self.path.exists():
            raise Gone(f"{self.path}: expected a file or directory with an analysis, found nothing; give another path")
        if self.path.is_file():
            return [self.path]
        paths = [path for path in sorted(self.path.rglob("*")) if path.is_file() and not _is_aside(path)]
        if not paths:
            raise Gone(f"{self.path}: expected GRIB or NetCDF files in this directory, found none; give another path")
        return paths


def _is_aside(path: Path) -> bool:
    return path.name.startswith(".") or path.suffix in _NOT_DATA


def _reader(path: Path) -> ModuleType:
    """The module that reads a file, by its first bytes; raises Broken or Refused when there is none."""
    with open(path, "rb") as file:
        start = file.read(_GRIB_WITHIN)
    if b"GRIB" in start:
        return grib
    if start.startswith(_NETCDF_STARTS):
        return netcdf
    if not start:
        raise Broken(f"{path.name}: expected a GRIB or NetCDF file, found an empty one; fetch it again")
    hint = "unpack the archive first" if start[:2] in (b"PK", b"\x1f\x8b") else "give another file, or fetch it again"
    raise Refused(f"{path.name}: expected a GRIB or NetCDF file, found one that starts with {start[:8]!r}; {hint}")


def _input_file(path: Path) -> InputFile:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"uri": path.resolve().as_uri(), "sha256": digest, "bytes": path.stat().st_size, "source": "files"}
