"""Which module reads a file, told by its first bytes, whatever its name."""

from pathlib import Path
from types import ModuleType

from ingest import grib, netcdf
from ingest.errors import Broken, Refused

_NETCDF_STARTS = (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF")
_GRIB_WITHIN = 100


def reader_of(path: Path) -> ModuleType:
    """`ingest.grib` or `ingest.netcdf`, which have the same functions; raises Broken or Refused for other files."""
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
