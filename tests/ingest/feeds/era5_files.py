"""What the Climate Data Store answers to a request for ERA5, made with ecCodes: GRIB 1 with the keys of ECMWF."""

import io
import zipfile
from datetime import UTC, datetime, timedelta

import eccodes

from ingest.download import Transfer
from ingest.feed import Item
from ingest.sources.cds import Cds
from tests.ingest import examples

SHORT_NAMES = {
    "geopotential": "z",
    "temperature": "t",
    "u_component_of_wind": "u",
    "v_component_of_wind": "v",
    "specific_humidity": "q",
    "specific_cloud_liquid_water_content": "clwc",
    "specific_cloud_ice_water_content": "ciwc",
    "sea_surface_temperature": "sst",
    "skin_temperature": "skt",
    "sea_ice_cover": "ci",
    "land_sea_mask": "lsm",
}
ONE = frozenset({Item("air_temperature", 500)})
FEW = ONE | {Item("geopotential", 500), Item("sea_surface_temperature")}


def era5_feed(inputs, clock, **options):
    """The feed, a month after the cycle of the example."""
    transfer = Transfer(2, block_timeout=0.5, first_wait=0.01)
    options = {"now": lambda: examples.CYCLE + timedelta(days=30), "deadline": clock.deadline} | options
    return Cds(inputs, transfer=transfer, **options)


def journal(inputs):
    """The files that remember requests."""
    return sorted((inputs.directory / "era5-jobs").glob("*"))


def grib(dataset, request, expver="0005"):
    """The fields asked for, of `tests.ingest.examples.state`."""
    state = _state()
    levels = [int(level) for level in request.get("pressure_level", [])] or [0]
    return b"".join(
        message(name, level, state[name, level], time_of(request), expver)
        for name in (SHORT_NAMES[variable] for variable in request["variable"])
        for level in levels
    )


def time_of(request):
    """The one time of a request."""
    ((year,), (month,), (day,), (time,)) = (request[key] for key in ("year", "month", "day", "time"))
    return datetime(int(year), int(month), int(day), int(time[:2]), tzinfo=UTC)


def zipped(*members):
    """An archive of (name, content)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def message(short_name, level, values, cycle, expver="0005"):
    """One message of ERA5."""
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_{'pl' if level else 'sfc'}_grib1")
    try:
        examples._set_grid(handle, examples.Example())
        for key, value in {
            "class": "ea",
            "type": "an",
            "stream": "oper",
            "expver": expver,
            "dataDate": int(f"{cycle:%Y%m%d}"),
            "dataTime": int(f"{cycle:%H%M}"),
            "shortName": short_name,
            "level": level,
            "bitsPerValue": 16,
        }.items():
            eccodes.codes_set(handle, key, value)
        examples.set_values(handle, values)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def _state():
    if not _MADE:
        _MADE.update(examples.state())
    return _MADE


_MADE: dict = {}
