"""Published NeuralGCM archives (Kochkov et al. 2024, Nature 632, 1060) read as they are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from forecast.checkpoint.errors import InvalidArchive
from forecast.checkpoint.unpickling import loads
from forecast.fields import STATIC_FIELDS

MAX_ARCHIVE_BYTES = 4 * 1024**3
_MAX_STATIC_VALUES = 1 << 24
_KEYS = ("params", "aux_ds_dict", "model_config_str")
_STATIC_NAMES = {"land_sea_mask": "land_area_fraction", "geopotential_at_surface": "surface_geopotential"}


@dataclass(frozen=True)
class Archive:
    """What a published archive holds.

    `params` maps "haiku/module/path|leaf" to a float32 array. `static` has `land_area_fraction` and
    `surface_geopotential` (longitude, latitude), float32, with coordinates `level` [hPa, top first],
    `longitude` [degrees east, from 0] and `latitude` [degrees north, south first].
    `config_text` is the model's configuration, see `forecast.checkpoint.gin`.
    """

    params: dict[str, np.ndarray]
    static: xr.Dataset
    config_text: str


def read(path: Path | str) -> Archive:
    """Read the archive at `path`; nothing that it names is imported or called.

    Raises UnsafeArchive when it asks for more than arrays and plain containers, InvalidArchive when it is
    truncated, incomplete or holds something else than a model, FileNotFoundError when there is none.
    """
    return from_bytes(read_bytes(path))


def read_bytes(path: Path | str) -> bytes:
    """The bytes of the file at `path`. Raises InvalidArchive when it is larger than any published archive."""
    path = Path(path)
    if (size := path.stat().st_size) > MAX_ARCHIVE_BYTES:
        raise InvalidArchive(f"expected an archive of at most {MAX_ARCHIVE_BYTES} bytes, got {size} in {path}")
    return path.read_bytes()


def from_bytes(data: bytes) -> Archive:
    """The archive in `data`; errors as for `read`."""
    contents = loads(data)
    if not isinstance(contents, dict):
        raise InvalidArchive(f"expected an archive with {', '.join(_KEYS)}, got {_kind(contents)}")
    if missing := [key for key in _KEYS if key not in contents]:
        raise InvalidArchive(f"the archive lacks {', '.join(missing)}; it has {', '.join(map(str, contents))}")
    params, static, config_text = (contents[key] for key in _KEYS)
    if not isinstance(config_text, str):
        raise InvalidArchive(f"expected model_config_str to be text, got {_kind(config_text)}")
    return Archive(_flatten(params), _static(static), config_text)


def _kind(value: Any) -> str:
    return type(value).__name__


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidArchive(f"expected {name} to be a dictionary with text keys, got {_kind(value)}")
    return value


def _flatten(params: Any) -> dict[str, np.ndarray]:
    """{module: {leaf: array}} to {module|leaf: float32 array}."""
    flat = {
        f"{module}|{leaf}": _parameter(f"{module}|{leaf}", value)
        for module, leaves in _mapping(params, "params").items()
        for leaf, value in _mapping(leaves, f"params of {module!r}").items()
    }
    if not flat:
        raise InvalidArchive("the archive holds no parameters")
    return flat


def _parameter(name: str, value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.newbyteorder("=") != np.float32:
        got = value.dtype if isinstance(value, np.ndarray) else _kind(value)
        raise InvalidArchive(f"expected the parameter {name} to be a float32 array, got {got}")
    if not np.all(np.isfinite(value)):
        raise InvalidArchive(f"the parameter {name} holds values that are not finite")
    return np.array(value, dtype=np.float32, order="C")


def _static(document: Any) -> xr.Dataset:
    """The fixed fields, from a dataset in the form of `xarray.Dataset.to_dict`."""
    document = _mapping(document, "aux_ds_dict")
    variables = _mapping(document.get("data_vars"), "aux_ds_dict['data_vars']")
    coordinates = _mapping(document.get("coords"), "aux_ds_dict['coords']")
    axes = {name: _variable(coordinates, name, (name,)) for name in ("level", "longitude", "latitude")}
    for name, values in axes.items():
        if not np.all(np.diff(values) > 0):
            raise InvalidArchive(f"expected {name} in aux_ds_dict to increase, got {values[:4]}...")
    if not np.array_equal(axes["level"], np.round(axes["level"])):
        raise InvalidArchive(f"expected whole numbers of hPa as level in aux_ds_dict, got {axes['level'][:4]}...")
    shape = (axes["longitude"].size, axes["latitude"].size)
    fields = {ours: _field(variables, theirs, ours, shape) for theirs, ours in _STATIC_NAMES.items()}
    return xr.Dataset(fields, coords=axes | {"level": axes["level"].astype(np.int64)})


def _field(variables: dict[str, Any], name: str, canonical: str, shape: tuple[int, int]) -> xr.Variable:
    values = _variable(variables, name, ("longitude", "latitude"))
    field = STATIC_FIELDS[canonical]
    low, high = field.valid_range
    if values.shape != shape:
        raise InvalidArchive(f"expected {name} of shape {shape} (longitude, latitude), got {values.shape}")
    if not np.all((values >= low - 1e-6) & (values <= high + 1e-6)):
        raise InvalidArchive(f"expected {name} within {low}...{high} {field.units}, got others")
    return xr.Variable(("longitude", "latitude"), values.astype(np.float32), {"units": field.units})


def _variable(variables: dict[str, Any], name: str, dims: tuple[str, ...]) -> np.ndarray:
    """The float64 values of a variable, with its dimensions in the order of `dims`."""
    if name not in variables:
        raise InvalidArchive(f"the archive's aux_ds_dict lacks {name}; it has {', '.join(variables)}")
    entry = _mapping(variables[name], name)
    given = entry.get("dims")
    names = [dim for dim in given if isinstance(dim, str)] if isinstance(given, list | tuple) else []
    if sorted(names) != sorted(dims):
        raise InvalidArchive(f"expected {name} with the dimensions {', '.join(dims)}")
    values = _numbers(entry.get("data"), name, len(dims))
    return values.transpose([names.index(dim) for dim in dims])


def _numbers(data: Any, name: str, dimensions: int) -> np.ndarray:
    """An array, or equally long nested lists of numbers, as float64."""
    if isinstance(data, np.ndarray) and data.ndim == dimensions:
        return data.astype(np.float64)
    rows = data if dimensions == 2 else [data]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise InvalidArchive(f"expected {name} to be {dimensions}-dimensional lists of numbers, got {_kind(data)}")
    if len({len(row) for row in rows}) != 1 or sum(map(len, rows)) > _MAX_STATIC_VALUES:
        raise InvalidArchive(f"expected {name} as equally long rows of at most {_MAX_STATIC_VALUES} numbers")
    if not all(type(value) in (int, float) and abs(value) < 1e30 for row in rows for value in row):
        raise InvalidArchive(f"expected {name} to hold finite numbers only")
    return np.array(rows if dimensions == 2 else rows[0], dtype=np.float64)
