"""Saved windows: whole or absent, and never taken for something else."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from forecast import restart
from forecast.errors import RestartError
from forecast.restart import SavedWindow


@pytest.fixture
def window() -> SavedWindow:
    rng = np.random.default_rng(0)
    arrays = {".state": rng.normal(size=(2, 3, 4)).astype(np.float32), ".hour": np.array([5, 5], np.int32)}
    return SavedWindow("a" * 64, 24, ((0, 0), (3, 1)), arrays, ({"member": 1, "lead_time_hours": 18, "reason": "NaN"},))


def test_a_window_comes_back_as_it_was_saved(window: SavedWindow, tmp_path: Path):
    loaded = restart.load(restart.save(window, tmp_path))
    assert (loaded.forecast_hash, loaded.lead_hours, loaded.members) == ("a" * 64, 24, ((0, 0), (3, 1)))
    assert loaded.lost == window.lost
    assert all(np.array_equal(loaded.arrays[name], array) for name, array in window.arrays.items())


def test_saving_a_window_removes_the_earlier_ones_and_what_a_kill_left(window: SavedWindow, tmp_path: Path):
    restart.save(window, tmp_path)
    (tmp_path / ".partial-abc").write_bytes(b"half")
    later = restart.save(dataclasses.replace(window, lead_hours=48), tmp_path)
    assert list(tmp_path.iterdir()) == [later]


@pytest.mark.parametrize("position", [0, 4, 40, 200, -1, -30])
def test_a_changed_byte_is_found(window: SavedWindow, tmp_path: Path, position: int):
    path = restart.save(window, tmp_path)
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)
    problems = list(restart.usable(tmp_path, "a" * 64, 1000))
    assert problems
    assert all(isinstance(problem, RestartError) for problem in problems) or _header_change_is_harmless(
        problems, window
    )


def _header_change_is_harmless(problems: list, window: SavedWindow) -> bool:
    return all(np.array_equal(problems[0].arrays[name], array) for name, array in window.arrays.items())


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_truncated_window_is_refused(window: SavedWindow, tmp_path: Path, kept: int):
    path = restart.save(window, tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RestartError, match="window-00024h"):
        restart.load(path)


def test_only_windows_of_this_forecast_that_end_before_the_wanted_lead_time_are_used(
    window: SavedWindow, tmp_path: Path
):
    restart.save(window, tmp_path)
    assert [found.lead_hours for found in restart.usable(tmp_path, "a" * 64, 30)] == [24]
    assert list(restart.usable(tmp_path, "a" * 64, 24)) == []
    (foreign,) = restart.usable(tmp_path, "b" * 64, 30)
    assert isinstance(foreign, RestartError)
    assert "belongs to another forecast" in str(foreign)
