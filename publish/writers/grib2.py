"""GRIB edition 2 through ecCodes: one file per lead time for control, members, mean and spread.

Keys follow WMO-No. 306, volume I.2. Control and members use product definition template 4.1, mean and
spread template 4.2. The file of the members begins with the control, which ECMWF's client looks for there, and
the control has a file of its own besides. Both are forecast products (code table 1.4): as control and perturbed
forecast products, cfgrib would not take them as one cube. Mean and spread have files of their own because
readers that build one data cube per file tell them apart by no key of the cube: in one file one would hide
the other. Every message is decoded from its final octets and compared, keys and values, before it is written.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import IO

import eccodes
import numpy as np
from numpy.typing import NDArray

from forecast.fields import Field
from publish.product import ProductSettings, Slab, describe
from publish.quantities import ACCUMULATED, LAYERS
from publish.statistics import Statistics
from publish.writers.base import CONTROL, EncodedFile, FrameHeader, WriterError

MEDIA_TYPE = "application/wmo-GRIB2"

_TABLES_VERSION = 32
_EARTH_SPHERE_6371229_M = 6
_ENSEMBLE_FORECAST = 4
_CCSDS = "grid_ccsds"

_SECTIONS_1_AND_3 = slice(16, 109)
"""Octets after the indicator section: 21 of identification, no local section, 72 of a latitude-longitude grid."""

_ISOBARIC = 100
_SURFACES = {
    "surface_air_pressure": (1, 255, "surface"),
    "air_pressure_at_mean_sea_level": (101, 255, "meanSea"),
    "atmosphere_mass_content_of_water_vapor": (1, 8, "entireAtmosphere"),
    "atmosphere_mass_content_of_water": (1, 8, "entireAtmosphere"),
    "precipitation_minus_evaporation": (1, 255, "surface"),
}
"""First and second fixed surface (code table 4.5) of single-level fields, and ecCodes' name for the pair."""


@dataclass(frozen=True)
class _Kind:
    """One sort of message: the file it goes to and the keys that tell it apart."""

    name: str
    stream: str
    file_type: str
    data_type: str
    keys: tuple[tuple[str, int], ...]


_CONTROL_KIND = _Kind(
    "control",
    "oper",
    "fc",
    "fc",
    (("productDefinitionTemplateNumber", 1), ("typeOfProcessedData", 1), ("typeOfEnsembleForecast", 1)),
)
_MEMBER_KIND = _Kind(
    "members",
    "enfo",
    "ef",
    "fc",
    (("productDefinitionTemplateNumber", 1), ("typeOfProcessedData", 1), ("typeOfEnsembleForecast", 3)),
)
_MEAN_KIND = _Kind(
    "mean",
    "enfo",
    "em",
    "cp",
    (("productDefinitionTemplateNumber", 2), ("typeOfProcessedData", 5), ("derivedForecast", 0)),
)
_SPREAD_KIND = _Kind(
    "spread",
    "enfo",
    "es",
    "cp",
    (("productDefinitionTemplateNumber", 2), ("typeOfProcessedData", 5), ("derivedForecast", 4)),
)


class Grib2Writer:
    """Writes one lead time as GRIB2."""

    def __init__(self, header: FrameHeader, settings: ProductSettings, directory: Path) -> None:
        self._header = header
        self._settings = settings
        self._files: dict[str, tuple[_Kind, Path, IO[bytes]]] = {}
        for kind in _kinds(header):
            path = directory / Path(self._key(kind)).name
            self._files[kind.name] = (kind, path, path.open("wb"))
        self._templates = {kind.name: _template(header, settings, kind) for kind in _kinds(header)}
        self._prepared: dict[str, Slab] = {}
        self._identity: dict[str, bytes] = {}

    def write(self, slab: Slab, statistics: Statistics | None) -> None:
        """Encode, verify and append the messages of one field on one level."""
        if slab.window is not None or slab.field.name in ACCUMULATED:
            return
        for member, values in zip(slab.members, slab.values, strict=True):
            self._append("control" if member == CONTROL else "members", slab, values, number=member)
        for statistic, values in statistics.maps.items() if statistics else ():
            if statistic.name in ("mean", "spread"):
                self._append(statistic.name, slab, values)

    def close(self) -> list[EncodedFile]:
        """Finish the files."""
        self.abort()
        header = self._header
        return [
            EncodedFile(
                self._key(kind), path, kind.name, MEDIA_TYPE, (CONTROL,) if kind is _CONTROL_KIND else header.members
            )
            for kind, path, _ in self._files.values()
        ]

    def abort(self) -> None:
        """Close the files and release the templates."""
        for _, _, file in self._files.values():
            file.close()
        for template in self._templates.values():
            eccodes.codes_release(template)
        self._templates = {}

    def _key(self, kind: _Kind) -> str:
        return self._header.layout.fields(self._header.lead_hours, kind.stream, kind.file_type, "grib2")

    def _append(self, kind_name: str, slab: Slab, values: NDArray[np.float32], number: int | None = None) -> None:
        kind, _, file = self._files[kind_name]
        handle = self._templates[kind_name]
        if self._prepared.get(kind_name) is not slab:
            _set_parameter(handle, slab)
            self._prepared[kind_name] = slab
        message = _encode(handle, self._settings.bits_per_value, values, number)
        _verify(message, self._expected(message, kind, slab, number), values, describe(slab))
        file.write(message)
        if kind is _CONTROL_KIND and _MEMBER_KIND.name in self._files:
            self._files[_MEMBER_KIND.name][2].write(message)

    def _expected(self, message: bytes, kind: _Kind, slab: Slab, number: int | None) -> dict[str, int | float | str]:
        """Keys that a reader must find in the message.

        Identification and grid (sections 1 and 3) are the same octets in every message of a file: their
        keys are read from the first, and left out for a message with the same octets.
        """
        expected = _product_expectation(self._header, kind, slab, number)
        identity = message[_SECTIONS_1_AND_3]
        if self._identity.get(kind.name) == identity:
            return expected
        self._identity[kind.name] = identity
        return expected | _file_expectation(self._header, self._settings)


