"""NetCDF-4 under the CF conventions: one file of members and one of statistics per lead time.

A chunk holds a tile of one map (one member, level and time): so a map takes no more than its own bytes, and a
point through time only the tiles that it lies in. Files of several lead times join along `time` with
`xarray.open_mfdataset`. Values are rounded to 15 bits of the mantissa, a relative error of at most
2^-16 (0.004 K, 1.5 Pa at the surface), which is the precision of 16-bit GRIB and saves a third of the
size (Klöwer et al. 2021, Nat. Comput. Sci. 1, 713-724). The same input gives the same octets: nothing
of the clock goes into a file.
"""

from collections.abc import Iterable
from pathlib import Path

import netCDF4
import numpy as np

from publish.product import ProductSettings, Slab
from publish.statistics import Statistics, variable
from publish.writers import cf
from publish.writers.base import EncodedFile, FrameHeader

MEDIA_TYPE = "application/x-netcdf"

_STORAGE = {"compression": "zlib", "complevel": 1, "shuffle": True, "chunk_cache": 1}
"""Every chunk is written whole, at once: a cache of one byte holds none back (none at all means the usual 64 MiB)."""

_LARGEST_TILE = 90
"""Grid points along an edge of a chunk."""


class NetcdfWriter:
    """Writes one lead time as CF NetCDF."""

    def __init__(self, header: FrameHeader, settings: ProductSettings, directory: Path) -> None:
        self._header = header
        self._levels = {level: index for index, level in enumerate(settings.levels)}
        contents = {"members": cf.member_variables(header.items)} if settings.publish_members else {}
        if header.has_statistics:
            contents["statistics"] = cf.statistics_variables(header.items, settings)
        self._paths = {kind: directory / Path(self._key(kind)).name for kind in contents}
        self._variables = {each.name: each for variables in contents.values() for each in variables}
        self._files: dict[str, netCDF4.Dataset] = {}
        for kind, variables in contents.items():
            self._files[kind] = _create(self._paths[kind], header, settings.levels, variables)

    def write(self, slab: Slab, statistics: Statistics | None) -> None:
        """Add one field on one level."""
        if "members" in self._files:
            name = slab.item.variable
            self._files["members"][name][(slice(None), *self._place(name, slab))] = cf.rounded(slab.values)
        for statistic, values in statistics.maps.items() if statistics else ():
            name = variable(slab.item, statistic)
            self._files["statistics"][name][self._place(name, slab)] = cf.rounded(values)

    def close(self) -> list[EncodedFile]:
        """Finish the files."""
        self.abort()
        return [
            EncodedFile(self._key(kind), path, kind, MEDIA_TYPE, self._header.members)
            for kind, path in self._paths.items()
        ]

    def abort(self) -> None:
        """Close the files."""
        for file in self._files.values():
            if file.isopen():
                file.close()

    def _place(self, name: str, slab: Slab) -> tuple[int, ...]:
        return (0, self._levels[slab.level or 0]) if self._variables[name].on_levels else (0,)

    def _key(self, kind: str) -> str:
        file_type = {"members": "ef", "statistics": "ep"}[kind]
        return self._header.layout.fields(self._header.lead_hours, "enfo", file_type, "nc")


def _create(path: Path, header: FrameHeader, levels: tuple[int, ...], variables: list[cf.Variable]) -> netCDF4.Dataset:
    """A new file with everything but the values of its variables."""
    file = netCDF4.Dataset(path, "w", format="NETCDF4")
    file.set_fill_off()
    file.setncatts({"Conventions": cf.CONVENTIONS, **header.attributes})
    file.setncattr("ensemble_size", np.int32(header.ensemble_size))
    file.setncattr("members_present", np.asarray(header.members, np.int32))
    hours = [header.lead_hours]
    _define_coordinates(file, cf.times(header.init_time, hours, "time"))
    _define_coordinates(file, cf.space(header.grid, levels))
    if any(each.leading for each in variables):
        _define_coordinates(file, [cf.realization(header.members)])
    else:
        _define_coordinates(file, [cf.realization_count(np.int32(len(header.members)), ())])
    _define_coordinates(file, cf.intervals(variables, header.init_time, hours, "time"))
    for each in variables:
        _define_variable(file, each)
    file.set_auto_maskandscale(False)
    return file


def _define_coordinates(file: netCDF4.Dataset, coordinates: Iterable[cf.Coordinate]) -> None:
    for each in coordinates:
        for name, size in zip(each.dimensions, np.shape(each.values), strict=True):
            if name not in file.dimensions:
                file.createDimension(name, size)
        created = file.createVariable(each.name, each.values.dtype, each.dimensions, fill_value=False)
        created.setncatts(each.attributes)
        created[...] = each.values


def _define_variable(file: netCDF4.Dataset, described: cf.Variable) -> None:
    dimensions = (*described.leading, "time", *(("level",) if described.on_levels else ()), "latitude", "longitude")
    chunks = [1] * (len(dimensions) - 2) + [_tile(file.dimensions[name].size) for name in dimensions[-2:]]
    created = file.createVariable(described.name, "f4", dimensions, chunksizes=chunks, fill_value=False, **_STORAGE)
    created.setncatts(described.attributes)


def _tile(size: int) -> int:
    """Edge of equal tiles, the fewest that are not too large."""
    count = -(-size // _LARGEST_TILE)
    return -(-size // count)
