import numpy as np
import pytest

from forecast.dycore.spectral_grid import SpectralGrid


def test_quadrature_weights_sum_to_the_area_of_the_sphere(grid):
    assert grid.quadrature_weights.sum() * grid.longitude_count == pytest.approx(4 * np.pi, rel=1e-14)


def test_mask_counts_one_cosine_and_one_sine_per_wave(grid):
    expected = sum(grid.total_wavenumbers - m for m in range(22)) * 2 - grid.total_wavenumbers
    assert grid.mask.sum() == expected


def test_latitudes_run_from_south_to_north_and_longitudes_from_zero(grid):
    assert np.all(np.diff(grid.latitudes) > 0)
    assert grid.longitudes[0] == 0 and np.all(np.diff(grid.longitudes) > 0)
    np.testing.assert_allclose(grid.latitudes, -grid.latitudes[::-1], atol=1e-14)


def test_named_truncations_have_their_usual_grids():
    assert SpectralGrid.linear(63) == SpectralGrid(64, 65, 128, 64)
    assert SpectralGrid.quadratic(21) == SpectralGrid(21, 22, 64, 32)


@pytest.mark.parametrize(
    "numbers, message",
    [((0, 5, 64, 32), "zonal_wavenumbers"), ((6, 5, 64, 32), "got 6 and 5"), ((22, 23, 40, 32), "carry 22")],
)
def test_impossible_truncations_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        SpectralGrid(*numbers)
