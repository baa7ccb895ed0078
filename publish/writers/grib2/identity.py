"""Sections 1 and 3: whose message it is, of when, and on which grid."""

from datetime import datetime

import numpy as np

from forecast.grids import GaussianGrid, LatLonGrid
from publish.settings import ProductSettings
from publish.writers.grib2.octets import MISSING, Row

TABLES_VERSION = 32
LOCAL_USE = 192
"""First number of a code table that is left to the centre (WMO-No. 306, note to code table 4.2)."""

_LOCAL_TABLES_VERSION = 1
_START_OF_FORECAST = 1
_EARTH_SPHERE_6371229_M = 6
_INCREMENTS_GIVEN = 48
_LATITUDE_LONGITUDE = 0
_GAUSSIAN = 40


def identification(
    init_time: datetime, settings: ProductSettings, data_type: int, parameter_number: int
) -> tuple[Row, ...]:
    """Section 1 (code table 1.4 for the type of data)."""
    local = _LOCAL_TABLES_VERSION if parameter_number >= LOCAL_USE else 0
    return (
        Row("centre", 2, settings.centre),
        Row("subCentre", 2, settings.subcentre),
        Row("tablesVersion", 1, TABLES_VERSION),
        Row("localTablesVersion", 1, local),
        Row("significanceOfReferenceTime", 1, _START_OF_FORECAST),
        Row("year", 2, init_time.year),
        Row("month", 1, init_time.month),
        Row("day", 1, init_time.day),
        Row("hour", 1, init_time.hour),
        Row("minute", 1, init_time.minute),
        Row("second", 1, init_time.second),
        Row("productionStatusOfProcessedData", 1, settings.production_status),
        Row("typeOfProcessedData", 1, data_type),
    )


def grid_definition(grid: LatLonGrid | GaussianGrid) -> tuple[Row, ...]:
    """Section 3 with template 3.0 or 3.40: from the north to the south, each row eastward from Greenwich."""
    longitudes, latitudes = grid.longitudes, np.sort(grid.latitudes)[::-1]
    is_gaussian = isinstance(grid, GaussianGrid)
    last = (
        Row("N", 4, latitudes.size // 2) if is_gaussian else Row("jDirectionIncrement", 4, _micro(180.0 / _steps(grid)))
    )
    return (
        Row("sourceOfGridDefinition", 1, 0),
        Row("numberOfDataPoints", 4, longitudes.size * latitudes.size),
        Row("numberOfOctectsForNumberOfPoints", 1, 0),
        Row("interpretationOfNumberOfPoints", 1, 0),
        Row("gridDefinitionTemplateNumber", 2, _GAUSSIAN if is_gaussian else _LATITUDE_LONGITUDE),
        Row("shapeOfTheEarth", 1, _EARTH_SPHERE_6371229_M),
        Row("scaleFactorOfRadiusOfSphericalEarth", 1, MISSING),
        Row("scaledValueOfRadiusOfSphericalEarth", 4, MISSING),
        Row("scaleFactorOfEarthMajorAxis", 1, MISSING),
        Row("scaledValueOfEarthMajorAxis", 4, MISSING),
        Row("scaleFactorOfEarthMinorAxis", 1, MISSING),
        Row("scaledValueOfEarthMinorAxis", 4, MISSING),
        Row("Ni", 4, longitudes.size),
        Row("Nj", 4, latitudes.size),
        Row("basicAngleOfTheInitialProductionDomain", 4, 0),
        Row("subdivisionsOfBasicAngle", 4, MISSING),
        Row("latitudeOfFirstGridPoint", 4, _micro(latitudes[0])),
        Row("longitudeOfFirstGridPoint", 4, _micro(longitudes[0])),
        Row("resolutionAndComponentFlags", 1, _INCREMENTS_GIVEN),
        Row("latitudeOfLastGridPoint", 4, _micro(latitudes[-1])),
        Row("longitudeOfLastGridPoint", 4, _micro(longitudes[-1])),
        Row("iDirectionIncrement", 4, _micro(360.0 / longitudes.size)),
        last,
        Row("scanningMode", 1, 0),
    )


def _steps(grid: LatLonGrid | GaussianGrid) -> int:
    return grid.latitudes.size - 1


def _micro(degrees: float) -> int:
    return round(float(degrees) * 1e6)
