"""A stored checkpoint is what was imported, or it is refused."""

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from forecast.checkpoint import native
from forecast.checkpoint.errors import CheckpointError, CorruptCheckpoint, ParameterMismatch, UnknownModel
from forecast.checkpoint.parameters import Parameters
from forecast.checkpoint.registry import describe_model, find_model, list_models

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def archive_path(tmp_path, contents):
    path = tmp_path / "published.pkl"
    path.write_bytes(pickle.dumps(contents, protocol=4))
    return path


@pytest.fixture
def checkpoint(archive_path):
    return native.from_archive(archive_path, "demo", NOW, "0.1.0")


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def test_what_is_loaded_is_what_was_saved(checkpoint, models):
    loaded = native.load(native.save(checkpoint, models))
    assert loaded.params.keys() == checkpoint.params.keys()
    for name, array in checkpoint.params.items():
        np.testing.assert_array_equal(loaded.params[name], array)
        assert loaded.params[name].dtype == np.float32
    assert loaded.static.identical(checkpoint.static.drop_attrs(deep=True))
    assert loaded.config_text == checkpoint.config_text
    assert loaded.provenance == checkpoint.provenance
    assert loaded.sha256 == checkpoint.sha256


def test_the_demo_archive_survives_the_conversion(demo_archive, models):
    checkpoint = native.from_archive(demo_archive, "tl63", NOW, "0.1.0")
    native.save(checkpoint, models)
    loaded = find_model(models, "tl63")
    assert all(np.array_equal(loaded.params[name], array) for name, array in checkpoint.params.items())
    assert describe_model(models, "tl63").parameter_count == 191_174


def test_the_licence_and_the_original_stay_with_the_weights(checkpoint, models, archive_path):
    native.save(checkpoint, models)
    document = json.loads((models / "demo" / "checkpoint.json").read_text())
    assert document["provenance"]["licence"] == "CC BY-SA 4.0"
    assert "Kochkov" in document["provenance"]["attribution"]
    assert document["provenance"]["original_file"] == archive_path.name
    assert len(document["provenance"]["original_sha256"]) == 64
    assert document["parameters"]["model/~/linear|w"] == [3, 2]


def test_the_hash_names_the_contents_and_not_the_import(archive_path, checkpoint):
    again = native.from_archive(archive_path, "other", NOW.replace(year=2027), "0.2.0")
    assert again.sha256 == checkpoint.sha256


def test_the_hash_changes_with_every_part_of_the_contents(checkpoint):
    params = {name: array.copy() for name, array in checkpoint.params.items()}
    params["model/~/linear|b"][0] = 1e-30
    renamed = {name.replace("linear", "other"): array for name, array in checkpoint.params.items()}
    static = checkpoint.static.copy(deep=True)
    static["land_area_fraction"][0, 0] = 0.5
    text = checkpoint.config_text
    hashes = {
        checkpoint.sha256,
        native.contents_sha256(params, checkpoint.static, text),
        native.contents_sha256(renamed, checkpoint.static, text),
        native.contents_sha256(checkpoint.params, static, text),
        native.contents_sha256(checkpoint.params, checkpoint.static, text + " "),
    }
    assert len(hashes) == 5


@pytest.mark.parametrize("file", ["arrays.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("position", [0.02, 0.5, 0.97])
def test_a_changed_byte_anywhere_is_noticed(checkpoint, models, file, position):
    path = native.save(checkpoint, models) / file
    data = bytearray(path.read_bytes())
    data[int(position * len(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptCheckpoint, match="import the archive again"):
        native.load(models / "demo")


@pytest.mark.parametrize("file", ["arrays.safetensors", "checkpoint.json"])
def test_a_truncated_or_missing_file_is_noticed(checkpoint, models, file):
    path = native.save(checkpoint, models) / file
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CorruptCheckpoint):
        native.load(models / "demo")
    path.unlink()
    with pytest.raises(CorruptCheckpoint):
        native.load(models / "demo")


def test_a_failed_save_leaves_nothing(checkpoint, models, monkeypatch):
    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(native, "_write", full_disk)
    with pytest.raises(OSError, match="no space"):
        native.save(checkpoint, models)
    assert list(models.iterdir()) == []


def test_saving_again_is_idempotent_and_other_contents_are_refused(checkpoint, models):
    assert native.save(checkpoint, models) == native.save(checkpoint, models)
    with pytest.raises(CheckpointError, match="with other contents"):
        native.save(replace(checkpoint, sha256="0" * 64), models)


def test_a_moved_model_does_not_pass_for_another(checkpoint, models):
    native.save(checkpoint, models).rename(models / "better")
    with pytest.raises(CorruptCheckpoint, match="saved as 'demo'"):
        find_model(models, "better")


def test_models_are_listed_by_name(checkpoint, models):
    assert list_models(models) == []
    native.save(replace(checkpoint, name="b"), models)
    native.save(replace(checkpoint, name="a"), models)
    assert [(model.name, model.parameter_count) for model in list_models(models)] == [("a", 32), ("b", 32)]


def test_an_unknown_model_is_answered_with_those_that_exist(checkpoint, models):
    with pytest.raises(UnknownModel, match="none yet"):
        find_model(models, "demo")
    native.save(checkpoint, models)
    with pytest.raises(UnknownModel, match="there are: demo"):
        find_model(models, "dem")


@pytest.mark.parametrize("name", ["", ".", "..", "../demo", "a/b", "a\\b", ".hidden", "-x", "a\n", "a" * 65, "a\0"])
def test_a_name_with_path_parts_is_no_name(checkpoint, models, name):
    for attempt in (
        lambda: find_model(models, name),
        lambda: native.save(replace(checkpoint, name=name), models),
    ):
        with pytest.raises(UnknownModel, match="expected a model name"):
            attempt()


def test_every_leaf_is_taken_once_and_with_its_shape(checkpoint):
    parameters = Parameters(checkpoint.params)
    for name, array in checkpoint.params.items():
        parameters.take(*name.split("|"), array.shape)
    parameters.check_all_taken()
    with pytest.raises(ParameterMismatch, match="asked for by two modules"):
        parameters.take("model/~/linear", "b", (2,))


def test_a_leaf_that_is_missing_misshapen_or_left_over_is_named(checkpoint):
    parameters = Parameters(checkpoint.params)
    with pytest.raises(ParameterMismatch, match=r"needs parameter 'model/~/new\|w' of shape \(1, 2\)"):
        parameters.take("model/~/new", "w", (1, 2))
    with pytest.raises(ParameterMismatch, match=r"'model/~/linear\|b': expected shape \(3,\), got \(2,\)"):
        parameters.take("model/~/linear", "b", (3,))
    with pytest.raises(ParameterMismatch, match=r"fit no module of the configuration: .*model/~/conv\|w"):
        parameters.check_all_taken()
