"""The demo's analysis is the ERA5 state that the reference starts from."""

import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata

import numpy as np
import pytest

from forecast.fields import FORCING_FIELDS, LEVEL_FIELDS, PRESSURE_LEVELS
from ingest.errors import Gone, WrongTime
from ingest.source import ModelNeeds
from ingest.sources import open_source
from ingest.sources.demo import CYCLE

NEEDS = ModelNeeds(128, 64)
REFERENCE_NAMES = {
    "geopotential": "geopotential",
    "air_temperature": "temperature",
    "eastward_wind": "u_component_of_wind",
    "northward_wind": "v_component_of_wind",
    "specific_humidity": "specific_humidity",
    "mass_fraction_of_cloud_ice_in_air": "specific_cloud_ice_water_content",
    "mass_fraction_of_cloud_liquid_water_in_air": "specific_cloud_liquid_water_content",
    "sea_surface_temperature": "sea_surface_temperature",
    "sea_ice_area_fraction": "sea_ice_cover",
}


@pytest.fixture(scope="module")
def analysis():
    return open_source("demo").fetch(CYCLE, NEEDS)


def test_it_is_the_canonical_dataset(analysis):
    data = analysis.dataset
    assert set(data.data_vars) == {*LEVEL_FIELDS, *FORCING_FIELDS}
    assert data["air_temperature"].dims == ("level", "longitude", "latitude")
    assert data["sea_surface_temperature"].dims == ("longitude", "latitude")
    assert tuple(data["level"].values) == PRESSURE_LEVELS
    assert all(variable.dtype == np.float32 for variable in data.data_vars.values())
    assert analysis.valid_time == datetime(1959, 1, 2, tzinfo=UTC)


def test_it_is_what_the_reference_starts_from(analysis):
    """To the accuracy of the reference's own weights, which it computes in single precision."""
    demo = pytest.importorskip("neuralgcm.demo")
    from dinosaur import coordinate_systems, spherical_harmonic, vertical_interpolation

    coordinates = coordinate_systems.CoordinateSystem(
        spherical_harmonic.Grid.TL63(), vertical_interpolation.PressureCoordinates(np.array(PRESSURE_LEVELS))
    )
    reference = demo.load_data(coordinates)
    for name, theirs in REFERENCE_NAMES.items():
        expected = reference[theirs].values.reshape(analysis.dataset[name].shape)
        error = np.sqrt(np.mean((analysis.dataset[name].values - expected) ** 2)) / expected.std()
        assert error < 2e-6, name
    np.testing.assert_allclose(analysis.dataset["latitude"], reference["latitude"], atol=1e-4)


def test_on_its_own_grid_nothing_changes(neuralgcm_data):
    import xarray as xr

    analysis = open_source("demo").fetch(CYCLE, ModelNeeds(64, 32))
    data = xr.load_dataset(neuralgcm_data.analysis)
    for name, theirs in REFERENCE_NAMES.items():
        np.testing.assert_array_equal(analysis.dataset[name].values, data[theirs].values)


def test_the_same_file_read_as_a_file_gives_the_same_analysis(analysis, neuralgcm_data):
    source = open_source("files", neuralgcm_data.analysis)
    assert source.cycles() == (CYCLE,)
    assert source.fetch(CYCLE, NEEDS).dataset.equals(analysis.dataset)


def test_another_cycle_is_refused_by_name():
    with pytest.raises(WrongTime, match="1959-01-03 00:00"):
        open_source("demo").fetch(datetime(1959, 1, 3, tzinfo=UTC), NEEDS)


def test_without_the_distribution_it_says_what_to_install(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", absent)
    with pytest.raises(Gone, match="extra demo"):
        open_source("demo").fetch(CYCLE, NEEDS)


def test_no_code_of_the_distribution_and_no_jax_is_imported(repository):
    program = (
        "import sys; from ingest.sources import open_source; from ingest.source import ModelNeeds; "
        "source = open_source('demo'); source.fetch(source.cycles()[0], ModelNeeds(64, 32)); "
        "print([name for name in ('neuralgcm', 'dinosaur', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
