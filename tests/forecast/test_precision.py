"""Double precision throughout, and towers in half of the digits: what each changes, and where it is refused."""

import json
import subprocess
import sys
from datetime import timedelta

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.ensemble import Ensemble
from forecast.errors import ForecastError
from forecast.members import Identity, Members
from forecast.model import HybridModel
from forecast.spec import ForecastSpec
from tests.forecast.conftest import CYCLE

HOUR = timedelta(hours=1)
FORECAST = """
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import numpy as np
from forecast import program_cache
from forecast.checkpoint import native
from forecast.ensemble import Ensemble
from forecast.integration import Integration
from forecast.spec import ForecastSpec
from ingest.source import ModelNeeds
from ingest.sources import open_source

archive, programs, directory, precision = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
program_cache.keep_in(programs)
cycle, hour = datetime(1959, 1, 2, tzinfo=UTC), timedelta(hours=1)
checkpoint = native.from_archive(archive, "demo", cycle, "test")
times = {"duration": 3 * hour, "interval": hour, "window": hour}
spec = ForecastSpec(cycle, checkpoint.sha256, members=1, precision=precision, **times)
analysis = open_source("demo", None).fetch(cycle, ModelNeeds(128, 64)).dataset
windows, means = Integration.windows, []

def watched(self, *arguments):
    for finished in windows(self, *arguments):
        (state,) = finished.states
        means.append(float(state.state.log_surface_pressure[0, 0, 0]))
        types = sorted({str(x.dtype) for x in (state.state.vorticity, state.randomness, *state.state.tracers.values())})
        yield finished

    print(json.dumps({"types": types, "means": means}))

Integration.windows = watched
frames = list(Ensemble(checkpoint, spec, analysis, directory).frames())
np.savez(directory / "fields.npz", **{name: frames[3].data[name].values for name in frames[3].data})
"""


@pytest.fixture(scope="module")
def forecasts(tmp_path_factory, neuralgcm_data):
    """Three hours in both precisions, each in a process of its own: state types, mean of ln(ps) and fields."""
    from forecast import program_cache

    found = {}
    for precision in ("float32", "float64"):
        directory = tmp_path_factory.mktemp(precision)
        arguments = [str(neuralgcm_data.checkpoint), str(program_cache._directory), str(directory), precision]
        done = subprocess.run([sys.executable, "-c", FORECAST, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[precision] = json.loads(done.stdout.splitlines()[-1]), dict(np.load(directory / "fields.npz"))
    return found


def test_a_forecast_is_of_one_precision_from_end_to_end(forecasts):
    assert forecasts["float32"][0]["types"] == ["float32"]
    assert forecasts["float64"][0]["types"] == ["float64"]
    assert {values.dtype.name for values in forecasts["float64"][1].values()} == {"float32"}


def test_double_precision_agrees_with_single_to_rounding(forecasts):
    single, double = forecasts["float32"][1], forecasts["float64"][1]
    for name in ("air_temperature", "eastward_wind", "specific_humidity", "surface_air_pressure"):
        difference = float(np.abs(single[name] - double[name]).max())
        assert 0 < difference < 2e-3 * float(double[name].std()), name


def test_precision_is_part_of_what_a_forecast_is():
    plain = ForecastSpec(CYCLE, "m")
    assert ForecastSpec(CYCLE, "m", precision="float64").hash != plain.hash
    assert ForecastSpec(CYCLE, "m", towers="bfloat16").hash != plain.hash
    with pytest.raises(ValueError, match="towers in bfloat16 go with float32"):
        ForecastSpec(CYCLE, "m", precision="float64", towers="bfloat16")


def test_towers_in_bfloat16_are_refused_on_a_cpu(demo_checkpoint, demo_analysis, hourly, restart_dir):
    with pytest.raises(ForecastError, match='computes on a CPU: set forecast.towers = "float32"'):
        Ensemble(demo_checkpoint, hourly(1, towers="bfloat16"), demo_analysis, restart_dir)


def test_towers_in_bfloat16_change_a_step_by_less_than_their_rounding(demo_checkpoint, demo_analysis):
    """A product of bfloat16 keeps 8 bits; what physics does in an hour is a small part of the state."""
    from forecast.ensemble import analysis_fields
    from forecast.forcing import forcing_of

    fields = analysis_fields(demo_analysis, demo_checkpoint.static)
    forcing = forcing_of(demo_analysis, CYCLE).at(CYCLE)
    decoded = {}
    for kind in (None, jnp.bfloat16):
        members = Members(HybridModel(demo_checkpoint, kind), CYCLE)
        start = members.encode(fields, forcing, Identity(0))
        (end,) = members.advance([start], [Identity(0)], forcing, 0, 1)
        decoded[kind], wrong = members.decode(end, forcing)
        assert wrong is None
    for name in ("air_temperature", "eastward_wind", "northward_wind", "geopotential"):
        single, half = decoded[None][name], decoded[jnp.bfloat16][name]
        error = np.sqrt(np.mean((single - half) ** 2, axis=(-2, -1)) / np.var(single, axis=(-2, -1)))
        assert 0 < error.max() < 0.02, name
    assert not jax.config.jax_enable_x64
