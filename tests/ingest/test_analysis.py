"""A saved analysis comes back to the last bit, or not at all."""

import dataclasses

import numpy as np
import pytest

from ingest.analysis import Analysis
from ingest.errors import Broken
from ingest.sources import open_source
from tests.ingest.examples import CYCLE, NEEDS, example, write_grib


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    path = write_grib(example(), tmp_path_factory.mktemp("analysis") / "a.grib2")
    return open_source("files", path).fetch(CYCLE, NEEDS)


def test_what_is_saved_is_what_is_loaded(tmp_path, analysis):
    analysis.to_netcdf(tmp_path / "analysis.nc")
    loaded = Analysis.from_netcdf(tmp_path / "analysis.nc")
    assert loaded.sha256 == analysis.sha256
    assert loaded.dataset.identical(analysis.dataset)
    assert (loaded.valid_time, loaded.provenance, loaded.inputs) == (
        analysis.valid_time,
        analysis.provenance,
        analysis.inputs,
    )


def test_saving_leaves_the_file_and_nothing_else(tmp_path, analysis):
    analysis.to_netcdf(tmp_path / "analysis.nc")
    analysis.to_netcdf(tmp_path / "analysis.nc")
    assert [path.name for path in tmp_path.iterdir()] == ["analysis.nc"]


def test_a_failed_save_leaves_the_old_file(tmp_path, analysis, monkeypatch):
    analysis.to_netcdf(tmp_path / "analysis.nc")
    before = (tmp_path / "analysis.nc").read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        analysis.to_netcdf(tmp_path / "analysis.nc")
    assert [path.name for path in tmp_path.iterdir()] == ["analysis.nc"]
    assert (tmp_path / "analysis.nc").read_bytes() == before


def test_the_hash_changes_with_one_bit_and_with_the_provenance(analysis):
    changed = analysis.dataset.copy(deep=True)
    values = changed["air_temperature"].values
    values[3, 2, 1] = np.nextafter(values[3, 2, 1], np.float32(0))
    assert dataclasses.replace(analysis, dataset=changed).sha256 != analysis.sha256
    assert dataclasses.replace(analysis, provenance={}).sha256 != analysis.sha256


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_cut_off_file_is_broken(tmp_path, analysis, share):
    path = tmp_path / "analysis.nc"
    analysis.to_netcdf(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(Broken):
        Analysis.from_netcdf(path)


def test_a_changed_value_is_broken(tmp_path, analysis):
    path = tmp_path / "analysis.nc"
    analysis.to_netcdf(path)
    content = path.read_bytes()
    needle = analysis.dataset["eastward_wind"].values[5].tobytes()[:64]
    assert needle in content
    path.write_bytes(content.replace(needle, needle[::-1], 1))
    with pytest.raises(Broken, match="SHA-256"):
        Analysis.from_netcdf(path)


def test_another_netcdf_file_is_broken(tmp_path, analysis):
    analysis.dataset.to_netcdf(tmp_path / "plain.nc")
    with pytest.raises(Broken, match="saved analysis"):
        Analysis.from_netcdf(tmp_path / "plain.nc")
