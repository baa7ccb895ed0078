"""All members' fields of a lead time, read back from what was published."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import eccodes
import netCDF4
import numpy as np
from numpy.typing import NDArray

from forecast.grids import LatLonGrid
from forecast.times import valid_time
from publish.charts.quantities import Missing
from publish.manifest import PublishedObject
from publish.product import PUBLISHABLE
from publish.stores.base import Store

_NETCDF = "application/x-netcdf"
_GRIB = "application/wmo-GRIB2"


class _File(Protocol):
    def read(self, name: str, level: int | None) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class EnsembleFields:
    """One lead time: values [member, latitude, longitude], 90 N and 0 E first, SI units.

    A field is read whenever it is asked for, and not kept: a large ensemble fills the memory with few of them.
    """

    lead_hours: int
    valid_time: datetime
    grid: LatLonGrid
    members: tuple[int, ...]
    source: _File

    def values(self, name: str, level: int | None) -> NDArray[np.float64]:
        """Values of the field on the level [hPa]. Raises Missing."""
        return self.source.read(name, level)


class FieldReader:
    """Fetches the members' files of lead times into a directory and keeps them open until left."""

    def __init__(self, store: Store, objects: Sequence[PublishedObject], init_time: datetime, grid: LatLonGrid) -> None:
        self._store = store
        self._objects = objects
        self._init_time = init_time
        self._grid = grid
        self._directory = TemporaryDirectory(prefix="sigmacast-fields-")

    def __enter__(self) -> "FieldReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def at(self, lead_hours: int) -> EnsembleFields:
        """The fields of a lead time. Raises Missing when no file holds its members."""
        there = [each for each in self._objects if each.lead_hours == lead_hours]
        files = {each.media_type: each for each in there if each.kind == "members"}
        chosen = next((files[name] for name in _READERS if name in files), None)
        if chosen is None:
            raise Missing(f"no file holds the members at {lead_hours} h")
        moment = valid_time(self._init_time, timedelta(hours=lead_hours))
        source = _READERS[chosen.media_type](self._fetch(chosen))
        return EnsembleFields(lead_hours, moment, self._grid, chosen.members, source)

    def _fetch(self, each: PublishedObject) -> Path:
        path = Path(self._directory.name) / Path(each.key).name
        if not path.exists():
            self._store.download(each.key, path)
        return path


@dataclass(frozen=True)
class _Netcdf:
    path: Path

    def read(self, name: str, level: int | None) -> NDArray[np.float64]:
        short_name = PUBLISHABLE[name].short_name
        with netCDF4.Dataset(self.path) as file:
            if short_name not in file.variables:
                raise Missing(f"{name} is not in {self.path.name}")
            variable = file[short_name]
            index = {name: slice(None) for name in ("realization", "latitude", "longitude")} | {"time": 0}
            if "level" in variable.dimensions:
                found = np.flatnonzero(file["level"][:] == level)
                if not found.size:
                    raise Missing(f"{name} at {level} hPa is not in {self.path.name}")
                index["level"] = int(found[0])
            return np.asarray(variable[tuple(index[each] for each in variable.dimensions)], np.float64)


@dataclass(frozen=True)
class _Grib:
    path: Path

    def read(self, name: str, level: int | None) -> NDArray[np.float64]:
        keys = {"shortName": PUBLISHABLE[name].short_name, "level": level or 0, "stepType": "instant"}
        found: dict[int, NDArray[np.float64]] = {}
        with self.path.open("rb") as file:
            while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
                try:
                    if all(eccodes.codes_get(handle, key, type(wanted)) == wanted for key, wanted in keys.items()):
                        rows = eccodes.codes_get_long(handle, "Nj")
                        number = eccodes.codes_get_long(handle, "number")
                        found[number] = eccodes.codes_get_values(handle).reshape(rows, -1)
                finally:
                    eccodes.codes_release(handle)
        if not found:
            raise Missing(f"{name} at {level} hPa is not in {self.path.name}")
        return np.stack([found[member] for member in sorted(found)])


_READERS: dict[str, type[_Netcdf] | type[_Grib]] = {_NETCDF: _Netcdf, _GRIB: _Grib}
