"""The whole command with the trained model, killed without warning and given again."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SIX_HOURS = ("run", "--source", "demo", "--cycle", "1959-01-02T00", "--members", "2", "--days", "0.25", "--json")
LEAD_TIMES = 4
PATIENCE = 300.0


class Machine:
    """One operator's directory: models, history, products, restart files."""

    def __init__(self, directory: Path):
        self.directory = directory
        places = {
            "DATABASE__URL": f"sqlite:///{directory}/history.db",
            "STORE__URL": str(directory / "products"),
            "PATHS__MODELS": str(directory / "models"),
            "PATHS__WORK": str(directory / "work"),
            "FORECAST__INTERVAL_HOURS": "2",
            "FORECAST__WINDOW_HOURS": "2",
            "PRODUCTS__LEVELS": "[500]",
            "CHARTS__LEAD_HOURS": "[6]",
        }
        self.environment = os.environ | {f"SIGMACAST_{name}": value for name, value in places.items()}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "sigmacast"), *arguments],
            env=self.environment,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def complete(self, *arguments: str) -> str:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        return out

    def saved_states(self) -> int:
        return len(list((self.directory / "work").rglob("*.safetensors")))

    def published_files(self) -> int:
        return len(list((self.directory / "products").rglob("*.grib2")))

    def manifests(self) -> list[Path]:
        return list((self.directory / "products").rglob("manifest.json"))

    def product_hashes(self) -> dict[str, str]:
        (manifest,) = self.manifests()
        objects: list[dict[str, Any]] = json.loads(manifest.read_text())["objects"]
        return {entry["key"]: entry["sha256"] for entry in objects}


def killed_once(machine: Machine, ready: Callable[[], bool], delay: float) -> None:
    """Starts the forecast and kills it `delay` seconds after `ready`."""
    process = machine.start(*SIX_HOURS)
    until = time.monotonic() + PATIENCE
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "the forecast does not get on"
        time.sleep(0.01)
    time.sleep(delay)
    assert not machine.manifests()
    process.kill()
    process.communicate()


@pytest.fixture
def machines(tmp_path: Path, neuralgcm_data: Any) -> tuple[Machine, Machine]:
    both = []
    for name in ("killed", "left alone"):
        (tmp_path / name).mkdir()
        machine = Machine(tmp_path / name)
        machine.complete("models", "import", str(neuralgcm_data.checkpoint), "--name", "demo")
        both.append(machine)
    return both[0], both[1]


def test_a_forecast_killed_again_and_again_publishes_what_it_would_have(machines: tuple[Machine, Machine]):
    machine, alone = machines
    moment = random.Random(time.time_ns()).uniform
    killed_once(machine, lambda: machine.saved_states() > 0, moment(0, 0.5))
    published = machine.published_files()
    killed_once(machine, lambda: machine.published_files() > published, moment(0, 0.5))
    ended = json.loads(machine.complete(*SIX_HOURS))
    alone.complete(*SIX_HOURS)
    assert machine.product_hashes() == alone.product_hashes()
    assert len([key for key in machine.product_hashes() if key.endswith("-em.grib2")]) == LEAD_TIMES
    again = json.loads(machine.complete(*SIX_HOURS))
    assert (again["run_id"], again["already"]) == (ended["run_id"], True)
