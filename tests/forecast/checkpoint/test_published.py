"""A published archive is read as it is, and a file that is anything else is refused before it can act."""

import builtins
import collections
import copy
import functools
import operator
import os
import pickle
import struct
from typing import Any

import numpy as np
import pytest

from forecast.checkpoint.errors import InvalidArchive, UnsafeArchive
from forecast.checkpoint.published import from_bytes, read
from forecast.checkpoint.unpickling import loads


def pickled(content, protocol: int = 4) -> bytes:
    return pickle.dumps(content, protocol=protocol)


class Calls:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class WithState:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize("protocol", [3, 4])
def test_an_archive_gives_its_parameters_static_fields_and_configuration(contents, protocol):
    archive = from_bytes(pickled(contents, protocol))
    expected = contents["params"]
    assert set(archive.params) == {"model/~/linear|w", "model/~/linear|b", "model/~/conv|w"}
    for name, array in archive.params.items():
        module, leaf = name.split("|")
        np.testing.assert_array_equal(array, expected[module][leaf])
        assert array.dtype == np.float32 and array.flags.c_contiguous and array.flags.writeable
    assert archive.config_text == "LAYERS = 3\n"
    assert archive.static.land_area_fraction.dims == ("longitude", "latitude")
    np.testing.assert_array_equal(archive.static.surface_geopotential, [[1, 5], [2, 5], [3, 5], [4, 5]])
    assert archive.static.level.values.tolist() == [1, 500, 1000]


def test_arrays_written_by_numpy_before_2_read_the_same(contents):
    old = pickled(contents).replace(b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray")
    archive = from_bytes(_without_frames(old))
    np.testing.assert_array_equal(archive.params["model/~/linear|w"], contents["params"]["model/~/linear"]["w"])


def _without_frames(data: bytes) -> bytes:
    """The pickle with its FRAME instructions taken out, so that its length may differ from what they say."""
    position = data.index(b"\x95")
    return data[:position] + data[position + 9 :]


def test_big_endian_parameters_become_native(contents):
    contents["params"]["model/~/linear"]["w"] = np.arange(4, dtype=">f4")
    assert from_bytes(pickled(contents)).params["model/~/linear|w"].tolist() == [0, 1, 2, 3]


def test_the_demo_archive_is_read_completely(demo_archive):
    archive = read(demo_archive)
    assert sum(array.size for array in archive.params.values()) == 191_174
    assert dict(archive.static.sizes) == {"longitude": 128, "latitude": 64, "level": 37}
    assert "StochasticModularStepModel" in archive.config_text


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["alone", "parameter", "attribute", "configuration"])
def test_a_pickle_that_runs_a_command_runs_nothing(tmp_path, contents, protocol, place):
    proof = tmp_path / "executed"
    attack = Calls(os.system, f"touch {proof}")
    if place == "parameter":
        contents["params"]["model/~/linear"]["w"] = attack
    elif place == "attribute":
        contents["aux_ds_dict"]["attrs"]["id"] = attack
    else:
        contents["model_config_str"] = attack
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(attack if place == "alone" else contents, protocol))
    with pytest.raises(UnsafeArchive):
        read(path)
    assert not proof.exists()


