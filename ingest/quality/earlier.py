"""A forecast read back from a product, to compare an analysis with."""

from datetime import datetime
from pathlib import Path

import numpy as np
import xarray as xr

from ingest.canonical import RawField
from ingest.grib import Header
from ingest.quality.background import COMPARED
from ingest.reader import reader_of

_CONTROL = 0
_NAMES = {name: name for name in COMPARED} | {"geopotential_height": "geopotential"}


def read_forecast(path: Path, valid_time: datetime) -> xr.Dataset | None:
    """The control's level fields for a time in a GRIB or NetCDF file, as `examine` takes them; None without any.

    Raises SourceError when the file is damaged.
    """

    def wanted(header: Header) -> bool:
        ours = header.quantity.name in _NAMES and header.level is not None
        return ours and header.member == _CONTROL and header.valid_time == valid_time

    levels: dict[str, dict[int, RawField]] = {}
    for raw in reader_of(path).read_fields(path, wanted):
        levels.setdefault(_NAMES[raw.quantity.name], {})[raw.level or 0] = raw
    arrays = [_array(name, fields) for name, fields in levels.items()]
    return xr.merge(arrays, join="outer", compat="no_conflicts") if arrays else None


def _array(name: str, fields: dict[int, RawField]) -> xr.DataArray:
    """The levels of a variable as one array."""
    ordered, grid = sorted(fields), next(iter(fields.values())).grid
    return xr.DataArray(
        np.stack([fields[level].values for level in ordered]),
        {"level": ordered, "longitude": grid.longitudes, "latitude": grid.latitudes},
        ("level", "longitude", "latitude"),
        name,
    )
