"""Our own checkpoint: arrays as safetensors, everything else as JSON, each verified when it is loaded.

A checkpoint is a directory of two files. `arrays.safetensors` holds parameters and static fields;
`checkpoint.json` holds the configuration text, the provenance, the table of parameters, the SHA-256 of
the contents (parameters, static fields, configuration: all that changes a forecast) and a seal, the SHA-256 of
the document itself.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import xarray as xr

from forecast.checkpoint import published
from forecast.checkpoint.errors import CheckpointError, CorruptCheckpoint, UnknownModel
from forecast.times import require_utc

DOCUMENT_NAME = "checkpoint.json"
ARRAYS_NAME = "arrays.safetensors"
FORMAT = "sigmacast-checkpoint-1"
LICENCE = "CC BY-SA 4.0"
ATTRIBUTION = (
    "Weights of a NeuralGCM model, by the NeuralGCM authors: D. Kochkov et al. 2024, Neural general circulation "
    "models for weather and climate, Nature 632, 1060-1066, https://doi.org/10.1038/s41586-024-07744-y. "
    "Converted to another file format; the values are unchanged."
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Provenance:
    """Where a checkpoint comes from: the imported file, when and by which version, and the weights' licence."""

    original_file: str
    original_sha256: str
    imported_at: str
    tool_version: str
    licence: str = LICENCE
    attribution: str = ATTRIBUTION


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to run.

    `params` maps "haiku/module/path|leaf" to a float32 array; `static` is as in `published.Archive`;
    `sha256` identifies the contents: equal hashes give equal forecasts, whatever the name.
    """

    name: str
    params: Mapping[str, np.ndarray]
    static: xr.Dataset
    config_text: str
    provenance: Provenance
    sha256: str


def check_name(name: str) -> str:
    """The name, or UnknownModel when it cannot be a model's: letters, digits and ._- only, no path."""
    if not _NAME.fullmatch(name):
        raise UnknownModel(f"expected a model name of at most 64 letters, digits, '.', '_' or '-', got {name!r}")
    return name


def from_archive(path: Path | str, name: str, imported_at: datetime, tool_version: str) -> Checkpoint:
    """The checkpoint of a published archive. Errors as `published.read`, and UnknownModel for an unfit name."""
    check_name(name)
    data = published.read_bytes(path)
    archive = published.from_bytes(data)
    provenance = Provenance(
        original_file=Path(path).name,
        original_sha256=hashlib.sha256(data).hexdigest(),
        imported_at=require_utc(imported_at).isoformat(),
        tool_version=tool_version,
    )
    sha256 = contents_sha256(archive.params, archive.static, archive.config_text)
    return Checkpoint(name, archive.params, archive.static, archive.config_text, provenance, sha256)


def contents_sha256(params: Mapping[str, np.ndarray], static: xr.Dataset, config_text: str) -> str:
    """SHA-256 over the configuration and every array's name, type, shape and values."""
    digest = hashlib.sha256(config_text.encode())
    for name, array in sorted(_arrays(params, static).items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _arrays(params: Mapping[str, np.ndarray], static: xr.Dataset) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint under the names they are stored by."""
    fields = {f"static:{name}": static[name].transpose(..., "longitude", "latitude").values for name in static}
    axes = {f"axis:{name}": static[name].values for name in static.coords}
    leaves = {f"param:{name}": array for name, array in params.items()}
    return {str(name): np.ascontiguousarray(array) for name, array in (leaves | fields | axes).items()}


def save(checkpoint: Checkpoint, directory: Path | str) -> Path:
    """Store under `directory`/name, completely or not at all; returns the path.

    Saving the same contents again changes nothing. Raises CheckpointError when the name holds other contents.
    """
    target = Path(directory) / check_name(checkpoint.name)
    if target.exists():
        return _same_contents(checkpoint, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        _write(partial / ARRAYS_NAME, safetensors.numpy.save(_arrays(checkpoint.params, checkpoint.static)))
        _write(partial / DOCUMENT_NAME, json.dumps(_document(checkpoint), indent=1).encode())
        partial.chmod(0o755)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return target


def _same_contents(checkpoint: Checkpoint, target: Path) -> Path:
    if (present := read_document(target)["sha256"]) != checkpoint.sha256:
        raise CheckpointError(
            f"a model named {checkpoint.name!r} with other contents ({present[:12]}) is already in {target.parent}; "
            f"choose another name for {checkpoint.sha256[:12]} or remove that directory"
        )
    return target


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _document(checkpoint: Checkpoint) -> dict[str, Any]:
    document = {
        "format": FORMAT,
        "name": checkpoint.name,
        "sha256": checkpoint.sha256,
        "provenance": asdict(checkpoint.provenance),
        "parameters": {name: list(array.shape) for name, array in sorted(checkpoint.params.items())},
        "config_text": checkpoint.config_text,
    }
    return document | {"seal": _seal(document)}


def _seal(document: Mapping[str, Any]) -> str:
    unsealed = {key: value for key, value in document.items() if key != "seal"}
    return hashlib.sha256(json.dumps(unsealed, sort_keys=True).encode()).hexdigest()


def read_document(path: Path) -> dict[str, Any]:
    """The verified `checkpoint.json` in the directory `path`. Raises CorruptCheckpoint."""
    try:
        document = json.loads((path / DOCUMENT_NAME).read_bytes())
    except (OSError, ValueError) as error:
        raise _corrupt(path, f"{DOCUMENT_NAME} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _corrupt(path, f"expected {DOCUMENT_NAME} in the format {FORMAT}")
    if document.get("seal") != _seal(document):
        raise _corrupt(path, f"{DOCUMENT_NAME} was changed after it was saved: its SHA-256 differs")
    if document["name"] != path.name:
        raise _corrupt(path, f"it was saved as {document['name']!r}; a model keeps its name")
    return document


def load(directory: Path | str) -> Checkpoint:
    """The checkpoint in `directory`. Raises CorruptCheckpoint unless every value is as it was saved."""
    path = Path(directory)
    document = read_document(path)
    try:
        arrays = safetensors.numpy.load((path / ARRAYS_NAME).read_bytes())
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise _corrupt(path, f"{ARRAYS_NAME} cannot be read: {error}") from error
    params, static = _split(arrays)
    config_text = document["config_text"]
    if (found := contents_sha256(params, static, config_text)) != document["sha256"]:
        raise _corrupt(path, f"expected contents with SHA-256 {document['sha256'][:12]}, got {found[:12]}")
    provenance = Provenance(**document["provenance"])
    return Checkpoint(document["name"], params, static, config_text, provenance, found)


def _split(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], xr.Dataset]:
    groups: dict[str, dict[str, np.ndarray]] = {"param": {}, "static": {}, "axis": {}}
    for stored, array in arrays.items():
        kind, _, name = stored.partition(":")
        groups.setdefault(kind, {})[name] = array
    fields = {name: (("longitude", "latitude"), array) for name, array in groups["static"].items()}
    try:
        return groups["param"], xr.Dataset(fields, coords=groups["axis"])
    except ValueError as error:
        raise CorruptCheckpoint(f"the static fields of the checkpoint do not fit their coordinates: {error}") from error


def _corrupt(path: Path, problem: str) -> CorruptCheckpoint:
    return CorruptCheckpoint(
        f"the checkpoint in {path} cannot be used: {problem}. Remove it and import the archive again."
    )
