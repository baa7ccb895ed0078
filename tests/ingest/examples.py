"""A small hydrostatic analysis, and the files that a producer would make of it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import eccodes
import numpy as np
import xarray as xr

from forecast.fields import PRESSURE_LEVELS
from ingest.atmosphere import standard_temperature, thickness
from ingest.moisture import virtual_temperature
from ingest.source import ModelNeeds

CYCLE = datetime(2020, 3, 1, 6, tzinfo=UTC)
NEEDS = ModelNeeds(32, 16)
FILE_LEVELS = (10, 50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)

LATITUDES = np.linspace(90.0, -90.0, 25)
LONGITUDES = np.arange(48) * 7.5


def state(longitudes=LONGITUDES, latitudes=LATITUDES, levels=PRESSURE_LEVELS):
    """Fields [latitude, longitude] by (short name, level), level 0 at the surface; smooth and hydrostatic."""
    longitude, latitude = np.deg2rad(longitudes)[None, :], np.deg2rad(latitudes)[:, None]
    cosine = np.cos(latitude).clip(0.0)
    wave = np.cos(3 * longitude - 0.4) * cosine**2
    fields = {}
    height = 950.0 + 300.0 * wave + 200.0 * cosine**2
    below = None
    for level in sorted(levels, reverse=True):
        warmth = (15.0 * (cosine**2 - 2.0 / 3.0) + 4.0 * wave) * (level / 1000.0)
        temperature = standard_temperature(level) + warmth
        humidity = 3e-6 + 0.016 * cosine**2 * (level / 1000.0) ** 4
        virtual = virtual_temperature(temperature, humidity)
        if below is not None:
            height = height + thickness(below[1], virtual, below[0], level)
        below = level, virtual
        fields |= {
            ("z", level): height,
            ("t", level): temperature,
            ("u", level): 25.0 * cosine + 8.0 * wave,
            ("v", level): 6.0 * np.sin(3 * longitude) * cosine**2,
            ("q", level): humidity,
            ("clwc", level): 2e-5 * cosine**2 * (level >= 500) * (1 + wave),
            ("ciwc", level): 2e-5 * cosine**2 * (level <= 500) * (1 - wave) * (level >= 100),
        }
    land = np.where(np.cos(longitude) * np.ones_like(latitude) > 0.55, 1.0, 0.0)
    ice = np.where(np.abs(latitude) > 1.2, 0.9, 0.0) * np.ones_like(longitude)
    fields[("skt", 0)] = np.where(land > 0.5, 305.0, 272.0 + 28.0 * cosine) - 30.0 * (ice > 0)
    fields[("sst", 0)] = np.where(land > 0.5, np.nan, np.maximum(272.0 + 28.0 * cosine, 271.46))
    fields[("ci", 0)] = np.where(land > 0.5, 0.0, ice)
    fields[("lsm", 0)] = land
    shape = latitude.size, longitude.size
    return {key: np.broadcast_to(values, shape) for key, values in fields.items()}


@dataclass(frozen=True)
class Example:
    """What to write: fields [latitude, longitude] by (short name, level), on which grid, valid when."""

    fields: dict = field(default_factory=dict)
    longitudes: np.ndarray = field(default_factory=lambda: LONGITUDES)
    latitudes: np.ndarray = field(default_factory=lambda: LATITUDES)
    valid_time: datetime = CYCLE
    edition: int = 2
    member: int | None = None

    def but(self, **changes):
        """The same, changed."""
        return replace(self, **changes)

    def without(self, *keys):
        """The same without some fields, each a short name or a (short name, level)."""
        kept = {k: v for k, v in self.fields.items() if k not in keys and k[0] not in keys}
        return replace(self, fields=kept)

    def with_field(self, short_name, level, values):
        """The same with a field added or replaced."""
        return replace(self, fields=self.fields | {(short_name, level): values})


def example(levels=FILE_LEVELS, longitudes=LONGITUDES, latitudes=LATITUDES, **options):
    """A complete analysis with SST."""
    fields = state(longitudes, latitudes)
    chosen = {key: value for key, value in fields.items() if key[1] in (*levels, 0) and key[0] != "skt"}
    return Example(chosen, longitudes, latitudes, **options)


def message(given: Example, short_name: str, level: int, values) -> bytes:
    """One GRIB message; NaN becomes a bitmap."""
    grid = (given.longitudes.tobytes(), given.latitudes.tobytes())
    key = (short_name, level, given.valid_time, given.edition, given.member, *grid, np.asarray(values).tobytes())
    if key not in _ENCODED:
        _ENCODED[key] = _encoded(given, short_name, level, values)
    return _ENCODED[key]


_ENCODED: dict[tuple, bytes] = {}


def _encoded(given: Example, short_name: str, level: int, values) -> bytes:
    kind = "pl" if level else "sfc"
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_{kind}_grib{given.edition}")
    try:
        _set_grid(handle, given)
        eccodes.codes_set(handle, "dataDate", int(given.valid_time.strftime("%Y%m%d")))
        eccodes.codes_set(handle, "dataTime", int(given.valid_time.strftime("%H%M")))
        if given.member is not None and given.edition == 2:
            eccodes.codes_set(handle, "productDefinitionTemplateNumber", 1)
            eccodes.codes_set(handle, "number", given.member)
        eccodes.codes_set(handle, "shortName", short_name)
        eccodes.codes_set(handle, "level", level)
        eccodes.codes_set(handle, "bitsPerValue", 24)
        set_values(handle, values)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def set_values(handle, values):
    """Values with NaN for missing ones, which a bitmap tells."""
    flat = np.asarray(values, dtype=float).ravel()
    if np.isnan(flat).any():
        eccodes.codes_set(handle, "bitmapPresent", 1)
        eccodes.codes_set(handle, "missingValue", 9999.0)
        flat = np.where(np.isnan(flat), 9999.0, flat)
    eccodes.codes_set_values(handle, flat)


def _set_grid(handle, given):
    latitudes, longitudes = given.latitudes, given.longitudes
    for key, value in {
        "Ni": longitudes.size,
        "Nj": latitudes.size,
        "jScansPositively": int(latitudes[0] < latitudes[-1]),
        "latitudeOfFirstGridPointInDegrees": latitudes[0],
        "latitudeOfLastGridPointInDegrees": latitudes[-1],
        "longitudeOfFirstGridPointInDegrees": longitudes[0] % 360.0,
        "longitudeOfLastGridPointInDegrees": longitudes[-1] % 360.0,
        "iDirectionIncrementInDegrees": longitudes[1] - longitudes[0],
        "jDirectionIncrementInDegrees": abs(latitudes[1] - latitudes[0]),
    }.items():
        eccodes.codes_set(handle, key, value.item() if hasattr(value, "item") else value)


def messages(given: Example) -> list[bytes]:
    """Every field as a message."""
    return [message(given, name, level, values) for (name, level), values in given.fields.items()]


def write_grib(given: Example, path: Path) -> Path:
    """A GRIB file."""
    path.write_bytes(b"".join(messages(given)))
    return path


_NETCDF = {
    "z": ("geopotential", "m**2 s**-2"),
    "gh": ("geopotential_height", "m"),
    "t": ("air_temperature", "K"),
    "u": ("eastward_wind", "m s**-1"),
    "v": ("northward_wind", "m s**-1"),
    "q": ("specific_humidity", "kg kg**-1"),
    "r": ("relative_humidity", "%"),
    "clwc": (None, "kg kg**-1"),
    "ciwc": (None, "kg kg**-1"),
    "sst": ("sea_surface_temperature", "K"),
    "ci": ("sea_ice_area_fraction", "(0 - 1)"),
    "lsm": ("land_binary_mask", "(0 - 1)"),
}


def dataset(given: Example) -> xr.Dataset:
    """The layout of the Climate Data Store: valid_time, pressure_level, latitude, longitude."""
    moment = np.array([given.valid_time.replace(tzinfo=None)], dtype="datetime64[ns]")
    coordinates = {
        "valid_time": ("valid_time", moment, {"standard_name": "time"}),
        "latitude": ("latitude", given.latitudes, {"units": "degrees_north"}),
        "longitude": ("longitude", given.longitudes, {"units": "degrees_east"}),
    }
    levels = sorted({level for _, level in given.fields if level}, reverse=True)
    coordinates["pressure_level"] = ("pressure_level", np.array(levels, float), {"units": "hPa"})
    variables = {}
    for name in {name for name, _ in given.fields}:
        standard_name, unit = _NETCDF[name]
        attributes = {"units": unit} | ({"standard_name": standard_name} if standard_name else {})
        if (name, 0) in given.fields:
            values, dims = given.fields[name, 0][None], ("valid_time", "latitude", "longitude")
        else:
            empty = np.full((given.latitudes.size, given.longitudes.size), np.nan)
            values = np.stack([given.fields.get((name, level), empty) for level in levels])[None]
            dims = ("valid_time", "pressure_level", "latitude", "longitude")
        variables[name] = (dims, values.astype(np.float32), attributes)
    return xr.Dataset(variables, coordinates)


def write_netcdf(given: Example, path: Path) -> Path:
    """A NetCDF file."""
    dataset(given).to_netcdf(path, engine="netcdf4")
    return path
