"""Analyses of NOAA's Global Forecast System in its public bucket: two files for each cycle, read in ranges.

The first file has 31 of the model's 37 levels, the second the other six, with relative for specific humidity, and
cloud at 70 hPa. Layout and content: NOAA-EMC/global-workflow, `parm/product/gfs.f000.paramlist.a.txt` and
`gfs.fFFF.paramlist.b.txt`.
"""

from forecast.fields import PRESSURE_LEVELS
from ingest.feed import Item

_SECOND_FILE_LEVELS = (125, 175, 225, 775, 825, 875)
_WIND_AND_MASS = ("geopotential_height", "air_temperature", "eastward_wind", "northward_wind")
_CLOUD = ("cloud_mixing_ratio", "cloud_ice_mixing_ratio")
_SURFACE = ("surface_temperature", "sea_ice_area_fraction", "land_area_fraction")


def _declared(product: str) -> frozenset[Item]:
    second = product == "pgrb2b"
    levels = [level for level in PRESSURE_LEVELS if (level in _SECOND_FILE_LEVELS) == second]
    cloud_levels = [level for level in levels if level >= 50 and level != 70] + ([70] if second else [])
    humidity = ("relative_humidity",) if second else ("relative_humidity", "specific_humidity")
    on_levels = [Item(name, level) for name in (*_WIND_AND_MASS, *humidity) for level in levels]
    cloud = [Item(name, level) for name in _CLOUD for level in cloud_levels]
    return frozenset(on_levels + cloud + ([] if second else [Item(name) for name in _SURFACE]))


ITEMS = {product: _declared(product) for product in ("pgrb2", "pgrb2b")}
"""What each of the two files is declared to hold."""
