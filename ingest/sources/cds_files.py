"""Files as the Climate Data Store hands them over: archives at times, and versions of ERA5 mixed in them."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest import grib
from ingest.archive import is_archive, unpack
from ingest.errors import Broken, Refused, SourceError
from ingest.feed import Item
from ingest.index import named
from ingest.reader import reader_of
from ingest.sources.cds_requests import Request

_MOST_BYTES_PER_FIELD = 16 << 20
"""Four times a field of ERA5 on its quarter-degree grid in single precision."""


def prove_file(request: Request, path: Path) -> None:
    """Raises SourceError when a file lacks fields of its request; an archive is proven when it is unpacked."""
    if is_archive(path):
        return
    headers = reader_of(path).read_headers(path)
    found = {Item(header.quantity.name, header.level) for header in headers if header.valid_time == request.cycle}
    absent = request.items - found
    if absent:
        raise Broken(
            f"{path.name}: expected {request}, found no {named(absent)} valid at that time; "
            "it may be damaged or of another request: ask again"
        )


def unpack_fields(path: Path, request: Request) -> None:
    """Replace an archive by the one file with the fields of a request, proven; another file stays as it is.

    Raises SourceError, after which the archive is gone too.
    """
    if not is_archive(path):
        return
    whole = path.with_suffix(".unpacked")
    try:
        with TemporaryDirectory(prefix="sigmacast-") as folder:
            members = unpack(path, Path(folder), _MOST_BYTES_PER_FIELD * len(request.items))
            _join([member for member in members if any(reader_of(member).read_headers(member))], whole, path.name)
        prove_file(request, whole)
        whole.replace(path)
    except SourceError:
        path.unlink()
        whole.unlink(missing_ok=True)
        raise


def _join(members: list[Path], whole: Path, name: str) -> None:
    """GRIB files one behind the other, or a single NetCDF file."""
    if not members or (len(members) > 1 and any(reader_of(member) is not grib for member in members)):
        raise Refused(f"{name}: expected GRIB files or one NetCDF file with fields of ours, found {len(members)} files")
    with open(whole, "wb") as sink:
        for member in members:
            with open(member, "rb") as source:
                shutil.copyfileobj(source, sink)


def experiments(path: Path) -> dict[str, dict[str, list[int]]]:
    """The levels [hPa] of each quantity, none at the surface, by expver: 0001 is ERA5, 0005 the preliminary ERA5T."""
    found: dict[str, dict[str, list[int]]] = {}
    for header in reader_of(path).read_headers(path):
        levels = found.setdefault(header.experiment or "unknown", {}).setdefault(header.quantity.name, [])
        if header.level is not None:
            levels.append(header.level)
    return {name: {key: sorted(levels) for key, levels in sorted(found[name].items())} for name in sorted(found)}
