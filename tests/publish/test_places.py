"""Named places, and members' values there."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecast.grids import LatLonGrid
from publish.places import DEFAULT_PLACES, Place
from publish.product import ProductError, ProductSettings, slabs
from publish.stores import LocalStore
from publish.writers.places import at_places
from tests.publish.conftest import encode_frame
from tests.publish.frames import LEVELS, make_frame

GRID = LatLonGrid(5.0)


def test_values_at_grid_points_are_those_of_the_grid_and_between_them_linear():
    longitude, latitude = np.meshgrid(GRID.longitudes, GRID.latitudes)
    field = (3 * latitude + np.where(longitude > 180, longitude - 360, longitude)).astype(np.float32)
    places = (Place("a", 50.0, 10.0), Place("b", 52.5, -1.25), Place("c", -90.0, 0.0), Place("d", 90.0, 0.0))
    np.testing.assert_allclose(at_places(field, GRID, places), [160.0, 156.25, -270.0, 270.0], rtol=1e-6)


def test_the_last_longitude_is_joined_to_the_first():
    field = np.zeros((37, 72), np.float32)
    field[:, 0] = 1.0
    places = (Place("west", 0.0, -1.0), Place("same", 0.0, 359.0), Place("east", 0.0, 4.0))
    np.testing.assert_allclose(at_places(field, GRID, places), [0.8, 0.8, 0.2], rtol=1e-6)


def test_the_file_of_a_lead_time_holds_every_field_level_member_and_place(tmp_path: Path):
    settings = ProductSettings(levels=LEVELS, formats=("netcdf",), chart_lead_hours=())
    frame = make_frame(6)
    file = encode_frame(frame, settings, tmp_path / "out")[".json", "places"]
    document = json.loads(file.path.read_text())
    assert (document["lead_hours"], document["members"]) == (6, [0, 1, 2, 3])
    assert document["valid_time"] == "1959-01-02T06:00:00Z"
    assert [place["name"] for place in document["places"]] == [place.name for place in DEFAULT_PLACES]
    expected = {(slab.field.name, slab.level): slab.values for slab in slabs(frame, settings)}
    found = {(one["name"], one["level"]): np.asarray(one["values"]) for one in document["fields"]}
    assert set(found) == set(expected)
    for key, values in found.items():
        assert values.shape == (len(DEFAULT_PLACES), 4)
        np.testing.assert_allclose(values, at_places(expected[key], GRID, DEFAULT_PLACES), rtol=1e-5)


def test_no_places_no_file(store: LocalStore, tmp_path: Path):
    settings = replace(ProductSettings(levels=LEVELS, formats=("netcdf",)), places=())
    assert (".json", "places") not in encode_frame(make_frame(6), settings, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "slug"), [("São Paulo", "sao-paulo"), ("Zürich HB", "zurich-hb"), ("St. John's", "st-john-s")]
)
def test_a_place_has_a_plain_name_for_keys(name: str, slug: str):
    assert Place(name, 0.0, 0.0).slug == slug


@pytest.mark.parametrize(
    "wrong", [("!?", 0.0, 0.0), ("North", 90.5, 0.0), ("East", 0.0, 360.0), ("Nan", float("nan"), 0.0)]
)
def test_an_impossible_place_is_refused(wrong: tuple[str, float, float]):
    with pytest.raises(ValueError):
        Place(*wrong)


def test_two_places_of_one_name_are_refused():
    with pytest.raises(ProductError, match="distinct names, got more than one sao-paulo"):
        ProductSettings(places=(Place("São Paulo", 0.0, 0.0), Place("Sao Paulo", 1.0, 0.0)))


def test_positions_are_told_as_people_do():
    assert Place("a", 51.51, 359.87).position == "51.5°N 0.1°W"
    assert Place("b", -33.87, 151.21).position == "33.9°S 151.2°E"
