import numpy as np
import pytest

from forecast import constants
from forecast.dycore.scales import Scales

UNITS = [
    "K",
    "m",
    "km",
    "m s-1",
    "m2 s-2",
    "Pa",
    "kg m-2 s-1",
    "J kg-1 K-1",
    "W m-2",
    "hours",
    "minute",
    "days",
    "s-1",
    "1",
]


@pytest.mark.parametrize("units", UNITS)
def test_values_come_back_from_the_models_units(scales, units):
    value = np.array([-3.5, 0.0, 1e5])
    np.testing.assert_allclose(scales.dimensionalize(scales.nondimensionalize(value, units), units), value, rtol=1e-14)


def test_the_radius_and_twice_the_rotation_are_one(scales):
    assert scales.nondimensionalize(constants.EARTH_RADIUS, "m") == 1.0
    assert 2 * scales.angular_velocity == pytest.approx(1.0, rel=1e-15)


def test_known_values(scales):
    second = 2 * constants.EARTH_ANGULAR_VELOCITY
    meter = 1 / constants.EARTH_RADIUS
    assert scales.quantity("1 hour") == pytest.approx(3600 * second)
    assert scales.nondimensionalize(10.0, "m s-1") == pytest.approx(10 * meter / second)
    assert scales.gravity == pytest.approx(9.80616 * meter / second**2)
    assert scales.gas_constant == pytest.approx(2 / 7 * 1004 * meter**2 / second**2)
    assert scales.nondimensionalize(288.0, "K") == 288.0
    assert scales.nondimensionalize(1.0, "Pa") == pytest.approx(1 / 5.18e18 / meter / second**2)


def test_compound_units_are_products_of_their_parts(scales):
    assert scales.unit("J kg-1 K-1") == pytest.approx(scales.unit("m2 s-2 K-1"))
    assert scales.unit("Pa") == pytest.approx(scales.unit("kg m-1 s-2"))
    assert scales.unit("W m-2") == pytest.approx(scales.unit("kg s-3"))
    assert scales.quantity("2 days") == pytest.approx(scales.quantity("48 hours"))


def test_other_scales_give_other_numbers_and_the_same_si_values():
    other = Scales(length=1000.0, time=60.0, mass=1.0, temperature=273.15)
    assert other.unit("km") == pytest.approx(1.0) and other.unit("minute") == pytest.approx(1.0)
    assert other.unit("K") == pytest.approx(1 / 273.15)
    assert other.dimensionalize(other.gravity, "m s-2") == pytest.approx(constants.GRAVITY)


@pytest.mark.parametrize("units", ["furlong", "m/s", "m s^-1", "degC"])
def test_unknown_units_are_refused_with_the_known_ones(scales, units):
    with pytest.raises(ValueError, match="known units are m, "):
        scales.unit(units)
