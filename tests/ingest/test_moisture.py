"""Laws of humidity and cloud conversions."""

import eccodes
import numpy as np
import pytest

from ingest import moisture
from tests.ingest import saturation

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


def test_saturation_is_over_water_in_warm_and_over_ice_in_cold_air_and_linear_between():
    """Murphy and Koop (2005), equations 7 and 10, shares as NCEP has them."""
    np.testing.assert_allclose(moisture.saturation_pressure(TEMPERATURES), saturation.mixed(TEMPERATURES), rtol=0.01)


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


def test_relative_humidity_is_that_of_ncep(samples):
    """Where GFS gives specific and relative humidity of the same air, one follows from the other."""
    fields = near_surface(samples / "gfs.t12z.pgrbf120.2p5deg.grib2")
    temperature, relative, specific, pressure = (fields[name] for name in ("2t", "2r", "2sh", "sp"))
    found = np.vectorize(moisture.specific_humidity)(relative / 100.0, temperature, pressure)
    for low, high in ((250, 258), (258, 266), (266, 273), (273, 320)):
        within = (temperature >= low) & (temperature < high)
        assert within.sum() > 500
        assert np.mean(found[within] / specific[within]) == pytest.approx(1.0, abs=0.005)


def near_surface(path):
    """Values by short name."""
    fields = {}
    with open(path, "rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            fields.setdefault(eccodes.codes_get(handle, "shortName"), eccodes.codes_get_values(handle))
            eccodes.codes_release(handle)
    return fields
