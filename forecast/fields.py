"""The variable table: every field that the house reads, forecasts or publishes, described once.

The rest of the code names a field by its key here, which is the CF standard name where one exists.
GRIB short names and parameter numbers belong to the readers and writers, which look them up here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class GribParameter:
    """WMO GRIB2 identity of a field (code tables 4.1 and 4.2)."""

    discipline: int
    category: int
    number: int


@dataclass(frozen=True)
class Field:
    """One physical quantity.

    `valid_range` holds the inclusive limits, in `units`, outside which a global analysis or forecast
    on pressure levels (or at the surface) is wrong, whatever the weather.
    """

    name: str
    short_name: str
    long_name: str
    units: str
    standard_name: str | None
    grib: GribParameter
    valid_range: tuple[float, float]


def _table(*fields: Field) -> dict[str, Field]:
    return {field.name: field for field in fields}


def _field(
    name: str,
    short_name: str,
    long_name: str,
    units: str,
    grib: tuple[int, int, int],
    valid_range: tuple[float, float],
    standard_name: str | None = "",
) -> Field:
    """A row of the table; the standard name is the name itself unless given."""
    cf_name = name if standard_name == "" else standard_name
    return Field(name, short_name, long_name, units, cf_name, GribParameter(*grib), valid_range)


LEVEL_FIELDS = _table(
    _field("geopotential", "z", "Geopotential", "m2 s-2", (0, 3, 4), (-12_000.0, 520_000.0)),
    _field("air_temperature", "t", "Temperature", "K", (0, 0, 0), (140.0, 340.0)),
    _field("eastward_wind", "u", "Eastward wind", "m s-1", (0, 2, 2), (-200.0, 200.0)),
    _field("northward_wind", "v", "Northward wind", "m s-1", (0, 2, 3), (-200.0, 200.0)),
    _field("specific_humidity", "q", "Specific humidity", "kg kg-1", (0, 1, 0), (-0.005, 0.04)),
    _field(
        "mass_fraction_of_cloud_ice_in_air",
        "ciwc",
        "Specific cloud ice water content",
        "kg kg-1",
        (0, 1, 84),
        (-0.001, 0.02),
    ),
    _field(
        "mass_fraction_of_cloud_liquid_water_in_air",
        "clwc",
        "Specific cloud liquid water content",
        "kg kg-1",
        (0, 1, 83),
        (-0.001, 0.02),
    ),
)
"""Fields on pressure levels: what the model reads and forecasts."""

FORCING_FIELDS = _table(
    _field("sea_surface_temperature", "sst", "Sea surface temperature", "K", (10, 3, 0), (268.0, 312.0)),
    _field("sea_ice_area_fraction", "ci", "Sea ice area fraction", "1", (10, 2, 0), (0.0, 1.0)),
)
"""Surface fields prescribed to the model. Files have no values over land, an analysis the nearest ones."""

SURFACE_FIELDS = _table(
    _field("surface_air_pressure", "sp", "Surface pressure", "Pa", (0, 3, 0), (40_000.0, 112_000.0)),
    _field("air_pressure_at_mean_sea_level", "msl", "Mean sea level pressure", "Pa", (0, 3, 0), (85_000.0, 112_000.0)),
    _field(
        "atmosphere_mass_content_of_water_vapor",
        "tcwv",
        "Total column water vapour",
        "kg m-2",
        (0, 1, 64),
        (-5.0, 120.0),
    ),
    _field(
        "precipitation_minus_evaporation",
        "pme",
        "Precipitation minus evaporation since the start of the forecast",
        "kg m-2",
        (0, 1, 230),
        (-1_000.0, 10_000.0),
        None,
    ),
)
"""Single-level forecast fields. WMO has no parameter for precipitation minus evaporation: 230 is a number of code
table 4.2 for local use that other centres' tables, as ecCodes has them, give no other meaning."""

STATIC_FIELDS = _table(
    _field(
        "surface_geopotential",
        "z",
        "Surface geopotential",
        "m2 s-2",
        (0, 3, 4),
        (-12_000.0, 80_000.0),
        "surface_geopotential",
    ),
    _field("land_area_fraction", "lsm", "Land-sea mask", "1", (2, 0, 0), (0.0, 1.0)),
)
"""Fields that do not change in time."""

FIELDS = LEVEL_FIELDS | FORCING_FIELDS | SURFACE_FIELDS | STATIC_FIELDS
"""All fields by name."""

PRESSURE_LEVELS = (
    1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 125, 150, 175, 200, 225, 250, 300, 350,
    400, 450, 500, 550, 600, 650, 700, 750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000,
)  # fmt: skip
"""The 37 ERA5 pressure levels of an analysis [hPa], top first."""
