"""NetCDF as its readers see it: xarray, the CF compliance checker."""

import subprocess
import sysconfig
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from forecast.frame import Frame
from publish.product import Item, ProductSettings, slabs
from publish.statistics import statistics
from publish.writers import EncodedFile
from tests.publish.conftest import encode_frame
from tests.publish.frames import LATITUDES, LONGITUDES, make_frame

Files = dict[tuple[str, str], EncodedFile]


def test_xarray_opens_all_members_in_one_line(encoded: Files):
    opened = xr.open_dataset(encoded[".nc", "members"].path)
    sizes = {"realization": 4, "time": 1, "level": 5, "latitude": 37, "longitude": 72}
    assert dict(opened.sizes) == sizes
    assert opened.gh.dims == ("realization", "time", "level", "latitude", "longitude")
    assert opened.msl.dims == ("realization", "time", "latitude", "longitude")
    assert opened.time.values == np.datetime64("1959-01-02T06")
    assert opened.forecast_reference_time.values == np.datetime64("1959-01-02T00")
    assert list(opened.level.values) == [50, 300, 500, 850, 1000]


def test_values_are_those_of_the_frame_to_one_part_in_65536(encoded: Files, settings: ProductSettings):
    members = xr.open_dataset(encoded[".nc", "members"].path).isel(time=0)
    moments = xr.open_dataset(encoded[".nc", "statistics"].path).isel(time=0)
    for slab in slabs(make_frame(), settings):
        at = {} if slab.level is None else {"level": slab.level}
        name, expected = slab.field.short_name, statistics(slab, settings)
        np.testing.assert_allclose(members[name].sel(at).values, slab.values, rtol=2**-16)
        np.testing.assert_allclose(moments[f"{name}_mean"].sel(at).values, expected.mean, rtol=2**-16)
        np.testing.assert_allclose(moments[f"{name}_spread"].sel(at).values, expected.spread, rtol=2**-16)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_lead_times_join_along_time_with_open_mfdataset(settings: ProductSettings, tmp_path: Path):
    pytest.importorskip("dask")
    for hours in (0, 6, 12):
        encode_frame(make_frame(hours), settings, tmp_path)
    with xr.open_mfdataset(str(tmp_path / "*-enfo-ef.nc"), decode_timedelta=True) as opened:
        assert opened.t.sizes["time"] == 3
        lead_times = opened.time - opened.forecast_reference_time
        np.testing.assert_array_equal(lead_times.values, opened.forecast_period.values)


def test_metadata_follow_the_conventions(encoded: Files):
    members = xr.open_dataset(encoded[".nc", "members"].path, decode_times=False)
    moments = xr.open_dataset(encoded[".nc", "statistics"].path, decode_times=False)
    assert members.attrs["Conventions"] == "CF-1.11"
    assert members.realization.attrs["units"] == "1"
    assert "axis" not in members.realization.attrs
    assert members.level.attrs["standard_name"] == "air_pressure"
    assert members.level.attrs["positive"] == "down"
    assert members.t.attrs["units_metadata"] == "temperature: on_scale"
    assert moments.t_mean.attrs["cell_methods"] == "realization: mean"
    assert moments.t_spread.attrs["cell_methods"] == "realization: standard_deviation"
    assert moments.t_spread.attrs["units_metadata"] == "temperature: difference"
    assert members.q.attrs["standard_name"] == "specific_humidity"


def test_a_dropped_member_is_absent_and_named(settings: ProductSettings, tmp_path: Path):
    files = encode_frame(make_frame(members=(0, 1, 3)), settings, tmp_path)
    opened = xr.open_dataset(files[".nc", "members"].path)
    assert list(opened.realization.values) == [0, 1, 3]
    assert opened.attrs["ensemble_size"] == 4
    assert list(opened.attrs["members_present"]) == [0, 1, 3]


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Few fields of every sort: on levels, single, since the beginning, over an interval; and a probability."""
    frame = make_frame(24)
    gained = np.full((4, LONGITUDES, LATITUDES), 3.0, np.float32)
    frame.data["precipitation_minus_evaporation"] = (("member", "longitude", "latitude"), gained)
    fields = ("air_temperature", "surface_air_pressure", "precipitation_minus_evaporation")
    chosen = ProductSettings(
        levels=(500, 850),
        fields=fields,
        windows=("precipitation_minus_evaporation/6h sum", "air_temperature@850/24h max"),
        probabilities=("air_temperature@850<273.15",),
        formats=("netcdf",),
        places=(),
    )
    return encode_frame(frame, chosen, tmp_path_factory.mktemp("varied"), past=Constant())


class Constant:
    """Fields over intervals that are the same everywhere."""

    increment_hours = 6

    def over(self, item: Item, frame: Frame) -> NDArray[np.float32]:
        return np.full((len(frame.members), LONGITUDES, LATITUDES), 280.0, np.float32)


def test_each_interval_has_a_time_of_its_own_with_bounds(varied: Files):
    for kind, suffix in (("members", ""), ("statistics", "_mean")):
        with xr.open_dataset(varied[".nc", kind].path) as opened:
            for name, interval, method, begin in (
                ("pme", "time_from_start", "sum", "1959-01-02T00"),
                ("pme_6h_sum", "time_6h", "sum", "1959-01-02T18"),
                ("t850_24h_max", "time_24h", "maximum", "1959-01-02T00"),
            ):
                found = opened[name + suffix]
                assert found.attrs["cell_methods"].startswith(f"{interval}: {method}")
                assert interval in found.coords
                bounds = opened[opened[interval].attrs["bounds"]]
                assert list(bounds.values[0]) == [np.datetime64(begin), np.datetime64("1959-01-03T00")]
            assert "cell_methods" not in opened["t"].attrs if not suffix else True
    with xr.open_dataset(varied[".nc", "statistics"].path) as opened:
        assert opened.t850_24h_max_spread.attrs["cell_methods"] == "time_24h: maximum realization: standard_deviation"
        assert opened.t_mean.realization_count == 4


@pytest.mark.parametrize("kind", ["members", "statistics"])
def test_passes_the_cf_checker_at_its_strictest(kind: str, varied: Files):
    program = Path(sysconfig.get_path("scripts")) / "cchecker.py"
    if not program.exists():
        pytest.skip("compliance-checker is not installed")
    command = [program, "-t", "cf:1.11", "-c", "strict", varied[".nc", kind].path]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout[-2000:]
    assert "All tests passed!" in checked.stdout, checked.stdout[-2000:]


def test_a_map_lies_in_its_own_chunks_and_a_point_in_few(tmp_path: Path):
    chosen = ProductSettings(
        levels=(500,), fields=("air_temperature",), grid_spacing=1.0, formats=("netcdf",), places=()
    )
    files = encode_frame(make_frame(6), chosen, tmp_path)
    with netCDF4.Dataset(files[".nc", "members"].path) as file:
        assert file["t"].shape == (4, 1, 1, 181, 360)
        assert file["t"].chunking() == [1, 1, 1, 61, 90]
