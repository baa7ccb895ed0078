"""File formats, behind one protocol: open (construct), write slab by slab, close."""

from pathlib import Path

from publish.product import ProductSettings
from publish.writers.base import EncodedFile, FrameHeader, Writer, WriterError
from publish.writers.grib2 import Grib2Writer
from publish.writers.netcdf import NetcdfWriter

__all__ = ["EncodedFile", "FrameHeader", "Writer", "WriterError", "open_writers"]

_WRITERS: dict[str, type[Grib2Writer] | type[NetcdfWriter]] = {"grib2": Grib2Writer, "netcdf": NetcdfWriter}


def open_writers(header: FrameHeader, settings: ProductSettings, directory: Path) -> list[Writer]:
    """One writer per format of the settings, writing the files of one lead time below `directory`."""
    return [_WRITERS[name](header, settings, directory) for name in settings.formats]
