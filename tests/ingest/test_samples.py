"""Real files of the producers are read, or refused for what they lack."""

from datetime import UTC, datetime

import numpy as np
import pytest

from forecast.fields import PRESSURE_LEVELS
from ingest.errors import Incomplete, Refused, WrongTime
from ingest.source import ModelNeeds
from ingest.sources import open_source

NEEDS = ModelNeeds(128, 64)
GFS_CYCLE = datetime(2011, 1, 15, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def gfs(samples):
    source = open_source("files", samples / "gfs.t12z.pgrbf120.2p5deg.grib2")
    assert source.cycles() == (GFS_CYCLE,)
    return source.fetch(GFS_CYCLE, NEEDS)


def test_gfs_on_26_levels_becomes_an_analysis_on_37(gfs):
    assert tuple(gfs.dataset["level"].values) == PRESSURE_LEVELS
    assert all(np.isfinite(variable).all() for variable in gfs.dataset.values())
    height = gfs.dataset["geopotential"].sel(level=500).mean() / 9.80665
    assert float(height) == pytest.approx(5_500, abs=60)


def test_gfs_provenance_tells_given_from_filled(gfs):
    for name, filled in (("air_temperature", 11), ("specific_humidity", 12), ("geopotential", 11)):
        levels = [
            level
            for origin in gfs.provenance[name]
            for level in origin["levels"]
            if not origin["source"].endswith(".grib2")
        ]
        assert len(levels) == filled, name


def test_gfs_upper_levels_are_plausible(gfs):
    temperature = gfs.dataset["air_temperature"]
    assert float(temperature.sel(level=1).mean()) == pytest.approx(270.65, abs=3)
    assert (gfs.dataset["geopotential"].diff("level") < 0).all()


def test_gfs_sea_is_sea(gfs):
    sst = gfs.dataset["sea_surface_temperature"]
    assert 271.4 < float(sst.min()) < 272.0
    assert 300.0 < float(sst.max()) < 306.0
    assert float(sst.sel(longitude=200, latitude=0, method="nearest")) == pytest.approx(299, abs=3)


@pytest.mark.parametrize(
    "name, kind, text",
    [
        ("era5-levels-members.grib", Refused, "members 0 .* and 1"),
        ("aifs-ens-cf-t500.grib2", Incomplete, "geopotential at all levels"),
        ("ifs-20240101000000-0h-oper-fc.first10.grib2", WrongTime, "none at all"),
        ("gdas.t12z.pgrb2.0p25.f000.msg12.grib2", WrongTime, "none at all"),
        ("fields_with_missing_values.grib", WrongTime, "none at all"),
        ("gfs.t00z.pgrb2.0p25.f000.idx", Refused, "starts with"),
    ],
)
def test_what_is_no_analysis_is_refused_for_what_it_lacks(samples, name, kind, text):
    source = open_source("files", samples / name)
    with pytest.raises(kind, match=text):
        source.fetch(source.cycles()[0], NEEDS)
