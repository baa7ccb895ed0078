"""The quantities that files hold, under the names that files give them, and the canonical dataset.

GRIB short names are those of ecCodes; NetCDF names are CF standard names, or those of the Climate
Data Store and of WeatherBench-like archives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.constants import STANDARD_GRAVITY
from forecast.fields import FIELDS
from forecast.grids import RegularGrid
from ingest.source import ModelNeeds


@dataclass(frozen=True)
class Quantity:
    """A quantity as files give it.

    `units` maps each spelling accepted in a file to the factor to SI; `valid_range` is in SI.
    """

    name: str
    on_levels: bool
    grib_names: tuple[str, ...]
    netcdf_names: tuple[str, ...]
    units: Mapping[str, float]
    valid_range: tuple[float, float]

    @property
    def grib_factor(self) -> float:
        """From the unit that GRIB prescribes, the first one in `units`, to SI."""
        return next(iter(self.units.values()))


_KELVIN = {"K": 1.0, "kelvin": 1.0, "Kelvin": 1.0}
_SPEED = {"m s-1": 1.0, "m s**-1": 1.0, "m/s": 1.0, "m s^-1": 1.0}
_MASS_RATIO = {"kg kg-1": 1.0, "kg kg**-1": 1.0, "kg/kg": 1.0, "kg kg^-1": 1.0, "1": 1.0}
_FRACTION = {"1": 1.0, "(0 - 1)": 1.0, "0-1": 1.0, "": 1.0, "dimensionless": 1.0, "Proportion": 1.0}
_GEOPOTENTIAL = {"m2 s-2": 1.0, "m**2 s**-2": 1.0, "m^2/s^2": 1.0, "m^2 s^-2": 1.0, "J kg-1": 1.0}
_HEIGHT = {"gpm": STANDARD_GRAVITY, "m": STANDARD_GRAVITY}
_PERCENT = {"%": 0.01, "percent": 0.01}

_LIQUID = "mass_fraction_of_cloud_liquid_water_in_air"
_ICE = "mass_fraction_of_cloud_ice_in_air"


def _quantity(
    name: str,
    grib_names: str,
    netcdf_names: str,
    units: Mapping[str, float],
    valid_range: tuple[float, float] | None = None,
    on_levels: bool = True,
) -> Quantity:
    limits = FIELDS[name].valid_range if valid_range is None else valid_range
    return Quantity(name, on_levels, tuple(grib_names.split()), (name, *netcdf_names.split()), units, limits)


_MIXING_RANGE = FIELDS[_LIQUID].valid_range

QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        _quantity("geopotential", "z", "z", _GEOPOTENTIAL),
        _quantity("geopotential_height", "gh", "gh hgt zg", _HEIGHT, FIELDS["geopotential"].valid_range),
        _quantity("air_temperature", "t", "temperature t ta", _KELVIN),
        _quantity("eastward_wind", "u", "u_component_of_wind u ua", _SPEED),
        _quantity("northward_wind", "v", "v_component_of_wind v va", _SPEED),
        _quantity("specific_humidity", "q", "q hus", _MASS_RATIO),
        _quantity("relative_humidity", "r", "r hur", _PERCENT, (-0.05, 2.0)),
        _quantity(_LIQUID, "clwc", "specific_cloud_liquid_water_content clwc clw", _MASS_RATIO),
        _quantity(_ICE, "ciwc", "specific_cloud_ice_water_content ciwc cli", _MASS_RATIO),
        _quantity("cloud_mixing_ratio", "clwmr clmr", "clwmr", _MASS_RATIO, _MIXING_RANGE),
        _quantity("cloud_ice_mixing_ratio", "icmr", "icmr", _MASS_RATIO, _MIXING_RANGE),
        _quantity("sea_surface_temperature", "sst", "sst tos", _KELVIN, (250.0, 320.0), False),
        _quantity("surface_temperature", "skt t", "skin_temperature skt", _KELVIN, (170.0, 360.0), False),
        _quantity(
            "sea_ice_area_fraction", "ci siconc icec", "sea_ice_cover siconc ci", _FRACTION, (-0.01, 1.01), False
        ),
        _quantity("land_area_fraction", "lsm", "land_binary_mask land_sea_mask lsm", _FRACTION, (-0.01, 1.01), False),
    )
}
"""Every quantity that is read, by name."""

_SURFACE_TYPES = ("surface", "iceTopOnWater", "entireAtmosphere", "meanSea", "unknown")
_LEVEL_TYPES = ("isobaricInhPa", "isobaricInPa")


def grib_quantity(short_name: str, type_of_level: str) -> Quantity | None:
    """The quantity of a GRIB message, or None when it is none of ours."""
    on_levels = type_of_level in _LEVEL_TYPES
    if not on_levels and type_of_level not in _SURFACE_TYPES:
        return None
    for quantity in QUANTITIES.values():
        if quantity.on_levels == on_levels and short_name in quantity.grib_names:
            return quantity
    return None


def netcdf_quantity(name: str, standard_name: str | None, on_levels: bool) -> Quantity | None:
    """The quantity of a NetCDF variable, by standard name and then by name; None when none of ours."""
    for spelling in (standard_name, name):
        for quantity in QUANTITIES.values():
            if spelling and quantity.on_levels == on_levels and spelling in quantity.netcdf_names:
                return quantity
    return None


@dataclass(frozen=True, eq=False)
class RawField:
    """One horizontal field of a file: float32 values [longitude, latitude] in SI units, NaN where missing."""

    quantity: Quantity
    level: int | None
    valid_time: datetime
    member: int
    grid: RegularGrid
    values: NDArray[np.float32]
    origin: str
    file_name: str

    @property
    def label(self) -> str:
        """What and where it is, for messages."""
        place = "" if self.level is None else f" at {self.level} hPa"
        return f"{self.origin}: {self.quantity.name}{place}"


_HUGE = 1e19
_SENTINEL = 9999.0
_SENTINEL_SHARE = 1e-3


def without_sentinels(values: NDArray[Any], quantity: Quantity) -> NDArray[np.float32]:
    """Values in the file's units as float32, with NaN for the numbers that stand for a missing value.

    These are 9999 and what is beyond 1e19. A geopotential may truly be 9999: there the number counts
    as missing when more than one value in a thousand has it.
    """
    if values.min() > -_HUGE and values.max() < _SENTINEL:
        return np.asarray(values, dtype=np.float32)
    result = np.array(values, dtype=np.float32)
    missing = ~(np.abs(result) < _HUGE)
    sentinel = result == _SENTINEL
    if not quantity.name.startswith("geopotential") or sentinel.mean() > _SENTINEL_SHARE:
        missing |= sentinel
    result[missing] = np.nan
    return result


def canonical_dataset(arrays: Mapping[str, NDArray[np.float32]], needs: ModelNeeds) -> xr.Dataset:
    """The dataset of an analysis from arrays [level, longitude, latitude] and [longitude, latitude]."""
    grid = needs.grid
    variables = {}
    for name in needs.variables:
        array = np.asarray(arrays[name], dtype=np.float32)
        dims = ("level", "longitude", "latitude")[3 - array.ndim :]
        field = FIELDS[name]
        attributes = {"units": field.units, "standard_name": field.standard_name, "long_name": field.long_name}
        variables[name] = xr.Variable(dims, array, attributes)
    coordinates = {
        "level": ("level", np.array(needs.levels, dtype=np.int64), {"units": "hPa", "positive": "down"}),
        "longitude": ("longitude", grid.longitudes, {"units": "degrees_east"}),
        "latitude": ("latitude", grid.latitudes, {"units": "degrees_north"}),
    }
    return xr.Dataset(variables, coordinates)
