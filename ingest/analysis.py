"""The analysis: the one thing that ingest hands on, and its file, with which a run can be resumed."""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import xarray as xr

from forecast.times import require_utc
from ingest.errors import Broken


class Origin(TypedDict):
    """Where the values of some levels come from; surface fields have no levels."""

    levels: list[int]
    method: str
    source: str


class InputFile(TypedDict):
    """One file that was read; `valid_time` and `retrieved_at` in ISO 8601, `details` such as ERA5's expver."""

    uri: str
    sha256: str
    bytes: int
    source: str
    valid_time: NotRequired[str]
    retrieved_at: NotRequired[str]
    details: NotRequired[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Analysis:
    """The state of the atmosphere at one time, on the model's Gaussian grid, in SI units.

    `dataset` holds float32 variables named as in `forecast.fields`: the level fields with dimensions
    (level, longitude, latitude) and the forcing fields with (longitude, latitude); levels in hPa, top
    first; longitudes from 0, latitudes south first; no missing values. `provenance` tells for each
    variable how the values of each level came to be; `plan` is the plan it was made by, where there was one.
    """

    dataset: xr.Dataset
    valid_time: datetime
    provenance: dict[str, list[Origin]]
    inputs: list[InputFile]
    plan: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        require_utc(self.valid_time)

    @property
    def sha256(self) -> str:
        """Hash of everything in it: values, coordinates, time and provenance."""
        return hashlib.sha256(f"{self._document()}{self.values_sha256}".encode()).hexdigest()

    @property
    def values_sha256(self) -> str:
        """Hash of values and coordinates alone."""
        digest = hashlib.sha256()
        for name in sorted(map(str, self.dataset.variables)):
            variable = self.dataset.variables[name]
            digest.update(f"{name}{variable.dims}{variable.shape}".encode())
            dtype = "<f4" if variable.dtype == np.float32 else "<f8"
            digest.update(np.ascontiguousarray(variable.values, dtype=dtype).tobytes())
        return digest.hexdigest()

    def to_netcdf(self, path: Path) -> None:
        """Save to a file, which appears complete or not at all."""
        attributes = {"analysis": self._document(), "sha256": self.sha256, "Conventions": "CF-1.8"}
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        try:
            self.dataset.assign_attrs(attributes).to_netcdf(partial, engine="netcdf4")
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            os.unlink(partial)
            raise

    @classmethod
    def from_netcdf(cls, path: Path) -> "Analysis":
        """Load what `to_netcdf` saved; raises Broken when it is not the same to the last bit."""
        try:
            dataset = xr.load_dataset(path, engine="netcdf4")
            document, expected = json.loads(dataset.attrs.pop("analysis")), dataset.attrs.pop("sha256")
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise Broken(f"{path}: expected a saved analysis, but it cannot be read: {error}") from error
        dataset.attrs.pop("Conventions", None)
        valid_time = datetime.fromisoformat(document["valid_time"]).astimezone(UTC)
        analysis = cls(dataset, valid_time, document["provenance"], document["inputs"], document["plan"])
        if analysis.sha256 != expected:
            raise Broken(f"{path}: expected content with SHA-256 {expected}, found {analysis.sha256}")
        return analysis

    def _document(self) -> str:
        content = {
            "valid_time": self.valid_time.isoformat(),
            "provenance": self.provenance,
            "inputs": self.inputs,
            "plan": self.plan,
        }
        return json.dumps(content, sort_keys=True)
