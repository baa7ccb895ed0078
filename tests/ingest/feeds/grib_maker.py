"""GRIB 2 messages as the providers make them: their grids, packing and keys, with a smooth field in each."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import eccodes
import numpy as np

CYCLE = datetime(2026, 7, 1, 0, tzinfo=UTC)
COARSE = 5.0
REAL = 0.25


@dataclass(frozen=True)
class Producer:
    """How one provider writes; `keys` are set before the values."""

    centre: str
    first_longitude: float
    packing: str
    keys: tuple[tuple[str, int | str], ...] = ()


IFS = Producer(
    "ecmf", 180.0, "grid_ccsds", (("tablesVersion", 27), ("generatingProcessIdentifier", 158), ("shapeOfTheEarth", 6))
)
GFS = Producer(
    "kwbc", 0.0, "grid_complex_spatial_differencing", (("tablesVersion", 2), ("generatingProcessIdentifier", 81))
)


@dataclass(frozen=True)
class Field:
    """One field to write, level [hPa] 0 at the surface."""

    short_name: str
    level: int = 0
    cycle: datetime = CYCLE
    member: int | None = None
    stream: str = "oper"


def message(field: Field, producer: Producer = IFS, spacing: float = COARSE) -> bytes:
    """The field as one message on a global grid of that spacing [degrees], rows from the north."""
    return _message(field, producer, spacing)


def values_of(field: Field, producer: Producer = IFS, spacing: float = COARSE) -> np.ndarray:
    """What is written, [latitude, longitude]: plausible, smooth, and not the same for any two fields."""
    latitudes, longitudes = grid(producer, spacing)
    longitude, latitude = np.deg2rad(longitudes)[None, :], np.deg2rad(latitudes)[:, None]
    wave = np.cos(longitude - 0.7) * np.cos(latitude) + 0.3 * np.sin(latitude)
    shift = 0.01 * (field.member or 0) + 1e-4 * field.level
    middle, spread = _SCALES.get(field.short_name, (1.0, 0.5))
    if field.short_name == "gh":
        middle = 7_500.0 * np.log(1013.25 / max(field.level, 1))
    return middle + spread * (wave + shift)


_SCALES = {
    "t": (250.0, 20.0),
    "skt": (280.0, 20.0),
    "q": (0.004, 0.003),
    "r": (50.0, 30.0),
    "u": (5.0, 20.0),
    "v": (0.0, 10.0),
    "gh": (0.0, 100.0),
    "z": (3_000.0, 2_000.0),
    "lsm": (0.5, 0.3),
    "ci": (0.5, 0.3),
    "sp": (98_000.0, 3_000.0),
    "msl": (101_000.0, 2_000.0),
    "clwmr": (1e-5, 5e-6),
    "icmr": (1e-5, 5e-6),
}


def grid(producer: Producer, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes [degrees] in the order of the file."""
    columns, rows = round(360 / spacing), round(180 / spacing) + 1
    return 90.0 - spacing * np.arange(rows), (producer.first_longitude + spacing * np.arange(columns)) % 360.0


@lru_cache(maxsize=4096)
def _message(field: Field, producer: Producer, spacing: float) -> bytes:
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_{'pl' if field.level else 'sfc'}_grib2")
    try:
        eccodes.codes_set(handle, "centre", producer.centre)
        for key, value in producer.keys:
            eccodes.codes_set(handle, key, value)
        _set_origin(handle, field, producer)
        _set_grid(handle, *grid(producer, spacing), spacing)
        eccodes.codes_set(handle, "shortName", field.short_name)
        if field.level:
            eccodes.codes_set(handle, "level", field.level)
        eccodes.codes_set(handle, "bitsPerValue", 12)
        eccodes.codes_set_values(handle, values_of(field, producer, spacing).ravel())
        eccodes.codes_set(handle, "packingType", producer.packing)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def _set_origin(handle, field, producer):
    """Date, member, and ECMWF's section 2 with class, stream and type."""
    eccodes.codes_set(handle, "dataDate", int(field.cycle.strftime("%Y%m%d")))
    eccodes.codes_set(handle, "dataTime", int(field.cycle.strftime("%H%M")))
    if field.member is not None:
        eccodes.codes_set(handle, "productDefinitionTemplateNumber", 1)
        eccodes.codes_set(handle, "number", field.member)
        eccodes.codes_set(handle, "numberOfForecastsInEnsemble", 51)
    if producer.centre == "ecmf":
        eccodes.codes_set(handle, "setLocalDefinition", 1)
        kind = "fc" if field.member is None else "pf"
        for key, text in (("class", "od"), ("stream", field.stream), ("type", kind), ("expver", "0001")):
            eccodes.codes_set(handle, key, text)


def _set_grid(handle, latitudes, longitudes, spacing):
    for key, value in {
        "Ni": longitudes.size,
        "Nj": latitudes.size,
        "latitudeOfFirstGridPointInDegrees": latitudes[0],
        "latitudeOfLastGridPointInDegrees": latitudes[-1],
        "longitudeOfFirstGridPointInDegrees": longitudes[0],
        "longitudeOfLastGridPointInDegrees": longitudes[-1],
        "iDirectionIncrementInDegrees": spacing,
        "jDirectionIncrementInDegrees": spacing,
    }.items():
        eccodes.codes_set(handle, key, value)
