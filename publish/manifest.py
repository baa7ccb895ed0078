"""What a run published, and the proof: keys, sizes, SHA-256, and where the numbers came from.

The manifest of a run is written after everything it names, and `latest.json` after the manifest, so
that whoever reads either never meets an incomplete run.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forecast.times import require_utc
from publish.stores.base import ObjectDamaged, ObjectNotFound, Reader, sha256_of

SCHEMA = "sigmacast-manifest/1"


class ManifestError(ValueError):
    """This document is no manifest of ours."""


@dataclass(frozen=True)
class RunInfo:
    """What the published products say of the run that made them.

    `lead_hours` are all lead times that the run is to publish; `ensemble_size` counts the control;
    `longitude_count` is that of the model's grid. `inputs` are documents such as
    {"uri", "sha256", "bytes", "source"}; `seeds`, `versions` and `extra` are plain JSON.
    """

    run_id: str
    model: str
    model_hash: str
    init_time: datetime
    lead_hours: tuple[int, ...]
    ensemble_size: int
    longitude_count: int
    quorum: float = 0.9
    inputs: tuple[Mapping[str, Any], ...] = ()
    seeds: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    institution: str = "unspecified"
    licence: str = "unspecified"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_utc(self.init_time)
        if not self.lead_hours or min(self.lead_hours) < 0:
            raise ValueError(f"expected lead times from 0 hours on, got {self.lead_hours}")

    @property
    def provenance(self) -> dict[str, Any]:
        """All that identifies the making of the products, as JSON types."""
        return {
            "model": self.model,
            "model_hash": self.model_hash,
            "inputs": [dict(document) for document in self.inputs],
            "seeds": dict(self.seeds),
            "versions": dict(self.versions),
            **self.extra,
        }


@dataclass(frozen=True)
class PublishedObject:
    """One object in the store. `lead_hours` is None for an object of the whole run, such as a chart."""

    key: str
    bytes: int
    sha256: str
    kind: str
    media_type: str
    lead_hours: int | None
    members: tuple[int, ...]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "PublishedObject":
        """The object that `asdict` was made of. Raises ManifestError."""
        try:
            return cls(**{**document, "members": tuple(document["members"])})
        except (KeyError, TypeError) as error:
            raise ManifestError(f"expected the description of a published object, got {document!r}") from error


@dataclass(frozen=True)
class Manifest:
    """Everything that one complete run published.

    `lost` says which members were dropped, from which lead time, and why; `members` are those that
    reached the last lead time.
    """

    run_id: str
    product: str
    init_time: datetime
    published_at: datetime
    lead_hours: tuple[int, ...]
    ensemble_size: int
    members: tuple[int, ...]
    lost: tuple[Mapping[str, Any], ...]
    quorum: float
    grid_spacing: float
    institution: str
    licence: str
    provenance: Mapping[str, Any]
    objects: tuple[PublishedObject, ...]

    @property
    def partial(self) -> bool:
        """Whether members are missing at any lead time."""
        return bool(self.lost) or len(self.members) < self.ensemble_size

    def to_json(self) -> bytes:
        """The manifest as a JSON document."""
        document = {"schema": SCHEMA, "partial": self.partial, **asdict(self)}
        document |= {"init_time": moment_text(self.init_time), "published_at": moment_text(self.published_at)}
        return (json.dumps(document, indent=1, sort_keys=False) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """Read a manifest back. Raises ManifestError for anything else."""
        document = parse(content)
        if document.pop("schema", None) != SCHEMA:
            raise ManifestError(f"expected a document of schema {SCHEMA}, got {content[:60]!r}")
        document.pop("partial", None)
        try:
            for name in ("lead_hours", "members", "lost"):
                document[name] = tuple(document[name])
            for name in ("init_time", "published_at"):
                document[name] = datetime.fromisoformat(document[name])
            document["objects"] = tuple(map(PublishedObject.from_document, document["objects"]))
            return cls(**document)
        except (KeyError, TypeError) as error:
            raise ManifestError(f"expected a complete manifest, but: {error}") from error


def parse(content: bytes) -> dict[str, Any]:
    """A JSON object. Raises ManifestError when the bytes are none."""
    try:
        document = json.loads(content)
    except ValueError:
        raise ManifestError(f"expected a JSON document, got {content[:60]!r}") from None
    if not isinstance(document, dict):
        raise ManifestError(f"expected a JSON object, got {content[:60]!r}")
    return document


def latest_document(manifest: Manifest, manifest_key: str, manifest_sha256: str) -> bytes:
    """The pointer to a complete run."""
    document = {
        "product": manifest.product,
        "init_time": moment_text(manifest.init_time),
        "run_id": manifest.run_id,
        "manifest": manifest_key,
        "manifest_sha256": manifest_sha256,
        "published_at": moment_text(manifest.published_at),
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def verify(store: Reader, manifest: Manifest) -> list[str]:
    """Fetch every object that the manifest names and compare size and SHA-256.

    Returns one line per object that is missing or differs; an empty list is a sound run.
    """
    problems = []
    with TemporaryDirectory(prefix="sigmacast-verify-") as directory:
        path = Path(directory) / "object"
        for expected in manifest.objects:
            try:
                store.download(expected.key, path)
            except ObjectNotFound:
                problems.append(f"{expected.key}: missing")
                continue
            except ObjectDamaged as error:
                problems.append(f"{expected.key}: {error}")
                continue
            size, digest = path.stat().st_size, sha256_of(path)
            if size != expected.bytes:
                problems.append(f"{expected.key}: {size} bytes, expected {expected.bytes}")
            elif digest != expected.sha256:
                problems.append(f"{expected.key}: SHA-256 {digest}, expected {expected.sha256}")
    return problems


def moment_text(moment: datetime) -> str:
    """2026-11-21T06:00:00Z."""
    return require_utc(moment).isoformat().replace("+00:00", "Z")
