"""An analysis in the packing of GFS goes through, and comes out as the usual tools have it."""

import numpy as np
import pytest

from ingest.quality import examine
from ingest.source import ModelNeeds
from ingest.sources import open_source
from tests import bench_ingest
from tests.ingest.examples import CYCLE
from tests.ingest.full_state import write_full_state


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_full_state(tmp_path_factory.mktemp("full") / "analysis.grib2", spacing=2.5, processes=1)


def test_it_becomes_an_analysis_on_all_levels_that_does_not_block(path):
    analysis = open_source("files", path).fetch(CYCLE, ModelNeeds(64, 32))
    assert all(np.isfinite(variable).all() for variable in analysis.dataset.values())
    given = {level for one in analysis.provenance["air_temperature"] for level in one["levels"]}
    assert len(given) == 37
    assert examine(analysis).blocking == ()


@pytest.mark.slow
def test_decoded_and_regridded_it_equals_the_usual_way(path, tmp_path):
    pytest.importorskip("cfgrib")
    pytest.importorskip("dinosaur")
    ours = bench_ingest.sigmacast(path, (128, 64))()
    theirs = bench_ingest.usual(path, (128, 64))()
    np.savez(tmp_path / "ours.npz", **ours)
    np.savez(tmp_path / "theirs.npz", **theirs)
    assert len(ours) == 5 * 37 + 2 * 29
    assert bench_ingest.greatest_difference(tmp_path / "ours.npz", tmp_path / "theirs.npz") < 1e-5


def test_a_difference_is_seen(tmp_path):
    np.savez(tmp_path / "one.npz", field=np.array([1.0, 2.0]))
    np.savez(tmp_path / "other.npz", field=np.array([1.0, 2.5]))
    assert bench_ingest.greatest_difference(tmp_path / "one.npz", tmp_path / "other.npz") == pytest.approx(0.2)
