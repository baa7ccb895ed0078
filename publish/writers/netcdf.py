"""NetCDF-4 under the CF conventions: one file of members and one of statistics per lead time.

Chunks hold one map (one member, level and time). Files of several lead times join along `time` with
`xarray.open_mfdataset`. Values are rounded to 15 bits of the mantissa, a relative error of at most
2^-16 (0.004 K, 1.5 Pa at the surface), which is the precision of 16-bit GRIB and saves a third of the
size (Klöwer et al. 2021, Nat. Comput. Sci. 1, 713-724). The same input gives the same octets: nothing
of the clock goes into a file.
"""

from pathlib import Path

import netCDF4
import numpy as np

from forecast.fields import LEVEL_FIELDS, Field
from publish.product import GEOPOTENTIAL_HEIGHT, PUBLISHABLE, ProductSettings, Slab
from publish.statistics import Statistics
from publish.writers.base import EncodedFile, FrameHeader

MEDIA_TYPE = "application/x-netcdf"
CONVENTIONS = "CF-1.11"

_EARTH_RADIUS = 6371229.0
_TIME_UNITS = "hours since 1970-01-01 00:00:00"
_CLOCK = {"calendar": "standard", "units_metadata": "leap_seconds: none"}
_COMPRESSION = {"compression": "zlib", "complevel": 1, "shuffle": True}
_QUANTIZATION = {"significant_digits": 15, "quantize_mode": "BitRound"}
"""Bits of the mantissa that are kept."""
_STATISTICS = {"mean": "mean", "spread": "standard_deviation"}
"""Our names of the statistics and the CF cell method of each."""


class NetcdfWriter:
    """Writes one lead time as CF NetCDF."""

    def __init__(self, header: FrameHeader, settings: ProductSettings, directory: Path) -> None:
        self._header = header
        self._levels = {level: index for index, level in enumerate(settings.levels)}
        fields = [PUBLISHABLE[name] for name in settings.fields]
        self._paths = {"members": directory / Path(self._key("ef")).name}
        if header.has_statistics:
            self._paths["statistics"] = directory / Path(self._key("ep")).name
        self._files = {kind: _create(path, header, settings.levels) for kind, path in self._paths.items()}
        _define_members(self._files["members"], header, fields)
        if header.has_statistics:
            _define_statistics(self._files["statistics"], fields)

    def write(self, slab: Slab, statistics: Statistics | None) -> None:
        """Add one field on one level."""
        name = slab.field.short_name
        here = (0,) if slab.level is None else (0, self._levels[slab.level])
        self._files["members"][name][(slice(None), *here)] = slab.values
        if statistics is not None:
            self._files["statistics"][f"{name}_mean"][here] = statistics.mean
            self._files["statistics"][f"{name}_spread"][here] = statistics.spread

    def close(self) -> list[EncodedFile]:
        """Finish the files."""
        self.abort()
        keys = {"members": self._key("ef"), "statistics": self._key("ep")}
        return [
            EncodedFile(keys[kind], path, kind, MEDIA_TYPE, self._header.members) for kind, path in self._paths.items()
        ]

    def abort(self) -> None:
        """Close the files."""
        for file in self._files.values():
            if file.isopen():
                file.close()

    def _key(self, file_type: str) -> str:
        return self._header.layout.fields(self._header.lead_hours, "enfo", file_type, "nc")


def _create(path: Path, header: FrameHeader, levels: tuple[int, ...]) -> netCDF4.Dataset:
    """A new file with global attributes, grid mapping and the coordinates common to both files."""
    file = netCDF4.Dataset(path, "w", format="NETCDF4")
    file.set_fill_off()
    file.setncatts({"Conventions": CONVENTIONS, **header.attributes})
    file.setncattr("ensemble_size", np.int32(header.ensemble_size))
    file.setncattr("members_present", np.asarray(header.members, np.int32))
    for name, size in (
        ("time", 1),
        ("level", len(levels)),
        ("latitude", header.grid.latitudes.size),
        ("longitude", header.grid.longitudes.size),
    ):
        file.createDimension(name, size)
    _define_times(file, header)
    _define_space(file, header, levels)
    return file


