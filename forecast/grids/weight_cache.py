"""Weights kept on disk, one file for each pair of grids and method.

A file's name is a hash of both grids, the method and the code that makes weights; a damaged file counts as none.
"""

import hashlib
import logging
import zipfile
import zlib
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from forecast import files
from forecast.grids import weights as making
from forecast.grids.grid import Grid
from forecast.grids.weights import Method, Weights, make_weights

_CODE = Path(making.__file__).read_bytes()
_PARTS = ("data", "indices", "indptr", "shape")
_ROUNDING = 1e-9

_directory: Path | None = None


def keep_in(directory: Path | None) -> None:
    """Keep weights in a directory from now on, in this process; None: nowhere."""
    global _directory
    _directory = directory


def weights(source: Grid, target: Grid, method: Method) -> Weights:
    """The weights from one grid to another, read where they are kept, else made and kept."""
    path = _directory and _directory / f"{_key(source, target, method)}.npz"
    if path is None:
        return make_weights(source, target, method)
    if (kept := _read(path, target)) is not None:
        return kept
    made = make_weights(source, target, method)
    try:
        _write(path, made)
    except OSError as error:
        logging.getLogger(__name__).warning("regridding weights cannot be kept in %s: %s", path.parent, error)
    return made


def _key(source: Grid, target: Grid, method: Method) -> str:
    digest = hashlib.sha256(_CODE + method.encode())
    for axis in (source.longitudes, source.latitudes, target.longitudes, target.latitudes):
        digest.update(f"{axis.size}:".encode() + np.ascontiguousarray(axis, dtype="<f8").tobytes())
    return digest.hexdigest()


def _read(path: Path, target: Grid) -> Weights | None:
    """The weights of a file, None when there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            kept = Weights(*(_matrix({part: file[f"{axis}_{part}"] for part in _PARTS}) for axis in Weights._fields))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return None
    rows = [len(matrix.indptr) - 1 for matrix in kept]
    return kept if rows == [target.longitudes.size, target.latitudes.size] else None


def _matrix(parts: dict[str, np.ndarray]) -> csr_array:
    """A matrix from its parts; ValueError when they are not those of weights."""
    matrix = csr_array((parts["data"], parts["indices"], parts["indptr"]), shape=tuple(parts["shape"]))
    matrix.check_format()
    if not np.all(np.abs(matrix.sum(axis=1) - 1.0) < _ROUNDING):
        raise ValueError("expected rows that sum to 1")
    return matrix


def _write(path: Path, made: Weights) -> None:
    arrays = {}
    for axis, matrix in made._asdict().items():
        parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": matrix.shape}
        arrays |= {f"{axis}_{part}": np.asarray(values) for part, values in parts.items()}
    with files.whole(path) as file:
        np.savez(file, **arrays)
