"""File formats, behind one protocol: open (construct), write slab by slab, close."""

from pathlib import Path

from publish.product import ProductSettings
from publish.writers.base import EncodedFile, FrameHeader, Writer, WriterError
from publish.writers.behind import Behind
from publish.writers.grib2 import Grib2Writer, NativeGrib2Writer
from publish.writers.netcdf import NetcdfWriter
from publish.writers.places import PlacesWriter
from publish.writers.zarr import ZarrWriter

__all__ = ["EncodedFile", "FrameHeader", "Writer", "WriterError", "open_writers"]

_WRITERS: dict[str, type[Grib2Writer] | type[NetcdfWriter] | type[ZarrWriter]] = {
    "grib2": Grib2Writer,
    "netcdf": NetcdfWriter,
    "zarr": ZarrWriter,
}


def open_writers(header: FrameHeader, settings: ProductSettings, directory: Path) -> list[Writer]:
    """One writer per format of the settings, and one for its places, writing one lead time's files in `directory`.

    Those of GRIB2 have threads of their own.
    """
    writers: list[Writer] = [_WRITERS[name](header, settings, directory) for name in settings.formats]
    writers = [each if isinstance(each, Grib2Writer) else Behind(each) for each in writers]
    if settings.native_grid:
        writers.append(NativeGrib2Writer(header, settings, directory))
    return [*writers, PlacesWriter(header, settings, directory)] if settings.places else writers
