"""Decoded fields between the device and their frame: on disk, so that memory does not grow with members and windows."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy


class Spool:
    """Fields of members at lead times, in a directory of its own; what an earlier process left there is removed."""

    def __init__(self, directory: Path):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self._directory = directory

    def put(self, hour: int, member: int, fields: Mapping[str, np.ndarray]) -> None:
        """Keep the fields of a member at a lead time [h], in single precision, instead of any before."""
        single = {name: np.asarray(values, np.float32) for name, values in fields.items()}
        self._path(hour, member).write_bytes(safetensors.numpy.save(single))

    def take(self, hour: int, member: int) -> dict[str, np.ndarray]:
        """The fields of a member at a lead time [h], once."""
        path = self._path(hour, member)
        fields = safetensors.numpy.load(path.read_bytes())
        path.unlink()
        return fields

    def close(self) -> None:
        """Remove all that is left."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _path(self, hour: int, member: int) -> Path:
        return self._directory / f"{hour:05d}h-{member:05d}.safetensors"
