"""A cycle of GFS as large as the real one: 0.25 degrees, complex packing with spatial differencing."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from tests.ingest import examples
from tests.ingest.feeds.gfs_files import CYCLE, Gfs
from tests.ingest.feeds.server import Loopback

BUCKET = "noaa-gfs-bdp-pds"
CLIENT = """
import json, re, sys, time
from datetime import datetime
from pathlib import Path
from ingest.cache import InputCache
from ingest.execute import carry_out, fetch_inputs
from ingest.planner import Offer, make_plan
from ingest.source import ModelNeeds
from ingest.sources.gfs import Gfs

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 2**20

cycle, needs = datetime.fromisoformat(sys.argv[3]), ModelNeeds(128, 64)
with InputCache(Path(sys.argv[2]), 1 << 34) as inputs:
    feed = Gfs(inputs, endpoint_url=sys.argv[1])
    plan = make_plan(needs, cycle, [Offer("gfs", cycle, feed.capability(cycle))])
    start = time.perf_counter()
    files = fetch_inputs(plan, {"gfs": feed})
    fetched, fetch_peak = time.perf_counter() - start, peak()
    analysis = carry_out(plan, needs, files)
    analysis.to_netcdf(Path(sys.argv[2]) / "analysis.nc")
size = sum(one["bytes"] for one in analysis.inputs)
made = time.perf_counter() - start - fetched
print(json.dumps({"bytes": size, "fetch_s": fetched, "analysis_s": made, "fetch_gib": fetch_peak, "peak_gib": peak()}))
"""


@pytest.mark.slow
def test_a_cycle_of_real_size_becomes_an_analysis_in_bounded_memory(tmp_path, repository):
    """Downloads take little memory whatever their size; the analysis stays below 3 GiB."""
    spacing = 0.25
    made = Gfs(longitudes=np.arange(1440) * spacing, latitudes=90.0 - np.arange(721) * spacing)
    with Loopback() as server:
        for key, content in made.files().items():
            server.publish(f"/{BUCKET}/{key}", content)
        command = [sys.executable, "-c", CLIENT, server.url, str(tmp_path), CYCLE.isoformat()]
        environment = os.environ | {"PYTHONPATH": str(repository)}
        done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["bytes"] > 100_000_000
    assert figures["fetch_gib"] < 0.6, figures
    assert figures["peak_gib"] < 3.0, figures
    compare(tmp_path / "analysis.nc")


def compare(path):
    """Smooth fields on a fine grid: the mean of a cell is nearly the value at its centre."""
    found = xr.load_dataset(path)
    truth = examples.state(found["longitude"].values, found["latitude"].values)
    for name, short_name, tolerance in (
        ("geopotential", "z", 80.0),
        ("air_temperature", "t", 0.1),
        ("eastward_wind", "u", 0.1),
        ("specific_humidity", "q", 1e-4),
    ):
        for level in (1, 50, 125, 500, 875, 1000):
            np.testing.assert_allclose(found[name].sel(level=level).values.T, truth[short_name, level], atol=tolerance)
