"""Promises of kept programs: whole or not at all, trusted or not used, bounded."""

import os
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest

from forecast import program_cache
from forecast.program_cache import Kept


@pytest.fixture
def directory(tmp_path: Path):
    before = program_cache._directory
    program_cache.keep_in(tmp_path / "programs")
    yield tmp_path / "programs"
    program_cache.keep_in(before)


def kept(size: int = 1000, value: int = 7) -> Kept:
    return Kept({"code": np.full(size, value, np.uint8)}, {"outputs": ["a"]})


def test_what_is_kept_comes_back(directory):
    program_cache.write("key", kept())
    found = program_cache.read("key")
    assert found is not None
    assert found.document == {"outputs": ["a"]}
    assert np.array_equal(found.arrays["code"], kept().arrays["code"])
    assert program_cache.read("another") is None


def test_nothing_is_kept_where_no_directory_is_given(directory):
    program_cache.keep_in(None)
    program_cache.write("key", kept())
    assert program_cache.read("key") is None
    assert not directory.exists()


@pytest.mark.parametrize("damage", ["a flipped bit", "cut short", "empty", "another document"])
def test_a_damaged_file_counts_as_none_and_is_replaced(directory, damage, caplog):
    program_cache.write("key", kept())
    (path,) = directory.iterdir()
    whole = path.read_bytes()
    flipped = whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]
    told = whole.replace(b'[\\"a\\"]', b'[\\"b\\"]')
    assert told != whole
    path.write_bytes(
        {"a flipped bit": flipped, "cut short": whole[:-9], "empty": b"", "another document": told}[damage]
    )
    assert program_cache.read("key") is None
    assert "is not used" in caplog.text
    program_cache.write("key", kept())
    assert program_cache.read("key") is not None


def test_a_file_that_others_may_write_is_not_run(directory):
    program_cache.write("key", kept())
    (path,) = directory.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    path.chmod(0o666)
    assert program_cache.read("key") is None


def test_a_file_of_another_user_is_not_run(directory, monkeypatch):
    program_cache.write("key", kept())
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    (path,) = directory.iterdir()
    if path.stat().st_uid == 0:
        os.chown(path, 12345, -1)
    assert program_cache.read("key") is None


def test_writers_at_the_same_time_leave_one_whole_file(directory):
    with ThreadPool(8) as writers:
        writers.map(lambda value: program_cache.write("key", kept(200_000, value)), range(8))
    found = program_cache.read("key")
    assert found is not None
    assert len(set(found.arrays["code"].tolist())) == 1
    assert len(list(directory.iterdir())) == 1


def test_what_was_used_longest_ago_makes_room(directory, monkeypatch):
    monkeypatch.setattr(program_cache, "BOUND_BYTES", 35_000)
    for index, key in enumerate(("oldest", "used", "newest")):
        program_cache.write(key, kept(10_000))
        os.utime(directory / f"{key}.safetensors", (index, index))
    assert program_cache.read("oldest") is not None
    program_cache.write("one more", kept(10_000))
    assert sorted(path.stem for path in directory.iterdir()) == ["newest", "oldest", "one more"]


def test_a_directory_that_cannot_be_written_costs_a_warning(tmp_path, caplog):
    before = program_cache._directory
    (tmp_path / "file").write_text("")
    program_cache.keep_in(tmp_path / "file")
    program_cache.write("key", kept())
    program_cache.keep_in(before)
    assert "cannot be kept" in caplog.text
