"""The pointer of a store, `latest.json`: to the manifest of the newest cycle that is complete and stands."""

from datetime import datetime

from publish.layout import LATEST, status_of
from publish.manifest import Manifest, ManifestError, latest_document, parse
from publish.status import State, read_status
from publish.stores.base import ObjectChanged, ObjectExists, ObjectNotFound, Store, sha256_of


def advance(store: Store, manifest_key: str) -> None:
    """Flip the pointer to a manifest of the store, unless it points to a later cycle, or to a later run of this one.

    A run that was retracted meanwhile stays so: its status is read after the pointer, which a retraction changes last.
    """
    content = store.get(manifest_key)
    manifest = Manifest.from_json(content)
    document = latest_document(manifest, manifest_key, sha256_of(content))
    while True:
        try:
            current, version = store.read(LATEST)
        except ObjectNotFound:
            current, version = b"", None
        if current == document or _order(current) > (manifest.init_time, manifest.published_at):
            return
        found = read_status(store, status_of(manifest_key))
        if found is not None and found[0].state is State.RETRACTED:
            return
        try:
            store.put(LATEST, document, if_absent=version is None, if_version=version)
        except (ObjectExists, ObjectChanged):
            continue
        return


def withdraw(store: Store, run_id: str, instead: str | None) -> None:
    """Point to the manifest `instead`, or nowhere, if the pointer is to this run."""
    while True:
        try:
            current, version = store.read(LATEST)
        except ObjectNotFound:
            return
        if parse(current).get("run_id") != run_id:
            return
        try:
            if instead is None:
                store.delete(LATEST, if_version=version)
            else:
                content = store.get(instead)
                document = latest_document(Manifest.from_json(content), instead, sha256_of(content))
                store.put(LATEST, document, if_version=version)
        except ObjectChanged:
            continue
        return


def _order(content: bytes) -> tuple[datetime, datetime]:
    """Cycle and time of publication that a pointer tells; the beginning of time when it tells none."""
    try:
        document = parse(content)
        init_time = datetime.fromisoformat(document["init_time"])
        return init_time, datetime.fromisoformat(document.get("published_at", document["init_time"]))
    except (ManifestError, KeyError, TypeError, ValueError):
        return _BEGINNING, _BEGINNING


_BEGINNING = datetime.fromisoformat("0001-01-01T00:00:00Z")