def read_field(path: Path, field: Field, level: int | None) -> NDArray[np.float32]:
    """Values [latitude, longitude] of the first message of a field on a level.

    Raises WriterError when the file holds none.
    """
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            try:
                found = eccodes.codes_get_string(handle, "shortName"), eccodes.codes_get_long(handle, "level")
                if found == (field.short_name, level or 0):
                    rows = eccodes.codes_get_long(handle, "Nj")
                    return eccodes.codes_get_values(handle).reshape(rows, -1).astype(np.float32)
            finally:
                eccodes.codes_release(handle)
    raise WriterError(f"expected {field.short_name} at {level} hPa in {path.name}, found no such message")


def _kinds(header: FrameHeader) -> list[_Kind]:
    kinds = [_CONTROL_KIND] if CONTROL in header.members else []
    kinds += [_MEMBER_KIND] if header.perturbed else []
    return kinds + ([_MEAN_KIND, _SPREAD_KIND] if header.has_statistics else [])


def _template(header: FrameHeader, settings: ProductSettings, kind: _Kind) -> int:
    """Handle of a message with every key set that does not change within the file."""
    handle = eccodes.codes_grib_new_from_samples("GRIB2")
    keys = _identification_keys(header, settings) | _grid_keys(header) | dict(kind.keys) | _product_keys(settings)
    keys["forecastTime"] = header.lead_hours
    keys["numberOfForecastsInEnsemble"] = len(header.members) if "derivedForecast" in keys else header.ensemble_size
    for name, value in keys.items():
        eccodes.codes_set(handle, name, value)
    for name in ("hoursAfterDataCutoff", "minutesAfterDataCutoff"):
        eccodes.codes_set_missing(handle, name)
    eccodes.codes_set(handle, "packingType", _CCSDS)
    return handle


def _identification_keys(header: FrameHeader, settings: ProductSettings) -> dict[str, int]:
    return {
        "tablesVersion": _TABLES_VERSION,
        "centre": settings.centre,
        "subCentre": settings.subcentre,
        "productionStatusOfProcessedData": settings.production_status,
        "significanceOfReferenceTime": 1,
        "dataDate": int(f"{header.init_time:%Y%m%d}"),
        "dataTime": int(f"{header.init_time:%H%M}"),
    }


def _grid_keys(header: FrameHeader) -> dict[str, int | float]:
    longitudes, latitudes = header.grid.longitudes, header.grid.latitudes
    return {
        "shapeOfTheEarth": _EARTH_SPHERE_6371229_M,
        "Ni": longitudes.size,
        "Nj": latitudes.size,
        "latitudeOfFirstGridPointInDegrees": float(latitudes[0]),
        "longitudeOfFirstGridPointInDegrees": float(longitudes[0]),
        "latitudeOfLastGridPointInDegrees": float(latitudes[-1]),
        "longitudeOfLastGridPointInDegrees": float(longitudes[-1]),
        "iDirectionIncrementInDegrees": header.grid.spacing_degrees,
        "jDirectionIncrementInDegrees": header.grid.spacing_degrees,
        "resolutionAndComponentFlags": 48,
        "scanningMode": 0,
    }


def _product_keys(settings: ProductSettings) -> dict[str, int]:
    return {
        "typeOfGeneratingProcess": _ENSEMBLE_FORECAST,
        "backgroundProcess": 255,
        "generatingProcessIdentifier": settings.generating_process,
        "indicatorOfUnitForForecastTime": 1,
    }


