"""The state of an ensemble at the end of a window, on disk: checksummed, without pickle, complete or absent.

One safetensors file per window. Its header names the forecast (the hash of the specification, which holds
the model's hash, and of the analysis), the lead time, the members' attempts and losses, and the SHA-256 of
all arrays.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from forecast import files
from forecast.errors import RestartError

_PATTERN = "window-*h.safetensors"


@dataclass(frozen=True)
class SavedWindow:
    """What a forecast goes on from.

    `arrays` holds for each name one array [member, ...] in the order of `members`, whose entries are
    (member, attempt); `lost` describes members that were given up.
    """

    forecast_hash: str
    lead_hours: int
    members: tuple[tuple[int, int], ...]
    arrays: Mapping[str, np.ndarray]
    lost: Sequence[Mapping[str, Any]] = ()


def save(window: SavedWindow, directory: Path) -> Path:
    """Store a window under its lead time, durably and in one piece, then remove the earlier ones."""
    path = directory / f"window-{window.lead_hours:05d}h.safetensors"
    data = safetensors.numpy.save(dict(window.arrays), metadata={"sigmacast": json.dumps(_header(window))})
    with files.whole(path) as file:
        file.write(data)
    superseded = [other for other in directory.glob(_PATTERN) if other.name < path.name]
    for other in [*superseded, *directory.glob(f"{files.PARTIAL}*")]:
        other.unlink()
    return path


def load(path: Path) -> SavedWindow:
    """The window in a file; RestartError when it is incomplete or its arrays are not those that were saved."""
    try:
        with safetensors.safe_open(path, "np") as file:
            header = json.loads(file.metadata()["sigmacast"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        window = SavedWindow(
            header["forecast_hash"],
            header["lead_hours"],
            tuple((member, attempt) for member, attempt in header["members"]),
            arrays,
            tuple(header["lost"]),
        )
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise RestartError(f"{path.name} cannot be read: {error}") from error
    if header["sha256"] != _sha256(arrays):
        raise RestartError(f"{path.name} is damaged: its arrays do not have the SHA-256 {header['sha256'][:12]}")
    return window


def usable(directory: Path, forecast_hash: str, before_hours: int) -> Iterator[SavedWindow | RestartError]:
    """Windows of this forecast that end before a lead time, the latest first; for each that cannot be used, why."""
    for path in sorted(directory.glob(_PATTERN), reverse=True):
        try:
            window = load(path)
        except RestartError as error:
            yield error
            continue
        if window.forecast_hash != forecast_hash:
            yield RestartError(f"{path.name} belongs to another forecast, {window.forecast_hash[:12]}")
        elif window.lead_hours < before_hours:
            yield window


def _header(window: SavedWindow) -> dict[str, Any]:
    return {
        "forecast_hash": window.forecast_hash,
        "lead_hours": window.lead_hours,
        "members": [list(identity) for identity in window.members],
        "lost": [dict(loss) for loss in window.lost],
        "sha256": _sha256(window.arrays),
    }


def _sha256(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
