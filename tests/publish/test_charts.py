"""Charts: what is drawn, that it is the same every time, and that a failing one does no harm."""

import itertools
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from forecast.grids import LatLonGrid
from publish import charts
from publish.charts import maps, plumes
from publish.charts.extremes import centres
from publish.charts.quantities import HEIGHT_500, SEA_LEVEL_PRESSURE, WIND_850, Missing
from publish.coastlines import coastlines
from publish.layout import Layout
from publish.manifest import Manifest
from publish.places import Place
from publish.product import ProductSettings
from publish.projection import equal_earth, polar
from publish.publisher import Publisher
from publish.stores import LocalStore
from tests.publish.frames import INIT_TIME, make_frame, make_run

GRID = LatLonGrid(2.5)
SETTINGS = ProductSettings(
    levels=(500, 850), formats=("netcdf",), chart_lead_hours=(6,), places=(Place("São Paulo", -23.55, -46.63),)
)
LAYOUT = Layout("sigmacast", INIT_TIME, 5.0)
MAPS = {"z500-mean-spread", "msl-mean-spread", "t850-mean", "tcwv-mean", "wind850-above-15", "t850-below-0"}
SPAGHETTI = {"z500-spaghetti-north", "z500-spaghetti-south"}


def published(store: LocalStore, settings: ProductSettings = SETTINGS) -> tuple[Manifest, Publisher]:
    publisher = Publisher(store, make_run(), settings, clock=lambda: INIT_TIME)
    for hours in (0, 6):
        publisher.publish(make_frame(hours))
    return publisher.close(), publisher


def names(manifest: Manifest) -> set[str]:
    keys = [each.key for each in manifest.objects if each.kind == charts.KIND]
    return {key.rpartition("/")[2].removeprefix("19590102000000-").removesuffix(".png") for key in keys}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStore, Manifest]:
    """A run with everything that charts need but the level of 250 hPa."""
    store = LocalStore(tmp_path_factory.mktemp("charts"))
    return store, published(store)[0]


def test_a_run_has_every_chart_that_its_fields_allow(run: tuple[LocalStore, Manifest]):
    store, manifest = run
    assert names(manifest) == MAPS | SPAGHETTI | {"plume-sao-paulo"}
    for each in manifest.objects:
        if each.kind == charts.KIND:
            height, width, _ = imread(store.path(each.key)).shape
            assert width > 1000 and height > 600
            assert each.members == (0, 1, 2, 3)


def test_the_same_run_gives_the_same_octets(run: tuple[LocalStore, Manifest], tmp_path: Path):
    again, _ = published(LocalStore(tmp_path))
    first = {each.key: each.sha256 for each in run[1].objects if each.kind == charts.KIND}
    assert {each.key: each.sha256 for each in again.objects if each.kind == charts.KIND} == first


def test_the_settings_of_the_user_change_nothing(run: tuple[LocalStore, Manifest], tmp_path: Path):
    one = next(each for each in run[1].objects if each.key.endswith("plume-sao-paulo.png"))
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 30}):
        drawn = charts.draw(
            run[0],
            run[1].objects,
            make_run(),
            replace(SETTINGS, chart_lead_hours=()),
            LAYOUT,
            tmp_path,
        )
    assert drawn.files[0].path.read_bytes() == run[0].get(one.key)


def test_a_chart_that_fails_is_told_and_the_run_published(store: LocalStore, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("no ink")

    monkeypatch.setattr("publish.charts.spaghetti.draw", broken)
    settings = replace(SETTINGS, places=())
    manifest, publisher = published(store, settings)
    assert names(manifest) == MAPS
    assert publisher.chart_failures == tuple(
        f"chart {name} was not drawn: ZeroDivisionError: no ink" for name in sorted(SPAGHETTI)
    )


def test_values_at_places_that_cannot_be_read_cost_the_plumes_alone(
    run: tuple[LocalStore, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(LocalStore, "get", lambda *_: b"{}")
    settings = replace(SETTINGS, chart_lead_hours=())
    drawn = charts.draw(run[0], run[1].objects, make_run(), settings, LAYOUT, tmp_path)
    assert drawn.files == []
    assert drawn.failures == ["chart plume was not drawn: KeyError: 'lead_hours'"]


def test_no_chart_is_begun_when_the_time_is_over(run: tuple[LocalStore, Manifest], tmp_path: Path):
    ticks = itertools.count(0, 100)
    drawn = charts.draw(
        run[0], run[1].objects, make_run(), SETTINGS, LAYOUT, tmp_path, clock=lambda: float(next(ticks))
    )
    assert len(drawn.files) == 2
    assert len(drawn.failures) == len(MAPS) + 2 and all("300 s for charts are over" in each for each in drawn.failures)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"chart_lead_hours": ()}, {"plume-sao-paulo"}),
        ({"places": (), "fields": ("air_temperature",)}, set()),
        ({"places": (), "fields": ("specific_humidity",)}, set()),
        ({"places": (), "fields": ("geopotential_height",), "formats": ("grib2",)}, {"z500-mean-spread"} | SPAGHETTI),
    ],
)
def test_what_is_not_published_is_not_drawn(change: dict, left: set[str], store: LocalStore):
    manifest, publisher = published(store, replace(SETTINGS, **change))
    assert names(manifest) == left
    assert publisher.chart_failures == ()


