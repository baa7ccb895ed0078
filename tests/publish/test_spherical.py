"""Vorticity and divergence against winds whose derivatives are known."""

import numpy as np
import pytest

from forecast.constants import EARTH_RADIUS
from forecast.grids import GaussianGrid
from publish.spherical import wind_derivatives

GRIDS = [(32, 16), (128, 64), (256, 128)]
ROUNDING = 1e-6
"""Relative to the largest value: results are float32."""


def coordinates(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [rad] of a Gaussian grid, each [longitude, latitude]."""
    grid = GaussianGrid(*shape)
    return tuple(np.meshgrid(np.deg2rad(grid.longitudes), np.deg2rad(grid.latitudes), indexing="ij"))


def require_close(found: np.ndarray, expected: np.ndarray, scale: float) -> None:
    assert np.abs(found - expected).max() <= ROUNDING * scale


@pytest.mark.parametrize("shape", GRIDS)
def test_solid_body_rotation_about_the_axis_has_twice_its_rate_of_vorticity_at_the_poles(shape):
    _, latitude = coordinates(shape)
    rate = 1e-5
    wind = rate * EARTH_RADIUS * np.cos(latitude)
    found = wind_derivatives(*shape)
    require_close(found.vorticity(wind, np.zeros_like(wind)), 2 * rate * np.sin(latitude), 2 * rate)
    require_close(found.divergence(wind, np.zeros_like(wind)), np.zeros_like(wind), 2 * rate)


@pytest.mark.parametrize("shape", GRIDS)
@pytest.mark.parametrize("tilt", [30.0, 90.0])
def test_solid_body_rotation_over_the_poles_is_as_smooth_there_as_elsewhere(shape, tilt: float):
    longitude, latitude = coordinates(shape)
    rate, alpha = 1e-5, np.deg2rad(tilt)
    size = rate * EARTH_RADIUS
    eastward = size * (np.cos(latitude) * np.cos(alpha) + np.sin(latitude) * np.cos(longitude) * np.sin(alpha))
    northward = -size * np.sin(longitude) * np.sin(alpha)
    expected = 2 * rate * (np.sin(latitude) * np.cos(alpha) - np.cos(latitude) * np.cos(longitude) * np.sin(alpha))
    found = wind_derivatives(*shape)
    require_close(found.vorticity(eastward, northward), expected, 2 * rate)
    require_close(found.divergence(eastward, northward), np.zeros_like(expected), 2 * rate)


@pytest.mark.parametrize("shape", GRIDS)
def test_a_rossby_haurwitz_wave_has_the_vorticity_of_its_stream_function(shape):
    """Williamson et al. 1992, J. Comput. Phys. 102, case 6: equations 96, 143, 144."""
    longitude, latitude = coordinates(shape)
    cosine, sine, waves, omega, strength = np.cos(latitude), np.sin(latitude), 4, 7.848e-6, 7.848e-6
    eastward = EARTH_RADIUS * omega * cosine
    wave = EARTH_RADIUS * strength * cosine ** (waves - 1)
    eastward += wave * (waves * sine**2 - cosine**2) * np.cos(waves * longitude)
    northward = -wave * waves * sine * np.sin(waves * longitude)
    expected = 2 * omega * sine
    expected -= strength * sine * cosine**waves * (waves**2 + 3 * waves + 2) * np.cos(waves * longitude)
    found = wind_derivatives(*shape)
    require_close(found.vorticity(eastward, northward), expected, np.abs(expected).max())
    require_close(found.divergence(eastward, northward), np.zeros_like(expected), np.abs(expected).max())


@pytest.mark.parametrize("shape", GRIDS)
def test_the_gradient_of_a_spherical_harmonic_diverges_by_its_eigenvalue(shape):
    """Of potential sin(latitude) cos²(latitude) cos(2 longitude), degree 3: -12 over the radius squared."""
    longitude, latitude = coordinates(shape)
    cosine, sine = np.cos(latitude), np.sin(latitude)
    potential = sine * cosine**2 * np.cos(2 * longitude)
    eastward = -2 * sine * cosine * np.sin(2 * longitude) / EARTH_RADIUS
    northward = (cosine**3 - 2 * sine**2 * cosine) * np.cos(2 * longitude) / EARTH_RADIUS
    expected = -12 * potential / EARTH_RADIUS**2
    found = wind_derivatives(*shape)
    require_close(found.divergence(eastward, northward), expected, np.abs(expected).max())
    require_close(found.vorticity(eastward, northward), np.zeros_like(expected), np.abs(expected).max())


def test_leading_dimensions_are_kept_and_fields_do_not_mix():
    winds = np.random.default_rng(0).normal(0, 10, (2, 3, 2, 32, 16)).astype(np.float32)
    derivatives = wind_derivatives(32, 16)
    together = derivatives.vorticity(winds[0], winds[1])
    assert (together.shape, together.dtype) == ((3, 2, 32, 16), np.float32)
    alone = derivatives.vorticity(winds[0, 2, 1], winds[1, 2, 1])
    np.testing.assert_allclose(together[2, 1], alone, rtol=0, atol=1e-6 * np.abs(alone).max())