@pytest.mark.parametrize(
    "attack",
    [
        Calls(builtins.eval, "1"),
        Calls(builtins.getattr, "x", "upper"),
        Calls(np.frompyfunc, len, 1, 1),
        Calls(pickle.loads, b"N."),
        WithState(1),
        collections.OrderedDict(a=1),
        {1, 2},
        frozenset({1}),
        bytearray(b"x"),
        np.float32(1),
        1j,
        os.system,
        np.array([1, "x"], dtype=object),
        np.array(["x"]),
        np.zeros(1, dtype=[("a", "f4")]),
        np.array(["2020-01-01"], dtype="M8[D]"),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_anything_but_arrays_of_numbers_and_plain_containers_is_refused(contents, attack):
    contents["params"]["model/~/linear"]["w"] = attack
    with pytest.raises(UnsafeArchive):
        from_bytes(pickled(contents))


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
_EMPTY = _RECONSTRUCT + b"(cnumpy\nndarray\nK\x00\x85C\x01btR"


@pytest.mark.parametrize(
    "program",
    {
        "a global named inline": b"cos\nsystem\n(" + _text("true") + b"tR.",
        "a global named on the stack": b"\x80\x04" + _text("posix") + _text("system") + b"\x93.",
        "an attribute of an admitted global": b"\x80\x04" + _text("numpy") + _text("ndarray.tofile") + b"\x93.",
        "a name that is no text": b"\x80\x04]]\x93.",
        "an instance": b"(ios\nsystem\n.",
        "an object made without __init__": b"cnumpy\nndarray\n)\x81.",
        "the constructor of ndarray": b"cnumpy\nndarray\n(K\x01\x85tR.",
        "a subclass in place of ndarray": _RECONSTRUCT + b"(cnumpy\ndtype\nK\x00\x85C\x01btR.",
        "an array larger than nothing": _RECONSTRUCT + b"(cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85C\x01btR.",
        "a persistent id": b"Ploot\n.",
        "a persistent id from the stack": b"K\x01Q.",
        "the extension registry": b"\x82\x01.",
        "an out-of-band buffer": b"\x80\x05\x97.",
        "state for a dictionary": b"}}" + _text("__class__") + b"K\x01sb.",
        "state for a global": b"cnumpy\nndarray\n}" + _text("x") + b"K\x01sb.",
        "slots for an array": _EMPTY + b"N}" + _text("x") + b"K\x01s\x86b.",
        "a dtype of objects": b"cnumpy\ndtype\n(" + _text("O8") + b"\x89\x88tR.",
        "a dtype from an import-like text": b"cnumpy\ndtype\n(" + _text("f4,O") + b"\x89\x88tR.",
        "an array before its dtype is complete": _EMPTY
        + b"(K\x01)cnumpy\ndtype\n("
        + _text("f4")
        + b"\x89\x88tR\x89C\x04aaaatb.",
        "an item appended to text": _text("x") + b"K\x01a.",
        "a container as key": b"}]K\x01s.",
    }.items(),
    ids=lambda item: item[0],
)
def test_tricks_of_the_protocol_are_refused(program):
    with pytest.raises(UnsafeArchive):
        loads(program[1])


@pytest.mark.parametrize(
    "program",
    {
        "nothing": b"",
        "no pickle": b"\x89HDF\r\n",
        "an empty stack": b".",
        "a recall of nothing": b"h\x07.",
        "a value that is not there": b"\x85.",
        "a mark that is not there": b"K\x01t.",
        "a mark as value": b"(\x85.",
        "two values": b"K\x01K\x02.",
        "a key without value": b"}(" + _text("a") + b"u.",
        "a text longer than the file": b"X\xff\xff\xff\x7fabc.",
        "bytes longer than memory": b"\x8e" + b"\xff" * 7 + b"\x7f.",
    }.items(),
    ids=lambda item: item[0],
)
def test_malformed_pickles_are_invalid(program):
    with pytest.raises((InvalidArchive, UnsafeArchive)):
        loads(program[1])


def test_every_truncation_is_invalid(contents):
    data = pickled(contents)
    for length in range(0, len(data) - 1, 7):
        with pytest.raises(InvalidArchive):
            from_bytes(data[:length])


def test_arrays_cannot_hold_more_bytes_than_the_file():
    shared = np.zeros(1000, np.float32)
    state = shared.__reduce__()[2]
    data = pickled([_ArrayOf(state) for _ in range(50)])
    assert len(data) < 10 * shared.nbytes
    with pytest.raises(UnsafeArchive, match="more bytes than the file"):
        loads(data)


class _ArrayOf:
    """Pickles as an array whose contents are shared with others."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        return (*np.zeros(0, np.float32).__reduce__()[:2], self.state)


def test_an_exponentially_nested_archive_is_refused_at_once(contents):
    nest: list = []
    for _ in range(60):
        nest = [nest] * 10
    for place in ("data", "dims"):
        content = copy.deepcopy(contents)
        content["aux_ds_dict"]["data_vars"]["land_sea_mask"][place] = nest
        with pytest.raises(InvalidArchive):
            from_bytes(pickled(content))
    with pytest.raises(InvalidArchive):
        from_bytes(pickled(contents | {"params": nest}))


MASK = ("aux_ds_dict", "data_vars", "land_sea_mask")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("params",), None, "lacks params"),
        (("aux_ds_dict",), None, "lacks aux_ds_dict"),
        (("model_config_str",), None, "lacks model_config_str"),
        (("model_config_str",), 3, "to be text, got int"),
        (("params",), {}, "no parameters"),
        (("params",), [1], "expected params"),
        (("params", "model/~/linear"), np.zeros(2, np.float32), "expected params of 'model/~/linear'"),
        (("params", "model/~/linear", "w"), [1.0], r"linear\|w to be a float32 array, got list"),
        (("params", "model/~/linear", "w"), np.zeros(2), "float32 array, got float64"),
        (("params", "model/~/linear", "w"), np.float32([np.nan]), "not finite"),
        (("aux_ds_dict", "data_vars", "land_sea_mask"), None, "lacks land_sea_mask"),
        ((*MASK, "data"), [[0.5, 7.0]] * 4, "within 0.0...1.0"),
        ((*MASK, "data"), [[0.5]] * 4, "of shape"),
        ((*MASK, "data"), [[0.5, 1.0], [0.5]], "equally long"),
        ((*MASK, "data"), [["a", "b"]] * 4, "numbers only"),
        ((*MASK, "data"), [[0.5, 10**400]] * 4, "finite"),
        ((*MASK, "dims"), ["latitude"], "with the dimensions"),
        ((*MASK, "dims"), [np.zeros(2), "latitude"], "with the dimensions"),
        (("aux_ds_dict", "coords", "latitude", "data"), [45.0, -45.0], "latitude in aux_ds_dict to increase"),
        (("aux_ds_dict", "coords", "level"), None, "lacks level"),
        (("aux_ds_dict", "coords", "level", "data"), [0.5, 500.0, 1000.0], "whole numbers of hPa"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_that_is_no_complete_model_is_invalid(contents, path, value, message):
    *parents, key = path
    target: Any = functools.reduce(operator.getitem, parents, contents)
    if value is None:
        del target[key]
    else:
        target[key] = value
    with pytest.raises(InvalidArchive, match=message):
        from_bytes(pickled(contents))


def test_a_pickle_of_something_else_is_invalid():
    with pytest.raises(InvalidArchive, match="expected an archive with params"):
        from_bytes(pickled([1, 2]))
