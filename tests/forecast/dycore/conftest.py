"""A T21 grid and eight layers, with each program compiled once."""

import pytest

from forecast.dycore import idealised
from forecast.dycore.filters import step_filter
from forecast.dycore.primitive_equations import PrimitiveEquations
from forecast.dycore.scales import Scales
from forecast.dycore.sigma import SigmaLayers
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from tests.forecast.dycore.support import Integrator, mountain


@pytest.fixture(scope="session")
def grid() -> SpectralGrid:
    return SpectralGrid(22, 23, 64, 32)


@pytest.fixture(scope="session")
def harmonics(grid: SpectralGrid) -> SphericalHarmonics:
    return SphericalHarmonics(grid)


@pytest.fixture(scope="session")
def layers() -> SigmaLayers:
    return SigmaLayers.equidistant(8)


@pytest.fixture(scope="session")
def scales() -> Scales:
    return Scales()


@pytest.fixture(scope="session")
def over_mountain(harmonics, layers, scales) -> PrimitiveEquations:
    """The primitive equations over a mountain, with an isothermal reference."""
    return idealised.resting_atmosphere(harmonics, layers, scales, surface_height=mountain(harmonics.grid))[0]


@pytest.fixture(scope="session")
def integrate_over_mountain(over_mountain) -> Integrator:
    return Integrator(over_mountain, minutes=20)


@pytest.fixture(scope="session")
def jets(harmonics, layers, scales) -> PrimitiveEquations:
    """The primitive equations over the ground of the baroclinic wave."""
    return idealised.baroclinic_wave(harmonics, layers, scales)[0]


@pytest.fixture(scope="session")
def integrate_jets(jets, grid) -> Integrator:
    return Integrator(jets, minutes=20, filter_factor=step_filter(grid.l, time_step=20, timescale=240, order=6))
