"""Everything that a reader can check of a published run, with nothing but what anybody may read.

The pointer names the manifest by its SHA-256, the signature vouches for the manifest, the manifest for every
object, the indices for the messages inside them, and the status must tell the same story.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from publish.layout import LATEST, Layout, signature, status_of
from publish.manifest import Manifest, ManifestError, parse, verify
from publish.signature import complaint
from publish.status import State, Status
from publish.stores.base import ObjectNotFound, Reader, sha256_of

_BEGIN, _END = b"GRIB", b"7777"


@dataclass(frozen=True)
class Report:
    """What was found. `signed_by` is the public key of the signature (PEM), None for a run that is not signed."""

    run_id: str
    manifest: str
    objects: int
    bytes: int
    signed_by: str | None
    problems: tuple[str, ...]


def latest_manifest(store: Reader) -> tuple[str, str]:
    """Key and expected SHA-256 of the manifest that the store points to. Raises ObjectNotFound, ManifestError."""
    document = parse(store.get(LATEST))
    try:
        return document["manifest"], document["manifest_sha256"]
    except KeyError as error:
        raise ManifestError(f"{LATEST} of {store.url} does not name {error}") from None


def root_and_key(url: str, manifest: Manifest) -> tuple[str, str]:
    """The address of the store and the key of a manifest, from the manifest's own address. Raises ManifestError."""
    prefix = Layout(manifest.product, manifest.init_time, manifest.grid_spacing).prefix
    root, found, name = url.rpartition(f"/{prefix}")
    if not found:
        raise ManifestError(f"expected the address of a manifest to end in {prefix}manifest.json, got {url}")
    return root, prefix + name


def check(
    store: Reader, manifest_key: str, expected_sha256: str | None = None, key: Ed25519PublicKey | None = None
) -> Report:
    """Check one run. With a `key` the manifest must be signed by it. Raises ManifestError for no manifest at all."""
    content = store.get(manifest_key)
    manifest = Manifest.from_json(content)
    problems = list(_pointer_problems(manifest_key, content, expected_sha256))
    signed_by, told = _signature(store, manifest_key, content, key)
    problems += told
    problems += _status_problems(store, manifest_key, manifest)
    problems += verify(store, manifest)
    problems += _index_problems(store, manifest)
    size = sum(each.bytes for each in manifest.objects)
    return Report(manifest.run_id, manifest_key, len(manifest.objects), size, signed_by, tuple(problems))


def _pointer_problems(manifest_key: str, content: bytes, expected: str | None) -> Iterator[str]:
    if expected is not None and sha256_of(content) != expected:
        yield f"{manifest_key}: SHA-256 {sha256_of(content)}, and {LATEST} says {expected}"


def _signature(
    store: Reader, manifest_key: str, content: bytes, key: Ed25519PublicKey | None
) -> tuple[str | None, list[str]]:
    """The public key of the signature, and what is wrong with it."""
    name = signature(manifest_key)
    try:
        signed = store.get(name)
    except ObjectNotFound:
        return None, [] if key is None else [f"{name}: missing, the run is not signed"]
    wrong = complaint(content, signed, key)
    return (None, [f"{name}: {wrong}"]) if wrong else (parse(signed)["public_key"], [])


def _status_problems(store: Reader, manifest_key: str, manifest: Manifest) -> list[str]:
    name = status_of(manifest_key)
    try:
        status = Status.from_json(store.get(name))
    except (ObjectNotFound, ManifestError) as error:
        return [f"{name}: {error}"]
    problems = [] if status.run_id == manifest.run_id else [f"{name}: tells of run {status.run_id}"]
    if status.state is State.RETRACTED:
        problems.append(f"{name}: the run was retracted: {status.reason}")
    elif status.state is State.RUNNING:
        problems.append(f"{name}: the run is not complete yet")
    named = {each.key: each.sha256 for each in manifest.objects}
    wrong = sorted(each.key for each in status.objects.values() if named.get(each.key) != each.sha256)
    return problems + [f"{key}: released, and not in the manifest, or with other content" for key in wrong]


def _index_problems(store: Reader, manifest: Manifest) -> list[str]:
    """What is wrong with the sidecars that say where messages are."""
    there = {each.key: each for each in manifest.objects}
    problems = []
    with TemporaryDirectory(prefix="sigmacast-verify-") as directory:
        path = Path(directory) / "object"
        for key in sorted(key for key in there if key.endswith(".index")):
            data = key.removesuffix("index") + "grib2"
            if data not in there:
                problems.append(f"{key}: points into {data}, which the run does not have")
                continue
            try:
                store.download(data, path)
                wrong = _misplaced(store.get(key), path)
            except ObjectNotFound as error:
                wrong = str(error)
            problems += [f"{key}: {wrong}"] if wrong else []
    return problems


def _misplaced(index: bytes, path: Path) -> str | None:
    """What is wrong with an index: its messages must follow each other and fill the file."""
    try:
        places = sorted((line["_offset"], line["_length"]) for line in map(json.loads, index.splitlines()))
    except (ValueError, KeyError, TypeError) as error:
        return f"no index: {error}"
    end = 0
    with path.open("rb") as file:
        for offset, length in places:
            file.seek(offset)
            begins = file.read(len(_BEGIN))
            file.seek(offset + length - len(_END))
            if offset != end or begins != _BEGIN or file.read(len(_END)) != _END:
                return f"there is no message of {length} bytes at {offset} after one that ends at {end}"
            end = offset + length
    size = path.stat().st_size
    return None if end == size else f"its messages end at {end}, and the file at {size}"
