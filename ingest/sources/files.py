"""One analysis on pressure levels from GRIB or NetCDF files, or ZIP archives of them: a file, or all of a directory."""

import hashlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from forecast.times import CYCLE_HOURS
from ingest.analysis import Analysis, InputFile
from ingest.archive import is_archive, unpack
from ingest.assemble import assemble
from ingest.canonical import RawField
from ingest.checks import check_time
from ingest.errors import Gone, WrongTime
from ingest.grib import Header
from ingest.reader import reader_of
from ingest.source import ModelNeeds

_NOT_DATA = (".idx", ".index", ".md", ".txt", ".json", ".sha256", ".log", ".html", ".xml")
_MOST_UNPACKED = 8 << 30
"""Bytes that archives may take when they are unpacked: several times a global analysis of the finest grid."""


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
        with _unpacked(self._paths()) as paths:
            for path in paths:
                headers = reader_of(path).read_headers(path)
                found |= {header.valid_time for header in headers if header.quantity.name == "air_temperature"}
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
        with _unpacked(paths) as unpacked, closing(self._fields(unpacked, cycle, needs, times)) as fields:
            assembly = assemble(fields, needs, str(self.path))
        check_time(times, cycle, str(self.path))
        return assembly.build(cycle, inputs)

    def _fields(
        self, paths: list[Path], cycle: datetime, needs: ModelNeeds, times: set[datetime]
    ) -> Generator[RawField, None, None]:
        """The fields valid at the cycle, file by file; the times of all are noted in `times`."""

        def wanted(header: Header) -> bool:
            times.add(header.valid_time)
            return header.valid_time == cycle and (header.level is None or header.level in needs.levels)

        for path in paths:
            yield from reader_of(path).read_fields(path, wanted)

    def _paths(self) -> list[Path]:
        if not self.path.exists():
            raise Gone(f"{self.path}: expected a file or directory with an analysis, found nothing; give another path")
        if self.path.is_file():
            return [self.path]
        paths = [path for path in sorted(self.path.rglob("*")) if path.is_file() and not _is_aside(path)]
        if not paths:
            raise Gone(f"{self.path}: expected GRIB or NetCDF files in this directory, found none; give another path")
        return paths


@contextmanager
def _unpacked(paths: list[Path]) -> Iterator[list[Path]]:
    """The files, with those in archives instead of these; the unpacked ones are gone afterwards."""
    with TemporaryDirectory(prefix="sigmacast-") as folder:
        yield [found for number, path in enumerate(paths) for found in _unpacked_one(path, Path(folder, str(number)))]


def _unpacked_one(path: Path, folder: Path) -> list[Path]:
    if not is_archive(path):
        return [path]
    folder.mkdir()
    return unpack(path, folder, _MOST_UNPACKED)


def _is_aside(path: Path) -> bool:
    return path.name.startswith(".") or path.suffix in _NOT_DATA


def _input_file(path: Path) -> InputFile:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"uri": path.resolve().as_uri(), "sha256": digest, "bytes": path.stat().st_size, "source": "files"}
