"""Requests ask for what is wanted, no more, in parts of bounded size, in the words of the store."""

import json
from datetime import UTC, datetime

import pytest

from forecast.fields import PRESSURE_LEVELS
from ingest.errors import Incomplete
from ingest.feed import Item
from ingest.sources.cds_requests import ITEMS, requests_for

CYCLE = datetime(2020, 3, 1, 6, tzinfo=UTC)
LEVEL_NAMES = ("air_temperature", "eastward_wind", "geopotential", "specific_humidity")


def test_a_request_speaks_the_language_of_the_store():
    (request,) = requests_for(CYCLE, {Item("air_temperature", 500), Item("geopotential", 500)}, 80)
    assert request.dataset == "reanalysis-era5-pressure-levels"
    assert request.inputs == {
        "product_type": ["reanalysis"],
        "variable": ["temperature", "geopotential"],
        "pressure_level": ["500"],
        "year": ["2020"],
        "month": ["03"],
        "day": ["01"],
        "time": ["06:00"],
        "data_format": "grib",
        "download_format": "unarchived",
    }
    (surface,) = requests_for(CYCLE, {Item("sea_surface_temperature"), Item("sea_ice_area_fraction")}, 80)
    assert surface.dataset == "reanalysis-era5-single-levels"
    assert surface.inputs["variable"] == ["sea_ice_cover", "sea_surface_temperature"]
    assert "pressure_level" not in surface.inputs


@pytest.mark.parametrize("most", [1, 7, 37, 80, 10_000])
@pytest.mark.parametrize(
    "items",
    [
        ITEMS,
        {Item(name, level) for name in LEVEL_NAMES for level in PRESSURE_LEVELS},
        {
            Item("air_temperature", 500),
            Item("air_temperature", 850),
            Item("geopotential", 500),
            Item("land_area_fraction"),
        },
    ],
    ids=["all", "four", "ragged"],
)
def test_requests_cover_the_items_once_and_stay_small(items, most):
    requests = requests_for(CYCLE, items, most)
    asked = [item for request in requests for item in request.items]
    assert sorted(map(str, asked)) == sorted(map(str, items))
    assert max(len(request.items) for request in requests) <= most


def test_a_whole_start_takes_few_requests():
    items = {item for item in ITEMS if item.quantity != "relative_humidity"}
    assert [len(request.items) for request in requests_for(CYCLE, items, 80)] == [4, 74, 74, 74, 37]


def test_the_digest_is_that_of_the_request_alone():
    one, again, other = (
        requests_for(cycle, {Item("air_temperature", 500)}, 80)[0] for cycle in (CYCLE, CYCLE, CYCLE.replace(hour=12))
    )
    assert one.digest == again.digest != other.digest
    json.dumps(one.inputs)


def test_what_era5_lacks_is_told():
    with pytest.raises(Incomplete, match="cloud_mixing_ratio at 500 hPa"):
        requests_for(CYCLE, {Item("cloud_mixing_ratio", 500)}, 80)
