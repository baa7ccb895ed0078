"""Removing a run from a store, so that no reader ever finds a document that names an object which is gone."""

from collections.abc import Collection, Iterable
from contextlib import suppress

from publish.layout import LATEST
from publish.manifest import Manifest, parse
from publish.status import read_status
from publish.stores.base import ObjectNotFound, Store

_STATUS, _MANIFEST = "status.json", "manifest.json"
_DOCUMENTS = (".json", ".sig", ".html")
_INDICES = (".index", ".idx")


class StillLatest(RuntimeError):
    """The store's pointer is to this run, so it must stay."""


def remove(store: Store, run_id: str, keys: Collection[str]) -> int:
    """Remove a run's objects, and all that stands beside them where no other run is; how many were named.

    First `status.json` and the manifest, then every other document, then indices, then data. Safe to repeat.
    Raises StillLatest when `latest.json` points to the run.
    """
    if _latest_run(store) == run_id:
        raise StillLatest(f"{store.url}/{LATEST} points to run {run_id}: it is not removed")
    everything = set(keys)
    for prefix in {_prefix(key) for key in keys}:
        if _owner(store, prefix) in (run_id, None):
            everything |= {info.key for info in store.list(prefix)}
    for key in _in_order(everything):
        store.delete(key)
    return len(everything)


def _prefix(key: str) -> str:
    """What the keys of a run begin with: date, hour, product and resolution."""
    return "/".join(key.split("/")[:4]) + "/"


def _owner(store: Store, prefix: str) -> str | None:
    """The run that has this place; None when the documents that would say so are gone already."""
    if found := read_status(store, prefix + _STATUS):
        return found[0].run_id
    with suppress(ObjectNotFound):
        return Manifest.from_json(store.get(prefix + _MANIFEST)).run_id
    return None


def _in_order(keys: Iterable[str]) -> list[str]:
    """What names other objects before what is named."""

    def rank(key: str) -> int:
        name = key.rpartition("/")[2]
        if key.startswith(_prefix(key) + name) and name in (_STATUS, _MANIFEST):
            return (_STATUS, _MANIFEST).index(name)
        return 2 if name.endswith(_DOCUMENTS) else 3 if name.endswith(_INDICES) else 4

    return sorted(keys, key=lambda key: (rank(key), key))


def _latest_run(store: Store) -> str | None:
    try:
        return parse(store.get(LATEST)).get("run_id")
    except ObjectNotFound:
        return None
