"""The sea surface of the days to come: the analysis at first, then the season, never what no sea can be."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from forecast.fields import FORCING_FIELDS
from ingest.errors import Gone, Incomplete, Refused
from ingest.outlook import read_climatology, with_outlook
from ingest.recipes import FREEZING_SEA
from ingest.sources import open_source
from tests.ingest.examples import CYCLE, LATITUDES, LONGITUDES, NEEDS, example, write_grib

DAY = timedelta(days=1)


def climatology(months=24, first="2000-01", land=True):
    """Monthly means: a sea that is warmest in August, the second year a degree warmer, and ice in winter."""
    times = pd.date_range(first, periods=months, freq="MS")
    season = np.cos(2 * np.pi * (times.month.values - 8) / 12)[:, None, None]
    year = (times.year.values - 2000)[:, None, None]
    latitude = np.broadcast_to(LATITUDES[None, :, None], (months, LATITUDES.size, LONGITUDES.size))
    sst = 285.0 + 5.0 * season * np.sign(latitude) + year - 0.1 * np.abs(latitude)
    ice = np.where(np.abs(latitude) > 60, 0.5 - 0.4 * season * np.sign(latitude), 0.0)
    if land:
        sst = np.where(np.cos(np.deg2rad(LONGITUDES)) > 0.8, np.nan, sst)
    dims = ("time", "latitude", "longitude")
    coordinates = {"time": times, "latitude": LATITUDES, "longitude": LONGITUDES}
    return xr.Dataset({"sst": (dims, sst.astype("f4")), "siconc": (dims, ice.astype("f4"))}, coordinates)


@pytest.fixture
def made(tmp_path):
    def write(dataset):
        path = tmp_path / "climatology.nc"
        dataset.to_netcdf(path)
        return read_climatology(path, NEEDS.grid)

    return write


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    path = write_grib(example(), tmp_path_factory.mktemp("analysis") / "analysis.grib2")
    return open_source("files", path).fetch(CYCLE, NEEDS)


def test_a_month_stands_for_its_middle_and_the_years_are_averaged(made):
    climate = made(climatology(land=False))
    january = climate.at("sea_surface_temperature", datetime(2001, 1, 16, 12, tzinfo=UTC))
    north = NEEDS.grid.latitudes > 10
    wanted = 285.5 + 5.0 * np.cos(2 * np.pi * -7 / 12) - 0.1 * NEEDS.grid.latitudes[north]
    np.testing.assert_allclose(january[:, north], np.broadcast_to(wanted, january[:, north].shape), atol=0.2)


def test_between_middles_it_is_linear_and_december_leads_to_january(made):
    climate = made(climatology())
    december, january = datetime(2001, 12, 16, 12, tzinfo=UTC), datetime(2002, 1, 16, 12, tzinfo=UTC)
    halfway = december + (january - december) / 2
    ends = [climate.at("sea_surface_temperature", moment) for moment in (december, january)]
    np.testing.assert_allclose(climate.at("sea_surface_temperature", halfway), np.mean(ends, axis=0), rtol=1e-6)


def test_the_first_day_is_the_analysis_and_the_anomaly_is_held_after_it(made, analysis):
    climate = made(climatology())
    days = with_outlook(analysis, climate, 15).dataset
    name = "sea_surface_temperature"
    now = analysis.dataset[name].values
    np.testing.assert_array_equal(days[f"{name}_by_day"][0], now)
    for day in (1, 7, 15):
        found = days[f"{name}_by_day"].values[day]
        free = (found > FREEZING_SEA) & (found < 311)
        normal = climate.at(name, CYCLE + day * DAY)
        anomaly = now - climate.at(name, CYCLE)
        np.testing.assert_allclose((found - normal)[free], anomaly[free], atol=1e-3)
    assert np.abs(days[f"{name}_by_day"].values[15] - now).max() > 0.3


def test_the_sea_never_leaves_what_it_can_be_and_open_water_grows_no_ice(made, analysis):
    days = with_outlook(analysis, made(climatology()), 15).dataset
    ice, temperature = days["sea_ice_area_fraction_by_day"], days["sea_surface_temperature_by_day"]
    assert float(ice.min()) >= 0.0 and float(ice.max()) <= 1.0
    assert float(temperature.min()) >= min(FREEZING_SEA, float(temperature[0].min()))
    open_water = analysis.dataset["sea_ice_area_fraction"].values == 0
    assert float(ice.values[:, open_water].max()) == 0.0


def test_a_climatology_without_seasons_is_persistence(made, analysis):
    flat = climatology()
    flat = flat.map(lambda field: field.mean("time").expand_dims(time=flat["time"]))
    days = with_outlook(analysis, made(flat), 3).dataset
    for name in FORCING_FIELDS:
        for day in range(4):
            np.testing.assert_allclose(days[f"{name}_by_day"][day], days[name], atol=1e-4)


def test_the_outlook_is_kept_with_the_analysis_and_its_origin_is_told(made, analysis, tmp_path):
    foreseen = with_outlook(analysis, made(climatology()), 2)
    foreseen.to_netcdf(tmp_path / "analysis.nc")
    assert type(analysis).from_netcdf(tmp_path / "analysis.nc").sha256 == foreseen.sha256
    (origin,) = foreseen.provenance["sea_ice_area_fraction_by_day"]
    assert origin["method"].startswith("anomaly held") and "SHA-256" in origin["source"]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda d: d.isel(time=slice(0, 5)), Incomplete, "12 calendar months"),
        (lambda d: d.drop_vars("siconc"), Incomplete, "sea_ice_area_fraction"),
        (lambda d: d.assign(sst=d["sst"] - 273.15), Refused, "SI units"),
        (lambda d: d.isel(time=0, drop=True), Refused, "along time"),
        (lambda d: d.isel(latitude=slice(0, 8)), Refused, "global file"),
    ],
)
def test_what_is_no_climatology_is_refused_with_the_reason(made, change, error, text):
    with pytest.raises(error, match=text):
        made(change(climatology()))


def test_a_climatology_that_is_not_there_names_its_setting(tmp_path):
    with pytest.raises(Gone, match="ingest.climatology"):
        read_climatology(tmp_path / "none.nc", NEEDS.grid)
