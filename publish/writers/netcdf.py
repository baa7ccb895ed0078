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

from publish.product import Item, ProductSettings, Slab
from publish.quantities import ON_LEVELS
from publish.statistics import Statistic, Statistics, variable, wanted
from publish.writers.base import EncodedFile, FrameHeader

MEDIA_TYPE = "application/x-netcdf"
CONVENTIONS = "CF-1.11"

_EARTH_RADIUS = 6371229.0
_TIME_UNITS = "hours since 1970-01-01 00:00:00"
_CLOCK = {"calendar": "standard", "units_metadata": "leap_seconds: none"}
_COMPRESSION = {"compression": "zlib", "complevel": 1, "shuffle": True}
_QUANTIZATION = {"significant_digits": 15, "quantize_mode": "BitRound"}
"""Bits of the mantissa that are kept."""
_METHODS = {"mean": "mean", "spread": "standard_deviation", "min": "minimum", "max": "maximum", "p50": "median"}
"""The CF cell methods of statistics that have one."""
_OVER_TIME = {"mean": "mean", "min": "minimum", "max": "maximum", "sum": "sum"}
"""The CF cell methods of intervals."""


class NetcdfWriter:
    """Writes one lead time as CF NetCDF."""

    def __init__(self, header: FrameHeader, settings: ProductSettings, directory: Path) -> None:
        self._header = header
        self._levels = {level: index for index, level in enumerate(settings.levels)}
        self._paths = {"members": directory / Path(self._key("ef")).name} if settings.publish_members else {}
        if header.has_statistics:
            self._paths["statistics"] = directory / Path(self._key("ep")).name
        self._files = {kind: _create(path, header, settings.levels) for kind, path in self._paths.items()}
        if settings.publish_members:
            _define_members(self._files["members"], header)
        if header.has_statistics:
            _define_statistics(self._files["statistics"], header, settings)

    def write(self, slab: Slab, statistics: Statistics | None) -> None:
        """Add one field on one level."""
        here = (0,) if not _has_levels(slab.item) else (0, self._levels[slab.level or 0])
        if "members" in self._files:
            self._files["members"][slab.item.variable][(slice(None), *here)] = slab.values
        for statistic, values in statistics.maps.items() if statistics else ():
            name = variable(slab.item, statistic)
            self._files["statistics"][name][here if statistic.event is None else (0,)] = values

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


def _define_members(file: netCDF4.Dataset, header: FrameHeader) -> None:
    file.createDimension("realization", len(header.members))
    realization = _variable(
        file, "realization", "i4", ("realization",), "realization", "1", long_name="Ensemble member; 0 is the control"
    )
    realization[:] = header.members
    for item in _variables(header):
        _define_item(file, item, item.variable, ("realization",), {})


def _define_statistics(file: netCDF4.Dataset, header: FrameHeader, settings: ProductSettings) -> None:
    found: dict[str, tuple[Item, Statistic]] = {}
    for item in header.items:
        found |= {variable(item, each): (item, each) for each in wanted(item, settings)}
    for name, (item, statistic) in found.items():
        _define_item(file, item, name, (), _attributes(item, statistic))


def _variables(header: FrameHeader) -> list[Item]:
    """One item for each variable."""
    return list({item.variable: item for item in header.items}.values())


def _has_levels(item: Item) -> bool:
    return item.window is None and item.field.name in ON_LEVELS


def _attributes(item: Item, statistic: Statistic) -> dict[str, str]:
    if (event := statistic.event) is not None:
        level = f" at {item.level} hPa" if item.level else ""
        side = "below" if event.operator == "<" else "above"
        words = f"{item.field.long_name}{level} {side} {event.threshold:.10g} {item.field.units}"
        return {"standard_name": "", "units": "1", "long_name": f"Probability of {words.lower()}"}
    method = _METHODS.get(statistic.name)
    long_name = f"Ensemble {(method or statistic.name).replace('_', ' ')} of {item.field.long_name.lower()}"
    return {"long_name": long_name} | ({"cell_methods": f"realization: {method}"} if method else {})


def _define_item(
    file: netCDF4.Dataset,
    item: Item,
    name: str,
    leading: tuple[str, ...],
    attributes: dict[str, str],
) -> None:
    field = item.field
    with_levels = _has_levels(item) and attributes.get("units") != "1"
    dimensions = (*leading, "time", *(("level",) if with_levels else ()), "latitude", "longitude")
    created = file.createVariable(
        name, "f4", dimensions, chunksizes=_one_map(file, dimensions), fill_value=False, **_COMPRESSION, **_QUANTIZATION
    )
    told = {"standard_name": field.standard_name or "", "long_name": field.long_name, "units": field.units}
    told |= {"grid_mapping": "crs", "coordinates": "forecast_reference_time forecast_period"}
    if item.window is not None:
        told["cell_methods"] = f"time: {_OVER_TIME[item.window.method]}"
    told |= attributes
    if told["units"] == "K":
        is_difference = told.get("cell_methods", "").endswith("deviation")
        told["units_metadata"] = f"temperature: {'difference' if is_difference else 'on_scale'}"
    created.setncatts({key: value for key, value in told.items() if value})


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
