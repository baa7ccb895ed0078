"""Members over several devices: as many on each as the number allows, and each the same as on one device alone."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from forecast.ensemble import Ensemble

DEVICES, MEMBERS = 8, 9
FORECAST = """
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import jax
import numpy as np
from forecast import program_cache
from forecast.checkpoint import native
from forecast.ensemble import Ensemble
from forecast.integration import Integration
from forecast.spec import ForecastSpec
from ingest.source import ModelNeeds
from ingest.sources import open_source

archive, programs, directory, members = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
program_cache.keep_in(programs)
cycle, hour = datetime(1959, 1, 2, tzinfo=UTC), timedelta(hours=1)
checkpoint = native.from_archive(archive, "demo", cycle, "test")
spec = ForecastSpec(cycle, checkpoint.sha256, members=members, duration=hour, interval=hour, window=hour)
analysis = open_source("demo", None).fetch(cycle, ModelNeeds(128, 64)).dataset
on_device, worked, told = Integration._on_device, {}, []

def watched(self, window, group, reached):
    (device,) = {member.state.device for member in group}
    worked[device.id] = [member.number for member in group]
    return on_device(self, window, group, reached)

Integration._on_device = watched
progress = lambda lead, done, total: told.append((lead / hour, done, total))
frames = list(Ensemble(checkpoint, spec, analysis, directory, on_progress=progress).frames())
np.savez(directory / "fields.npz", **{name: frames[1].data[name].values for name in frames[1].data})
print(json.dumps({"devices": len(jax.devices()), "worked": worked, "told": told}))
"""


@pytest.fixture(scope="module")
def on_eight(tmp_path_factory, neuralgcm_data):
    """What each of eight devices did in a forecast, what was told of it, and its fields an hour on."""
    from forecast import program_cache

    directory = tmp_path_factory.mktemp("eight")
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES}"}
    arguments = [str(neuralgcm_data.checkpoint), str(program_cache._directory), str(directory), str(MEMBERS)]
    command = [sys.executable, "-c", FORECAST, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), np.load(Path(directory) / "fields.npz")


def test_each_device_has_as_many_members_as_the_number_allows(on_eight):
    found, _ = on_eight
    assert found["devices"] == DEVICES
    assert sorted(member for members in found["worked"].values() for member in members) == list(range(MEMBERS))
    counts = Counter(len(members) for members in found["worked"].values())
    assert counts == {MEMBERS // DEVICES: DEVICES - MEMBERS % DEVICES, MEMBERS // DEVICES + 1: MEMBERS % DEVICES}


def test_progress_adds_up_over_devices(on_eight):
    told = on_eight[0]["told"]
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == [1.0, float(MEMBERS), float(MEMBERS)]


def test_a_member_is_bitwise_the_same_on_any_device(on_eight, demo_checkpoint, demo_analysis, hourly, restart_dir):
    _, fields = on_eight
    alone = list(Ensemble(demo_checkpoint, hourly(1, members=2), demo_analysis, restart_dir).frames())[1].data
    for name in alone:
        assert np.array_equal(fields[name][:2] if "member" in alone[name].dims else fields[name], alone[name].values)
