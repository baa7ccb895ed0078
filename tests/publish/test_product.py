"""Settings, and frames cut into slabs."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forecast.grids import GaussianGrid, LatLonGrid, Regridder
from publish.product import ProductError, ProductSettings, default_spacing, items, slabs
from publish.statistics import statistics
from tests.publish.frames import LATITUDES, LEVELS, LONGITUDES, make_frame, with_net_precipitation


@pytest.mark.parametrize(("longitudes", "spacing"), [(64, 5.0), (128, 2.5), (256, 1.0), (512, 0.5), (32, 5.0)])
def test_the_default_grid_is_the_widest_usual_one_no_coarser_than_the_model(longitudes: int, spacing: float):
    assert default_spacing(longitudes) == spacing


def test_slabs_come_once_per_field_and_level_in_the_order_of_the_settings(settings: ProductSettings):
    found = [(slab.field.short_name, slab.level) for slab in slabs(make_frame(), settings)]
    expected = [(name, level) for name in ("gh", *"tuvq", "ws", "vo", "d") for level in LEVELS]
    assert found == [*expected, *((name, None) for name in ("msl", "sp", "tcwv", "tcw", "thick1000_500"))]


def test_a_slab_is_the_field_on_the_regular_grid_north_and_greenwich_first(settings: ProductSettings):
    frame = make_frame()
    slab = next(each for each in slabs(frame, settings) if (each.field.short_name, each.level) == ("t", 850))
    values = frame.data["air_temperature"].sel(level=850).transpose("member", "longitude", "latitude").values
    regrid = Regridder(GaussianGrid(LONGITUDES, LATITUDES), LatLonGrid(5.0), "bilinear")
    np.testing.assert_array_equal(slab.values, np.swapaxes(regrid(values), 1, 2))
    assert slab.values.shape == (4, 37, 72)
    assert slab.values[:, 18].mean() > slab.values[:, 0].mean()


def test_geopotential_height_is_published_on_request():
    chosen = ProductSettings(levels=(500,), fields=("geopotential", "geopotential_height"))
    geopotential, height = slabs(make_frame(), chosen)
    np.testing.assert_allclose(height.values, geopotential.values / 9.80665, rtol=1e-6)


def test_a_level_that_the_model_lacks_is_refused_with_the_levels_it_has():
    with pytest.raises(ProductError, match=r"levels \[700\] hPa .* it has \[50, 300, 500, 850, 1000\]"):
        next(slabs(make_frame(), ProductSettings(levels=(500, 700))))


def test_a_field_that_the_frame_lacks_is_refused_by_name():
    chosen = ProductSettings(levels=(500,), fields=("mass_fraction_of_cloud_ice_in_air",))
    frame = make_frame()
    without = replace(frame, data=frame.data.drop_vars("mass_fraction_of_cloud_ice_in_air"))
    with pytest.raises(ProductError, match="mass_fraction_of_cloud_ice_in_air, which the frame lacks"):
        next(slabs(without, chosen))


def test_a_member_that_is_not_finite_is_never_published(settings: ProductSettings):
    frame = make_frame()
    frame.data["eastward_wind"][2, 1, 0, 0] = np.nan
    with pytest.raises(ProductError, match=r"u at 300 hPa is not finite in members \[2\]"):
        list(slabs(frame, settings))


@pytest.mark.parametrize(
    "wrong",
    [
        {"fields": ("temperature",)},
        {"fields": ()},
        {"formats": ("grib1",)},
        {"formats": ("grib2", "grib2")},
        {"product": "a/b"},
        {"bits_per_value": 4},
        {"levels": (500, 500)},
        {"levels": (50_000,)},
        {"levels": ()},
        {"grid_spacing": 0.1},
        {"grid_spacing": 0.7},
        {"statistics": ("median",)},
        {"statistics": (), "probabilities": (), "publish_members": False},
        {"lead_hours": ()},
        {"lead_hours": (12, 6)},
        {"lead_hours": (-6, 6)},
        {"probabilities": ("air_temperature@851<273.15",)},
        {"probabilities": ("wind_speed@850>15/24h max",)},
        {"probabilities": ("air_temperature@850<273.15", "air_temperature@850<273.15")},
        {"windows": ("wind_speed@850/24h max", "air_temperature@500/24h max")},
    ],
)
def test_settings_that_make_no_product_cannot_be_built(wrong: dict):
    with pytest.raises(ProductError):
        ProductSettings(**wrong)


def test_what_is_standard_and_not_published_is_left_out_of_events_and_intervals():
    assert [event.field for event in ProductSettings(levels=(500,)).events] == [
        "atmosphere_mass_content_of_water_vapor"
    ]
    assert ProductSettings(fields=("air_temperature",)).windowed == ()
    assert len(ProductSettings().events) == 4 and len(ProductSettings().windowed) == 1


def test_an_optional_field_is_published_when_the_frame_has_it():
    chosen = ProductSettings(levels=(500,), fields=("air_temperature", "precipitation_minus_evaporation"))
    assert [item.variable for item in items(make_frame(48), chosen)] == ["t"]
    with_water = with_net_precipitation(make_frame(48))
    assert [item.variable for item in items(with_water, chosen)] == ["t", "pme", "pme_24h_sum"]
    assert [item.variable for item in items(replace(with_water, lead_time=timedelta(hours=12)), chosen)] == ["t", "pme"]


def test_a_layer_needs_the_levels_that_it_lies_between():
    chosen = ProductSettings(levels=(500,), fields=("thickness_1000_700",), probabilities=())
    with pytest.raises(ProductError, match=r"levels \[700\] hPa"):
        next(slabs(make_frame(), chosen))


def test_the_native_values_are_the_frames_own_north_first():
    frame = make_frame()
    chosen = ProductSettings(levels=(500,), fields=("air_temperature",), native_grid=True, probabilities=())
    slab = next(slabs(frame, chosen))
    expected = frame.data["air_temperature"].sel(level=500).transpose("member", "latitude", "longitude").values
    np.testing.assert_array_equal(slab.native, expected[:, ::-1])


def test_mean_and_spread_are_those_of_the_published_members_control_included(settings: ProductSettings):
    for slab in slabs(make_frame(), settings):
        result = statistics(slab, settings)
        values = slab.values.astype(np.float64)
        np.testing.assert_allclose(result.mean, values.mean(axis=0), rtol=1e-6, atol=1e-12)
        tolerance = 1e-6 * np.abs(values).max()
        np.testing.assert_allclose(result.spread, values.std(axis=0), rtol=1e-5, atol=tolerance)
        assert result.count == 4


def test_spread_of_equal_members_is_zero(settings: ProductSettings):
    slab = next(slabs(make_frame(), settings))
    slab.values[:] = slab.values[0]
    assert statistics(slab, settings).spread.max() == 0.0
