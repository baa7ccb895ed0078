"""The import rule of the house, as the import graph has it and as a fresh interpreter sees it."""

import subprocess
import sys
from pathlib import Path

import pytest

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in {names!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        if not module.name.startswith("db.migrations"):
            importlib.import_module(module.name)
print(*sorted({forbidden!r} & set(sys.modules)))
"""
SHARED = [f"forecast.{name}" for name in ("checkpoint", "constants", "fields", "frame", "grids", "spec", "times")]


def imported(names: list[str], forbidden: set[str], repository: Path) -> list[str]:
    """Those of the forbidden modules that are loaded once all modules of the packages are imported."""
    code = IMPORT_ALL.format(names=names, forbidden=forbidden)
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_import_goes_one_way_through_the_house(repository):
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("names", [["db"], ["ingest"], ["publish"], ["ops"], SHARED], ids="+".join)
def test_without_a_forecast_no_process_loads_jax(names, repository):
    assert imported(names, {"flax", "jax", "jaxlib"}, repository) == []


def test_no_package_loads_the_reference_implementation(repository):
    names = ["db", "forecast", "ingest", "ops", "publish"]
    assert imported(names, {"dinosaur", "haiku", "neuralgcm"}, repository) == []


def test_a_process_that_writes_grib_and_its_history_to_postgresql_ends_cleanly(repository):
    code = "import ops.worker, ops.stages, publish.writers.grib2, ingest.grib, eccodes, psycopg"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
