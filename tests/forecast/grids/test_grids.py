"""The grids have the coordinates that the rest of the house relies on, and a regional grid is refused."""

import numpy as np
import pytest

from forecast.grids import GaussianGrid, GridError, LatLonGrid, RegularGrid


def test_gaussian_latitudes_are_south_first_and_symmetric():
    grid = GaussianGrid(128, 64)
    assert grid.shape == (128, 64)
    assert np.all(np.diff(grid.latitudes) > 0)
    np.testing.assert_allclose(grid.latitudes, -grid.latitudes[::-1], atol=1e-12)
    assert grid.longitudes[0] == 0.0


@pytest.mark.parametrize("degree", [0, 1, 2, 7, 30, 63])
def test_gaussian_quadrature_is_exact_for_polynomials_of_degree_below_twice_the_count(degree):
    grid = GaussianGrid(64, 32)
    nodes = np.sin(np.deg2rad(grid.latitudes))
    exact = 0.0 if degree % 2 else 2.0 / (degree + 1)
    assert np.sum(grid.quadrature_weights * nodes**degree) == pytest.approx(exact, abs=1e-13)


def test_published_grid_starts_at_the_north_pole_and_greenwich():
    grid = LatLonGrid(1.5)
    assert grid.shape == (240, 121)
    assert (grid.latitudes[0], grid.latitudes[-1]) == (90.0, -90.0)
    assert (grid.longitudes[0], grid.longitudes[-1]) == (0.0, 358.5)


def test_spacing_that_does_not_divide_the_half_circle_is_refused():
    with pytest.raises(ValueError, match="divides 180"):
        LatLonGrid(0.7)


@pytest.mark.parametrize("first", [0.0, 180.0, -180.0])
@pytest.mark.parametrize("order", [1, -1])
def test_global_grids_of_files_are_accepted_in_any_order(first, order):
    grid = RegularGrid(first + np.arange(0, 360, 2.5), np.linspace(-90, 90, 73)[::order])
    assert grid.longitudes.size == 144


@pytest.mark.parametrize(
    "longitudes, latitudes",
    [
        (np.arange(0, 180, 2.5), np.linspace(-90, 90, 73)),
        (np.arange(0, 362.5, 2.5), np.linspace(-90, 90, 73)),
        (np.arange(0, 360, 2.5), np.linspace(-60, 60, 49)),
        (np.arange(0, 360, 2.5), np.linspace(0, 90, 37)),
        (np.full(144, np.nan), np.linspace(-90, 90, 73)),
        (np.arange(0, 360, 2.5), np.array([-90, 0, -45, 45, 90])),
    ],
    ids=["half the longitudes", "repeated meridian", "no poles", "one hemisphere", "NaN", "disordered"],
)
def test_what_does_not_cover_the_globe_once_is_refused(longitudes, latitudes):
    with pytest.raises(GridError, match="expected"):
        RegularGrid(longitudes, latitudes)


@pytest.mark.parametrize("grid", [GaussianGrid(32, 16), LatLonGrid(5.0)])
def test_nobody_can_change_the_coordinates_of_a_grid(grid):
    for axis in (grid.longitudes, grid.latitudes):
        with pytest.raises(ValueError, match="read-only"):
            axis[0] = 1.0
