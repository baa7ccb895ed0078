"""Weights kept on disk are those that are made, and whatever befalls their files, so are the ones used."""

import numpy as np
import pytest

from forecast.grids import GaussianGrid, LatLonGrid, Regridder, weight_cache
from forecast.grids.weights import make_weights

SOURCE, TARGET = LatLonGrid(5.0), GaussianGrid(32, 16)


@pytest.fixture
def directory(tmp_path):
    weight_cache.keep_in(tmp_path / "weights")
    yield tmp_path / "weights"
    weight_cache.keep_in(None)


def same(one, other) -> bool:
    return all(np.array_equal(a.toarray(), b.toarray()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
def test_what_is_kept_is_what_is_made(directory, method, monkeypatch):
    made = make_weights(SOURCE, TARGET, method)
    assert same(weight_cache.weights(SOURCE, TARGET, method), made)
    (kept,) = directory.iterdir()
    monkeypatch.setattr(weight_cache, "make_weights", None)
    assert same(weight_cache.weights(SOURCE, TARGET, method), made)
    assert [kept] == list(directory.iterdir())


def test_grids_method_and_code_each_have_their_own_file(directory, monkeypatch):
    for source, target, method in (
        (SOURCE, TARGET, "conservative"),
        (SOURCE, TARGET, "bilinear"),
        (TARGET, SOURCE, "conservative"),
        (LatLonGrid(6.0), TARGET, "conservative"),
        (SOURCE, GaussianGrid(32, 18), "conservative"),
    ):
        weight_cache.weights(source, target, method)
    assert len(list(directory.iterdir())) == 5
    monkeypatch.setattr(weight_cache, "_CODE", b"another way to make them")
    weight_cache.weights(SOURCE, TARGET, "conservative")
    assert len(list(directory.iterdir())) == 6


def damaged(content: bytes, seed: int) -> bytes:
    """Cut off, emptied, or with some bytes changed."""
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        return content[: int(rng.integers(0, len(content)))]
    changed = bytearray(content)
    for position in rng.integers(0, len(content), 6):
        changed[position] ^= int(rng.integers(1, 256))
    return bytes(changed)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_is_made_again(directory, seed):
    made = weight_cache.weights(SOURCE, TARGET, "conservative")
    (path,) = directory.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, seed))
    assert same(weight_cache.weights(SOURCE, TARGET, "conservative"), made)
    assert same(weight_cache.weights(SOURCE, TARGET, "conservative"), made)


def test_weights_of_another_shape_are_not_taken(directory):
    weight_cache.weights(SOURCE, GaussianGrid(20, 10), "conservative")
    (other,) = directory.iterdir()
    weight_cache.weights(SOURCE, TARGET, "conservative")
    (path,) = set(directory.iterdir()) - {other}
    path.write_bytes(other.read_bytes())
    assert same(weight_cache.weights(SOURCE, TARGET, "conservative"), make_weights(SOURCE, TARGET, "conservative"))


def test_no_object_is_ever_loaded(directory):
    weight_cache.weights(SOURCE, TARGET, "conservative")
    (path,) = directory.iterdir()
    harmful = np.empty(1, dtype=object)
    harmful[0] = {"any": "object"}
    np.savez(path, longitude_data=harmful, allow_pickle=True)
    assert same(weight_cache.weights(SOURCE, TARGET, "conservative"), make_weights(SOURCE, TARGET, "conservative"))


def test_where_nothing_can_be_written_it_goes_on(directory, caplog):
    directory.write_text("a file, no directory")
    field = np.random.default_rng(0).normal(size=SOURCE.shape)
    result = Regridder(SOURCE, TARGET)(field)
    weight_cache.keep_in(None)
    np.testing.assert_array_equal(result, Regridder(SOURCE, TARGET)(field))
    assert "cannot be kept" in caplog.text


def test_nothing_is_left_of_a_write_that_fails(directory, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    weight_cache.weights(SOURCE, TARGET, "conservative")
    assert list(directory.iterdir()) == []