def _define_times(file: netCDF4.Dataset, header: FrameHeader) -> None:
    time = _variable(file, "time", "i4", ("time",), "time", _TIME_UNITS, long_name="Time the forecast is for", axis="T")
    time.setncatts(_CLOCK)
    time[:] = round(header.valid_time.timestamp() / 3600)
    name = "forecast_reference_time"
    reference = _variable(file, name, "i4", (), name, _TIME_UNITS, long_name="Time of the analysis")
    reference.setncatts(_CLOCK)
    reference[...] = round(header.init_time.timestamp() / 3600)
    period = _variable(file, "forecast_period", "i4", ("time",), "forecast_period", "hours", long_name="Lead time")
    period[:] = header.lead_hours


def _define_space(file: netCDF4.Dataset, header: FrameHeader, levels: tuple[int, ...]) -> None:
    level = _variable(
        file, "level", "i4", ("level",), "air_pressure", "hPa", long_name="Pressure level", positive="down", axis="Z"
    )
    level[:] = levels
    latitude = _variable(
        file, "latitude", "f8", ("latitude",), "latitude", "degrees_north", long_name="Latitude", axis="Y"
    )
    latitude[:] = header.grid.latitudes
    longitude = _variable(
        file, "longitude", "f8", ("longitude",), "longitude", "degrees_east", long_name="Longitude", axis="X"
    )
    longitude[:] = header.grid.longitudes
    crs = file.createVariable("crs", "i4", ())
    crs.setncatts({"grid_mapping_name": "latitude_longitude", "earth_radius": _EARTH_RADIUS})
    crs[...] = 0


def _define_members(file: netCDF4.Dataset, header: FrameHeader, fields: list[Field]) -> None:
    file.createDimension("realization", len(header.members))
    realization = _variable(
        file, "realization", "i4", ("realization",), "realization", "1", long_name="Ensemble member; 0 is the control"
    )
    realization[:] = header.members
    for field in fields:
        _define_field(file, field, field.short_name, field.long_name, ("realization",), {})


def _define_statistics(file: netCDF4.Dataset, fields: list[Field]) -> None:
    for field in fields:
        for name, method in _STATISTICS.items():
            attributes = {"cell_methods": f"realization: {method}"}
            long_name = f"Ensemble {method.replace('_', ' ')} of {field.long_name.lower()}"
            _define_field(file, field, f"{field.short_name}_{name}", long_name, (), attributes)


def _define_field(
    file: netCDF4.Dataset,
    field: Field,
    name: str,
    long_name: str,
    leading: tuple[str, ...],
    attributes: dict[str, str],
) -> None:
    on_levels = field.name in LEVEL_FIELDS or field == GEOPOTENTIAL_HEIGHT
    dimensions = (*leading, "time", *(("level",) if on_levels else ()), "latitude", "longitude")
    variable = file.createVariable(
        name, "f4", dimensions, chunksizes=_one_map(file, dimensions), fill_value=False, **_COMPRESSION, **_QUANTIZATION
    )
    variable.setncatts({"standard_name": field.standard_name or field.name, "long_name": long_name})
    variable.setncatts({"units": field.units, "grid_mapping": "crs"})
    variable.setncatts({"coordinates": "forecast_reference_time forecast_period", **attributes})
    if field.units == "K":
        meaning = "difference" if attributes.get("cell_methods", "").endswith("deviation") else "on_scale"
        variable.setncattr("units_metadata", f"temperature: {meaning}")


def _one_map(file: netCDF4.Dataset, dimensions: tuple[str, ...]) -> list[int]:
    return [file.dimensions[name].size if name in ("latitude", "longitude") else 1 for name in dimensions]


def _variable(
    file: netCDF4.Dataset,
    name: str,
    kind: str,
    dimensions: tuple[str, ...],
    standard_name: str,
    units: str,
    **attributes: str,
) -> netCDF4.Variable:
    variable = file.createVariable(name, kind, dimensions, fill_value=False)
    variable.setncatts({"standard_name": standard_name, "units": units, **attributes})
    return variable
