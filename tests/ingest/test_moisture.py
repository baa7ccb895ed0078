"""Laws of humidity and cloud conversions."""

import numpy as np
import pytest

from ingest import moisture

TEMPERATURES = np.linspace(180.0, 320.0, 141)


@pytest.mark.parametrize(
    "temperature, pressure, tolerance",
    [(273.16, 611.2, 0.001), (293.15, 2339.0, 0.003), (253.15 - 10, 37.7, 0.02), (223.15, 3.94, 0.01)],
)
def test_saturation_pressure_meets_tables(temperature, pressure, tolerance):
    assert float(moisture.saturation_pressure(np.array(temperature))) == pytest.approx(pressure, rel=tolerance)


def test_saturation_pressure_rises_with_temperature():
    assert (np.diff(moisture.saturation_pressure(TEMPERATURES)) > 0).all()


def test_liquid_share_goes_from_all_ice_to_all_liquid():
    share = moisture.liquid_share(TEMPERATURES)
    assert (np.diff(share) >= 0).all()
    assert share[TEMPERATURES < 250].max() == 0.0
    assert share[TEMPERATURES > 274].min() == 1.0


@pytest.mark.parametrize("pressure", [100.0, 1_000.0, 50_000.0, 100_000.0])
def test_specific_humidity_is_a_fraction_that_rises_with_relative_humidity(pressure):
    relative = np.linspace(-0.01, 1.5, 60)[:, None]
    humidity = moisture.specific_humidity(relative, TEMPERATURES[None, :], pressure)
    assert (humidity >= 0.0).all() and (humidity < 0.5).all()
    assert (np.diff(humidity, axis=0) >= 0.0).all()


def test_relative_humidity_of_saturated_warm_air_near_the_surface():
    humidity = moisture.specific_humidity(np.array(1.0), np.array(303.15), 100_000.0)
    assert float(humidity) == pytest.approx(0.0268, rel=0.01)


def test_specific_content_is_less_than_the_mixing_ratio_by_its_square():
    assert float(moisture.specific_content(np.array(1e-3))) == pytest.approx(1e-3 - 1e-6, rel=1e-5)


def test_moist_air_is_lighter():
    assert moisture.virtual_temperature(np.array(300.0), np.array(0.02)) == pytest.approx(303.64, abs=0.05)
