"""Charts, coastlines and the map projection."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from forecast.grids import LatLonGrid
from publish.coastlines import coastlines
from publish.plots import EnsembleMap, mean_and_spread, spread_bounds
from publish.projection import equal_earth

GRID = LatLonGrid(5.0)
INIT_TIME = datetime(1959, 1, 2, tzinfo=UTC)


def make_map(lead_hours: int, spread: float) -> EnsembleMap:
    longitude, latitude = np.meshgrid(np.deg2rad(GRID.longitudes), np.deg2rad(GRID.latitudes))
    mean = 5500 + 300 * np.cos(2 * latitude) + 80 * np.cos(latitude) ** 2 * np.sin(3 * longitude)
    valid = INIT_TIME + timedelta(hours=lead_hours)
    values = (mean.astype(np.float32), (spread * np.sin(latitude) ** 2).astype(np.float32))
    return EnsembleMap(lead_hours, valid, GRID.latitudes, GRID.longitudes, *values, 4)


@pytest.mark.parametrize("panels", [1, 2])
def test_a_chart_is_a_png_with_one_panel_per_lead_time(panels: int, tmp_path: Path):
    path = tmp_path / "chart.png"
    mean_and_spread([make_map(120, 40.0), make_map(240, 90.0)][:panels], "model", INIT_TIME, path)
    height, width, _ = imread(path).shape
    assert width == 1320
    assert height == pytest.approx(120 * (1.8 + 5.65 * panels), abs=1)


def test_the_same_maps_give_the_same_octets(tmp_path: Path):
    for name in ("a.png", "b.png"):
        mean_and_spread([make_map(120, 40.0)], "model", INIT_TIME, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_an_ensemble_without_spread_can_be_drawn(tmp_path: Path):
    mean_and_spread([make_map(0, 0.0)], "model", INIT_TIME, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 10_000


@pytest.mark.parametrize(("largest", "last"), [(0.0, 0.01), (37.0, 50.0), (95.0, 100.0), (101.0, 200.0)])
def test_classes_of_spread_are_round_and_hold_nearly_everything(largest: float, last: float):
    bounds = spread_bounds([np.full((4, 4), largest, np.float32)])
    assert bounds[0] == 0.0
    assert bounds[-1] == pytest.approx(last)
    np.testing.assert_allclose(np.diff(bounds), bounds[1])


def test_coastlines_are_of_the_whole_world_and_never_cross_the_map():
    lines = coastlines()
    points = np.concatenate(lines)
    assert len(points) > 4000
    assert points.min(axis=0) == pytest.approx([-180, -85], abs=1)
    assert points.max(axis=0) == pytest.approx([180, 83.6], abs=1)
    assert max(np.abs(np.diff(line[:, 0])).max() for line in lines) < 30


def test_the_projection_keeps_areas():
    longitude, latitude = np.meshgrid(np.linspace(-180, 180, 721), np.linspace(-89.75, 89.75, 719))
    x, y = equal_earth(longitude, latitude)
    step = np.deg2rad(longitude[0, 1] - longitude[0, 0]), np.deg2rad(latitude[1, 0] - latitude[0, 0])
    (x_north, x_east), (y_north, y_east) = np.gradient(x), np.gradient(y)
    area = (x_east * y_north - x_north * y_east) / (step[0] * step[1] * np.cos(np.deg2rad(latitude)))
    np.testing.assert_allclose(area[2:-2, 2:-2], 1.0, rtol=2e-3)
