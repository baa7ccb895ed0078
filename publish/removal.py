"""Removing a run from a store, so that no reader ever finds a document that names an object which is gone."""

from collections.abc import Collection, Iterable

from publish.layout import LATEST, status_of
from publish.manifest import parse
from publish.stores.base import ObjectNotFound, Store

_DOCUMENTS = (".json", ".sig", ".html")


class StillLatest(RuntimeError):
    """The store's pointer is to this run, so it must stay."""


def remove(store: Store, run_id: str, keys: Collection[str], manifest_key: str | None) -> int:
    """Remove a run's objects, and all that stands beside its manifest; how many were named. Safe to repeat.

    First `status.json` and the manifests, then every other document, then the data. Raises StillLatest when
    `latest.json` points to the run.
    """
    if _latest_run(store) == run_id:
        raise StillLatest(f"{store.url}/{LATEST} points to run {run_id}: it is not removed")
    everything = set(keys)
    if manifest_key is not None:
        prefix = manifest_key.rpartition("/")[0] + "/"
        everything |= {info.key for info in store.list(prefix)}
    for key in _in_order(everything, manifest_key):
        store.delete(key)
    return len(everything)


def _in_order(keys: Iterable[str], manifest_key: str | None) -> list[str]:
    """What names other objects before what is named."""
    status = status_of(manifest_key) if manifest_key else None
    stem = manifest_key.removesuffix("json") if manifest_key else None

    def rank(key: str) -> int:
        if key == status:
            return 0
        if stem is not None and key.startswith(stem):
            return 1
        return 2 if key.endswith(_DOCUMENTS) else 3 if key.endswith((".index", ".idx")) else 4

    return sorted(keys, key=lambda key: (rank(key), key))


def _latest_run(store: Store) -> str | None:
    try:
        return parse(store.get(LATEST)).get("run_id")
    except ObjectNotFound:
        return None
