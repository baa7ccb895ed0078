"""Promises of compiled programs: the same in every process, never those of another model, source or machine."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from forecast import program_cache, programs
from forecast.ahead import ahead
from forecast.native import library

IDENTITY = {"operation": "double"}


@pytest.fixture
def directory(tmp_path: Path):
    before = program_cache._directory
    program_cache.keep_in(tmp_path / "programs")
    yield tmp_path / "programs"
    program_cache.keep_in(before)


def double(x: jax.Array, unused: jax.Array) -> dict[str, jax.Array]:
    return {"twice": 2 * x, "sum": x.sum()}


def test_a_program_goes_on_living_on_disk(directory):
    values = np.arange(4.0, dtype=np.float32)
    key = programs.key_of(IDENTITY)
    assert programs.kept(key) is None
    made = programs.lowered(double, (values, values)).compiled(key)
    kept = programs.kept(key)
    assert kept is not None
    assert {name: (x.shape, x.dtype.name) for name, x in kept.outputs.items()} == {
        "sum": ((), "float32"),
        "twice": ((4,), "float32"),
    }
    device = jax.devices()[0]
    for program in (made, kept):
        found = program(device, (values, values))
        assert np.array_equal(found["twice"], 2 * values)
        assert float(found["sum"]) == 6.0


def test_code_that_is_none_is_made_again(directory, caplog):
    key = programs.key_of(IDENTITY)
    program_cache.write(key, program_cache.Kept({"code": np.zeros(100, np.uint8)}, {"twice": [[4], "<f4"]}))
    assert programs.kept(key) is None
    assert "is not used" in caplog.text


def test_the_key_tells_settings_environment_and_source_apart(monkeypatch):
    plain = programs.key_of(IDENTITY)
    assert plain == programs.key_of(dict(IDENTITY))
    assert plain != programs.key_of({"operation": "treble"})
    for change in ("_source", "_host"):
        with monkeypatch.context() as changed:
            changed.setattr(programs, change, lambda: "other")
            programs._environment.cache_clear()
            assert programs.key_of(IDENTITY) != plain
    with monkeypatch.context() as changed:
        changed.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
        programs._environment.cache_clear()
        assert programs.key_of(IDENTITY) != plain
    programs._environment.cache_clear()
    with jax.enable_x64(True):
        assert programs.key_of(IDENTITY) != plain


def test_a_forecast_with_kept_programs_neither_traces_nor_builds_the_model(
    demo_checkpoint, demo_analysis, hourly, tmp_path
):
    from forecast.ensemble import Ensemble

    list(Ensemble(demo_checkpoint, hourly(2, members=1), demo_analysis, tmp_path / "first").frames())
    code = f"""
import sys
from pathlib import Path
from forecast import program_cache
from forecast.native import library
from forecast.members import Identity, Members
from forecast.operations import Operations
from forecast.model_state import from_named
import datetime
import numpy as np
program_cache.keep_in(Path({str(program_cache._directory)!r}))
library.forbid({not library.available()})
operations = Operations(None, {{"checkpoint": {demo_checkpoint.sha256!r}, "towers": "None"}})
members = Members(operations, datetime.datetime(1959, 1, 2, tzinfo=datetime.UTC))
fields = dict.fromkeys({sorted(str(name) for name in level_fields())!r}, np.full((37, 128, 64), 250.0, np.float32))
forcing = dict.fromkeys(("sea_surface_temperature", "sea_ice_area_fraction"), np.ones((128, 64), np.float32))
members.prepare(fields, forcing)
state = members.encode(fields, forcing, Identity(0))
print(state.state.vorticity.shape, "forecast.model" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(128, 32, 65) False"


def level_fields():
    from forecast.fields import LEVEL_FIELDS

    return LEVEL_FIELDS


def test_an_iterator_works_ahead_by_one_item_and_raises_in_its_place():
    begun: list[int] = []

    def items():
        for number in range(3):
            begun.append(number)
            yield number
        raise ValueError("the fourth")

    ahead_of_us = ahead(items())
    assert next(ahead_of_us) == 0
    assert next(ahead_of_us) == 1
    ahead_of_us.close()
    assert begun == [0, 1, 2]
    assert len(list(zip(range(3), ahead(items()), strict=False))) == 3
    with pytest.raises(ValueError, match="the fourth"):
        list(ahead(items()))
