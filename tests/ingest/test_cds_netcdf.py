"""NetCDF as the Climate Data Store makes it, now and before: times in valid_time, expver beside or across them."""

import numpy as np
import pytest
import xarray as xr

from ingest.errors import Refused
from tests.ingest.examples import CYCLE, dataset, example, write_grib
from tests.ingest.test_files import assert_same, fetch


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return fetch(write_grib(example(), tmp_path_factory.mktemp("reference") / "a.grib2"))


def two_times():
    """The example, and a state of an hour later that is not asked for."""
    later = dataset(example()) + 1e-3
    for name, variable in dataset(example()).data_vars.items():
        later[name].attrs = variable.attrs
    moment = np.array([CYCLE.replace(tzinfo=None, hour=7)], dtype="datetime64[ns]")
    return xr.concat([dataset(example()), later.assign_coords(valid_time=("valid_time", moment))], dim="valid_time")


def test_number_and_expver_beside_the_times_are_no_dimensions(tmp_path, reference):
    data = two_times().assign_coords(number=0, expver=("valid_time", ["0001", "0005"]))
    data.to_netcdf(tmp_path / "a.nc")
    assert_same(fetch(tmp_path / "a.nc"), reference)


def test_a_single_member_may_be_a_dimension(tmp_path, reference):
    dataset(example()).expand_dims(number=[0]).to_netcdf(tmp_path / "a.nc")
    assert_same(fetch(tmp_path / "a.nc"), reference)


@pytest.mark.parametrize("entry", [0, 1], ids=["final", "preliminary"])
def test_a_time_has_its_values_at_one_entry_of_expver(tmp_path, reference, entry):
    data = dataset(example())
    empty = data * np.nan
    both = xr.concat([data, empty] if entry == 0 else [empty, data], dim=xr.Variable("expver", [1, 5]))
    for name, variable in data.data_vars.items():
        both[name].attrs = variable.attrs
    both.to_netcdf(tmp_path / "a.nc")
    assert_same(fetch(tmp_path / "a.nc"), reference)


def test_a_time_with_values_at_both_entries_of_expver_is_refused(tmp_path):
    data = xr.concat([dataset(example())] * 2, dim=xr.Variable("expver", [1, 5]))
    data.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(Refused, match="one entry of expver, found them at 2"):
        fetch(tmp_path / "a.nc")