def _set_parameter(handle: int, slab: Slab) -> None:
    """Make the message one of this field and level."""
    for name, value in _parameter_keys(slab).items():
        eccodes.codes_set(handle, name, value)
    if slab.field.name in _SURFACES:
        eccodes.codes_set_missing(handle, "scaleFactorOfFirstFixedSurface")
        eccodes.codes_set_missing(handle, "scaledValueOfFirstFixedSurface")
    if slab.field.name not in LAYERS:
        eccodes.codes_set_missing(handle, "scaleFactorOfSecondFixedSurface")
        eccodes.codes_set_missing(handle, "scaledValueOfSecondFixedSurface")


def _encode(handle: int, bits_per_value: int, values: NDArray[np.float32], number: int | None) -> bytes:
    """Octets of one message; the handle can be used again for the next.

    A constant field leaves the handle at zero bits per value, so that is set for every message.
    """
    if number is not None:
        eccodes.codes_set(handle, "perturbationNumber", number)
    eccodes.codes_set(handle, "bitsPerValue", bits_per_value)
    eccodes.codes_set_values(handle, values.ravel().astype(np.float64))
    return eccodes.codes_get_message(handle)


def _parameter_keys(slab: Slab) -> dict[str, int]:
    grib = slab.field.grib
    keys = {"discipline": grib.discipline, "parameterCategory": grib.category, "parameterNumber": grib.number}
    if slab.field.name in LAYERS:
        lower, upper = LAYERS[slab.field.name]
        keys |= {"typeOfFirstFixedSurface": _ISOBARIC, "scaleFactorOfFirstFixedSurface": 0}
        keys |= {"scaledValueOfFirstFixedSurface": upper * 100, "typeOfSecondFixedSurface": _ISOBARIC}
        keys |= {"scaleFactorOfSecondFixedSurface": 0, "scaledValueOfSecondFixedSurface": lower * 100}
    elif slab.level is None:
        first, second, _ = _SURFACES[slab.field.name]
        keys |= {"typeOfFirstFixedSurface": first, "typeOfSecondFixedSurface": second}
    else:
        keys |= {"typeOfFirstFixedSurface": _ISOBARIC, "scaleFactorOfFirstFixedSurface": 0}
        keys |= {"scaledValueOfFirstFixedSurface": slab.level * 100, "typeOfSecondFixedSurface": 255}
    return keys


def _file_expectation(header: FrameHeader, settings: ProductSettings) -> dict[str, int | float | str]:
    """What a reader must find in every message of a file, by the names that readers use."""
    return {
        **_identification_keys(header, settings),
        **_grid_keys(header),
        "edition": 2,
        "gridType": "regular_ll",
        "validityDate": int(f"{header.valid_time:%Y%m%d}"),
        "validityTime": int(f"{header.valid_time:%H%M}"),
    }


def _product_expectation(
    header: FrameHeader, kind: _Kind, slab: Slab, number: int | None
) -> dict[str, int | float | str]:
    """What a reader must find in the message of this field, level and member."""
    expected: dict[str, int | float | str] = {
        **dict(kind.keys),
        **_reader_keys(slab),
        "dataType": kind.data_type,
        "endStep": header.lead_hours,
        "isMessageValid": 1,
    }
    return expected if number is None else expected | {"number": number}


def _reader_keys(slab: Slab) -> dict[str, int | float | str]:
    """Field and level by the names that readers use."""
    if slab.field.name in LAYERS:
        lower, upper = LAYERS[slab.field.name]
        return {"shortName": "thick", "typeOfLevel": "isobaricLayer", "topLevel": upper, "bottomLevel": lower}
    kind = "isobaricInhPa" if slab.level is not None else _SURFACES[slab.field.name][2]
    return {"shortName": slab.field.short_name, "typeOfLevel": kind, "level": slab.level or 0}


def _verify(message: bytes, expected: dict[str, int | float | str], values: NDArray[np.float32], name: str) -> None:
    """Decode the octets and compare: keys exactly, values to the precision of the packing.

    Raises WriterError on the first difference.
    """
    handle = eccodes.codes_new_from_message(message)
    try:
        for key, value in expected.items():
            found = eccodes.codes_get(handle, key, ktype=type(value))
            if found != value:
                raise WriterError(f"GRIB message of {name}: expected {key} = {value!r} when read back, got {found!r}")
        decoded = eccodes.codes_get_values(handle).reshape(values.shape)
        bits = eccodes.codes_get_long(handle, "bitsPerValue")
    finally:
        eccodes.codes_release(handle)
    error, limit = float(np.abs(decoded - values).max()), packing_tolerance(values, bits)
    if not error <= limit:
        raise WriterError(f"GRIB message of {name}: values read back differ by {error:.3g}, more than {limit:.3g}")


def packing_tolerance(values: NDArray[np.float32], bits: int) -> float:
    """Greatest admitted difference of a packed value.

    The packing step is a power of two (WMO-No. 306, regulation 92.9.4), at most twice the range over
    the number of steps; values are rounded to the nearest step, so half of that; and the reference
    value is rounded to float32.
    """
    span = float(values.max()) - float(values.min())
    step = span / max(2**bits - 1, 1) if bits else 0.0
    return step + 2.0**-23 * float(np.abs(values).max())