def test_both_formats_hold_the_fields_that_were_published(tmp_path: Path):
    found = {}
    for name in ("grib2", "netcdf"):
        store = LocalStore(tmp_path / name)
        settings = replace(SETTINGS, formats=(name,), places=(), chart_lead_hours=())
        manifest, _ = published(store, settings)
        with charts.FieldReader(store, manifest.objects, INIT_TIME, LatLonGrid(5.0)) as reader:
            panel = reader.at(6)
            assert panel.valid_time == INIT_TIME + timedelta(hours=6)
            found[name] = [each.of(panel) for each in (HEIGHT_500, WIND_850, SEA_LEVEL_PRESSURE)]
            with pytest.raises(Missing):
                panel.values("air_temperature", 250)
    for grib, netcdf in zip(found["grib2"], found["netcdf"], strict=True):
        assert grib.shape == (4, 37, 72)
        np.testing.assert_allclose(grib, netcdf, atol=0.02)


def document(lead: int, members: list[int], values: list[list[float]]) -> bytes:
    moment = INIT_TIME + timedelta(hours=lead)
    places = [{"name": "A", "latitude": 1.0, "longitude": 2.0}]
    fields = [{"name": "air_temperature", "level": 850, "interval": None, "values": values}]
    told = {"valid_time": moment.isoformat(), "lead_hours": lead, "members": members, "places": places}
    return json.dumps(told | {"fields": fields}).encode()


def test_a_series_is_in_the_order_of_time_and_a_lost_member_has_no_values():
    one = plumes.series([document(12, [0, 2], [[5.0, 7.0]]), document(6, [0, 1, 2], [[1.0, 2.0, 3.0]])])[0]
    assert one.members == (0, 1, 2)
    np.testing.assert_array_equal(one.values("air_temperature", 850), [[1.0, 2.0, 3.0], [5.0, np.nan, 7.0]])
    assert [each - INIT_TIME for each in one.times] == [timedelta(hours=6), timedelta(hours=12)]
    with pytest.raises(Missing, match="air_temperature at 500 hPa"):
        one.values("air_temperature", 500)


def test_chances_are_shares_of_members():
    values = np.array([[1.0], [2.0], [3.0], [4.0]])
    assert maps.chance_above(2.0)(values) == 50.0
    assert maps.chance_below(2.0)(values) == 25.0


def test_an_ensemble_without_spread_has_classes():
    assert maps.class_bounds([np.zeros((4, 4))])[-1] > 0


@pytest.mark.parametrize(("largest", "last"), [(0.0, 0.01), (37.0, 50.0), (95.0, 100.0), (101.0, 200.0)])
def test_classes_of_spread_are_round_and_hold_nearly_everything(largest: float, last: float):
    bounds = maps.class_bounds([np.full((4, 4), largest)])
    assert bounds[0] == 0.0
    assert bounds[-1] == pytest.approx(last)
    np.testing.assert_allclose(np.diff(bounds), bounds[1])


def test_highs_and_lows_are_found_where_they_are_also_across_greenwich():
    longitude, latitude = np.meshgrid(GRID.longitudes, GRID.latitudes)
    east = (longitude + 180) % 360 - 180
    low = -30 * np.exp(-((east / 12) ** 2) - ((latitude - 50) / 8) ** 2)
    high = 20 * np.exp(-(((longitude - 200) / 15) ** 2) - ((latitude + 35) / 8) ** 2)
    found = {(each.high, each.longitude, each.latitude): each.value for each in centres(GRID, 1012 + low + high)}
    assert found == {(False, 0.0, 50.0): pytest.approx(982.0), (True, -160.0, -35.0): pytest.approx(1032.0)}


def test_a_flat_field_has_no_centres():
    assert centres(GRID, np.full((73, 144), 1013.0)) == []


def test_coastlines_are_of_the_whole_world_and_never_cross_the_map():
    lines = coastlines()
    points = np.concatenate(lines)
    assert len(points) > 4000
    assert points.min(axis=0) == pytest.approx([-180, -85], abs=1)
    assert points.max(axis=0) == pytest.approx([180, 83.6], abs=1)
    assert max(np.abs(np.diff(line[:, 0])).max() for line in lines) < 30


@pytest.mark.parametrize(
    ("project", "south", "north"),
    [
        (equal_earth, -89.75, 89.75),
        (lambda x, y: polar(x, y, 90.0), 20, 89),
        (lambda x, y: polar(x, y, -90.0), -89, -20),
    ],
)
def test_the_projections_keep_areas(project, south: float, north: float):
    longitude, latitude = np.meshgrid(np.linspace(-180, 180, 721), np.linspace(south, north, 719))
    x, y = project(longitude, latitude)
    step = np.deg2rad(longitude[0, 1] - longitude[0, 0]), np.deg2rad(latitude[1, 0] - latitude[0, 0])
    (x_north, x_east), (y_north, y_east) = np.gradient(x), np.gradient(y)
    area = (x_east * y_north - x_north * y_east) / (step[0] * step[1] * np.cos(np.deg2rad(latitude)))
    np.testing.assert_allclose(area[2:-2, 2:-2], 1.0, rtol=2e-3)
