"""Forcing has a value everywhere, and over the sea the file's own."""

import numpy as np

from forecast.grids import GaussianGrid
from ingest.forcing import fill_from_nearest

GRID = GaussianGrid(64, 32)


def test_nothing_missing_changes_nothing():
    field = np.random.default_rng(0).normal(size=GRID.shape)
    np.testing.assert_array_equal(fill_from_nearest(field, GRID), field)


def test_known_values_stay_and_the_rest_come_from_among_them():
    field = np.random.default_rng(0).normal(size=GRID.shape)
    holed = np.where(np.random.default_rng(1).random(GRID.shape) < 0.6, np.nan, field)
    filled = fill_from_nearest(holed, GRID)
    known = np.isfinite(holed)
    np.testing.assert_array_equal(filled[known], field[known])
    assert np.isin(filled[~known], field[known]).all()


def test_nearest_is_nearest_across_the_date_line_and_the_pole():
    holed = np.full(GRID.shape, np.nan)
    holed[-1, 16], holed[20, 16] = 1.0, 2.0
    assert fill_from_nearest(holed, GRID)[0, 16] == 1.0
    polar = np.full(GRID.shape, np.nan)
    polar[32, -1], polar[0, 20] = 3.0, 4.0
    assert fill_from_nearest(polar, GRID)[0, -1] == 3.0
