"""Compiled programs, and the arrays that they work on, kept on disk from one process to the next. No JAX.

One safetensors file each, named by a hash of all that it was made from. A file appears complete or not at all, whoever
else writes the same one, and carries the SHA-256 of its contents: a damaged one counts as none. So does a file that
others than its owner may write, since programs are machine code that this process will run. When the directory
grows beyond its bound, what was used longest ago goes first.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from forecast import files

BOUND_BYTES = 2 * 1024**3
"""How large a directory of programs may grow; those of one model and device take 15 to 300 MB."""

_PATTERN = "*.safetensors"
_LOG = logging.getLogger(__name__)

_directory: Path | None = None


def keep_in(directory: Path | None) -> None:
    """Keep programs in a directory from now on, in this process; None: nowhere."""
    global _directory
    _directory = directory


@dataclass(frozen=True)
class Kept:
    """What a file holds: arrays, and what is to be known of them."""

    arrays: Mapping[str, np.ndarray]
    document: Mapping[str, Any]


def read(key: str) -> Kept | None:
    """What is kept under a key, None when there is nothing or it cannot be trusted."""
    path = _path(key)
    if path is None or not _is_ours_alone(path):
        return None
    try:
        with safetensors.safe_open(path, "np") as file:
            told = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        kept = Kept(arrays, json.loads(told["document"]))
        if told["sha256"] != _sha256(kept):
            raise ValueError("its contents do not have their SHA-256")
        os.utime(path)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        _LOG.warning("the kept program %s is not used: %s", path.name, error)
        return None
    return kept


def write(key: str, kept: Kept) -> None:
    """Keep something under a key, durably; a directory that cannot be written costs a warning and no more."""
    path = _path(key)
    if path is None:
        return
    metadata = {"document": json.dumps(dict(kept.document)), "sha256": _sha256(kept)}
    try:
        with files.whole(path) as file:
            file.write(safetensors.numpy.save(dict(kept.arrays), metadata=metadata))
        _bound(path)
    except OSError as error:
        _LOG.warning("compiled programs cannot be kept in %s: %s", path.parent, error)


def _path(key: str) -> Path | None:
    return _directory and _directory / f"{key}.safetensors"


def _is_ours_alone(path: Path) -> bool:
    """Whether the file is there, belongs to us or to the system, and nobody else may write it."""
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022


def _sha256(kept: Kept) -> str:
    digest = hashlib.sha256(json.dumps(dict(kept.document)).encode())
    for name, array in sorted(kept.arrays.items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _bound(newest: Path) -> None:
    """Remove what was used longest ago until the rest fits; another process may be doing the same."""
    found = []
    for path in newest.parent.glob(_PATTERN):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append((status.st_mtime_ns, status.st_size, path))
    room = BOUND_BYTES
    for _, size, path in sorted(found, reverse=True):
        room -= size
        if room < 0 and path != newest:
            path.unlink(missing_ok=True)
