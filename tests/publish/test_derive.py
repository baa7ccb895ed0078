"""Sea level pressure, geopotential height, virtual temperature."""

from pathlib import Path

import eccodes
import numpy as np
import pytest
import xarray as xr

from forecast.constants import DRY_AIR_GAS_CONSTANT, EARTH_RADIUS, GRAVITY, STANDARD_GRAVITY
from publish import derive, sea_level
from publish.quantities import ON_LEVELS, PUBLISHABLE
from tests.publish.frames import make_frame, with_net_precipitation

LAPSE = sea_level.STANDARD_LAPSE_RATE
EXPONENT = STANDARD_GRAVITY / (DRY_AIR_GAS_CONSTANT * LAPSE)


def standard_atmosphere(height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pressure [Pa] and temperature [K] at a height [m] of the troposphere of the ICAO standard atmosphere."""
    temperature = 288.15 - LAPSE * height
    return 101_325.0 * (temperature / 288.15) ** EXPONENT, temperature


def test_the_standard_atmosphere_reduces_to_1013_hpa_from_any_height():
    height = np.array([[100.0, 500.0, 1000.0, 2000.0]])
    pressure, temperature = standard_atmosphere(height)
    reduced = sea_level.reduce_to_sea_level(pressure, height * STANDARD_GRAVITY, temperature)
    np.testing.assert_allclose(reduced, 101_325.0, rtol=2e-4)


def standard_profile(surface_height: np.ndarray) -> xr.Dataset:
    """The standard atmosphere over ground of a height [longitude, latitude]; nonsense below the ground."""
    levels = np.array([500.0, 700.0, 850.0, 925.0, 1000.0])
    temperature = 288.15 * (levels * 100 / 101_325) ** (1 / EXPONENT)
    geopotential = (288.15 - temperature) / LAPSE * STANDARD_GRAVITY
    pressure, _ = standard_atmosphere(surface_height)
    below_ground = levels[:, None, None] * 100 > pressure
    on_levels = ("member", "level", "longitude", "latitude")
    return xr.Dataset(
        {
            "air_temperature": (on_levels, np.where(below_ground, 1e4, temperature[:, None, None])[None]),
            "geopotential": (on_levels, np.where(below_ground, -1e6, geopotential[:, None, None])[None]),
            "specific_humidity": (on_levels, np.zeros((1, *below_ground.shape))),
            "surface_air_pressure": (("member", "longitude", "latitude"), pressure[None]),
        },
        coords={"level": levels},
    )


def test_the_standard_atmosphere_gives_1013_hpa_over_any_ground_and_ignores_what_is_below():
    height = np.linspace(0, 2500, 16).reshape(4, 4)
    np.testing.assert_allclose(sea_level.mean_sea_level_pressure(standard_profile(height)), 101_325.0, rtol=3e-4)


def test_a_deep_low_over_the_sea_has_the_pressure_of_the_sea_surface():
    data = standard_profile(np.zeros((2, 2)))
    deepened = data.assign_coords(level=data["level"] * 0.95)
    deepened["surface_air_pressure"] = data["surface_air_pressure"] * 0.95
    np.testing.assert_allclose(sea_level.mean_sea_level_pressure(deepened), 0.95 * 101_325.0, rtol=1e-5)


def test_sea_level_pressure_of_a_frame_has_no_trace_of_its_mountains():
    frame = make_frame()
    reduced = sea_level.mean_sea_level_pressure(frame.data)
    assert frame.data["surface_air_pressure"].values.min() < 92_000
    assert reduced.min() > 95_000
    assert reduced.max() < 110_000


def test_hot_and_cold_surfaces_are_moderated_as_trenberth_says():
    geopotential, pressure = np.full(3, 15_000.0), np.full(3, 85_000.0)
    hot, mild, cold = sea_level.reduce_to_sea_level(pressure, geopotential, np.array([310.0, 280.0, 230.0]))
    isothermal = 85_000 * np.exp(15_000 / (DRY_AIR_GAS_CONSTANT * 0.5 * (290.5 + 310.0)))
    assert hot == pytest.approx(isothermal)
    assert hot < mild < cold < 85_000 * np.exp(15_000 / (DRY_AIR_GAS_CONSTANT * 230.0))


def test_moist_air_is_lighter_than_dry_air():
    assert sea_level.virtual_temperature(np.array(300.0), np.array(0.02)) == pytest.approx(303.6, abs=0.1)
    assert sea_level.virtual_temperature(np.array(300.0), np.array(0.0)) == 300.0


def test_geopotential_height_is_geopotential_over_standard_gravity():
    assert derive.geopotential_height(np.array([9806.65], np.float32)) == pytest.approx(1000.0)


def test_wind_speed_is_the_length_of_the_wind():
    data = make_frame().data
    speed = derive.values(data, "wind_speed", 850)
    layer = data.sel(level=850).transpose("member", "longitude", "latitude", ...)
    expected = np.sqrt(layer["eastward_wind"].values ** 2 + layer["northward_wind"].values ** 2)
    np.testing.assert_allclose(speed, expected, rtol=1e-6)


def test_vorticity_and_divergence_of_a_frame_are_those_of_its_level():
    data = make_frame().data
    rate = 2e-6
    radians = np.deg2rad(data["latitude"]).values
    data["eastward_wind"].loc[{"level": 500}] = 0.0
    data["northward_wind"].loc[{"level": 500}] = 0.0
    data["eastward_wind"].loc[{"level": 850}] = rate * EARTH_RADIUS * np.cos(radians)
    data["northward_wind"].loc[{"level": 850}] = 0.0
    assert np.abs(derive.values(data, "atmosphere_relative_vorticity", 500)).max() == 0
    found = derive.values(data, "atmosphere_relative_vorticity", 850)
    np.testing.assert_allclose(found, np.broadcast_to(2 * rate * np.sin(radians), found.shape), atol=1e-11)
    assert np.abs(derive.values(data, "divergence_of_wind", 850)).max() < 1e-11


def test_thickness_is_the_difference_of_heights():
    data = make_frame().data
    heights = [derive.values(data, "geopotential_height", level) for level in (500, 1000)]
    found = derive.values(data, "thickness_1000_500", None)
    np.testing.assert_allclose(found, heights[0] - heights[1], atol=2e-3)
    assert 4000 < found.mean() < 6500


def test_the_thickness_of_an_isothermal_layer_is_that_of_the_hypsometric_equation():
    data = standard_profile(np.zeros((2, 2)))
    geopotential = -DRY_AIR_GAS_CONSTANT * 280.0 * np.log(data["level"])
    data["geopotential"] = geopotential.broadcast_like(data["geopotential"]).transpose(*data["geopotential"].dims)
    expected = DRY_AIR_GAS_CONSTANT * 280.0 * np.log(2) / STANDARD_GRAVITY
    np.testing.assert_allclose(derive.values(data, "thickness_1000_500", None), expected, rtol=1e-6)


def column(surface: float, cloud: float) -> xr.Dataset:
    """One column over ground of a pressure [Pa], 20 kg m-2 of vapour, the same cloud on all levels."""
    levels = np.array([200.0, 500.0, 700.0, 850.0, 1000.0])
    on_levels = ("member", "level", "longitude", "latitude")
    shape = (1, levels.size, 1, 1)
    single = ((*on_levels[::2], "latitude"), np.full((1, 1, 1), surface))
    return xr.Dataset(
        {
            "mass_fraction_of_cloud_liquid_water_in_air": (on_levels, np.full(shape, 0.75 * cloud)),
            "mass_fraction_of_cloud_ice_in_air": (on_levels, np.full(shape, 0.25 * cloud)),
            "surface_air_pressure": single,
            "atmosphere_mass_content_of_water_vapor": (single[0], np.full((1, 1, 1), 20.0)),
        },
        coords={"level": levels},
    )


@pytest.mark.parametrize("surface", [60_000.0, 85_000.0, 101_325.0])
def test_total_column_water_is_vapour_and_cloud_of_the_whole_column_above_the_ground(surface: float):
    found = derive.values(column(surface, 1e-4), "atmosphere_mass_content_of_water", None)
    assert found.item() == pytest.approx(20.0 + 1e-4 * surface / GRAVITY, rel=1e-6)


def test_cloud_below_the_ground_does_not_count():
    data = column(60_000.0, 0.0)
    data["mass_fraction_of_cloud_ice_in_air"].loc[{"level": [850.0, 1000.0]}] = 1.0
    assert derive.values(data, "atmosphere_mass_content_of_water", None).item() == pytest.approx(20.0)


@pytest.mark.parametrize("name", sorted(PUBLISHABLE))
def test_every_publishable_field_can_be_made_of_a_frame(name: str):
    data = with_net_precipitation(make_frame(levels=(50, 500, 700, 850, 1000))).data
    found = derive.values(data, name, 850 if name in ON_LEVELS else None)
    assert (found.shape, found.dtype) == ((4, 32, 16), np.float32)
    low, high = PUBLISHABLE[name].valid_range
    assert low <= found.min() and found.max() <= high


def test_agrees_with_the_sea_level_pressure_that_gfs_publishes(samples: Path):
    fields = _gfs_fields(samples / "gfs.t12z.pgrbf120.2p5deg.grib2")
    ours = sea_level.mean_sea_level_pressure(fields)[0]
    theirs = fields["prmsl"].values
    low = fields["surface_geopotential"].values < 3000
    difference = (ours - theirs) / 100
    assert np.sqrt(np.mean(difference[low] ** 2)) < 0.5
    assert np.sqrt(np.mean(difference**2)) < 3.0


def _gfs_fields(path: Path) -> xr.Dataset:
    levels: dict[str, dict[int, np.ndarray]] = {"t": {}, "r": {}, "gh": {}}
    single: dict[tuple[str, str], np.ndarray] = {}
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            name, kind = eccodes.codes_get_string(handle, "shortName"), eccodes.codes_get_string(handle, "typeOfLevel")
            values = eccodes.codes_get_values(handle).reshape(73, 144).T
            if kind == "isobaricInhPa" and name in levels:
                levels[name][eccodes.codes_get_long(handle, "level")] = values
            single.setdefault((name, kind), values)
            eccodes.codes_release(handle)
    pressures = sorted(set(levels["t"]) & set(levels["r"]))
    temperature = np.stack([levels["t"][level] for level in pressures])
    celsius = temperature - 273.15
    saturation = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    humidity = 0.622 * saturation * np.stack([levels["r"][level] for level in pressures]) / 100
    humidity /= np.asarray(pressures)[:, None, None] * 100
    on_levels = ("member", "level", "longitude", "latitude")
    return xr.Dataset(
        {
            "air_temperature": (on_levels, temperature[None]),
            "specific_humidity": (on_levels, humidity[None]),
            "geopotential": (
                on_levels,
                STANDARD_GRAVITY * np.stack([levels["gh"][level] for level in pressures])[None],
            ),
            "surface_air_pressure": ((*on_levels[::2], "latitude"), single["sp", "surface"][None]),
            "surface_geopotential": (on_levels[2:], single["orog", "surface"] * STANDARD_GRAVITY),
            "prmsl": (on_levels[2:], single["prmsl", "meanSea"]),
        },
        coords={"level": pressures},
    )
