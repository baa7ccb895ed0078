"""The catalogue and the pages of a store, kept up to date as runs come and go.

They only point to what manifests prove: an item and a page per run, and a collection, a catalogue and a page that
list the items there are. Those lists are made anew from the store's own listing and written under the condition
that nobody else has written since it was read; so runs that end at the same time are all listed, and whatever a
process that was killed has left undone, the next one does.
"""

from collections.abc import Callable
from pathlib import PurePosixPath

from publish import pages, stac
from publish.manifest import Manifest
from publish.stac import Entry
from publish.status import State, read_status
from publish.stores.base import ObjectChanged, ObjectExists, ObjectNotFound, Store, sha256_of

_TREE = "stac/"
_LISTED = (State.COMPLETE, State.SUPERSEDED)


def refresh(store: Store, document_key: str) -> None:
    """Tell of a run, known by its manifest's or its status's key, what is true now, whatever has happened to it.

    A run that stands has an item and a page; a retracted one keeps the page, which says why; of a run whose
    manifest is no more, neither is left. Safe to repeat.
    """
    entry = Entry.of_run(PurePosixPath(document_key).parent.as_posix())
    found = read_status(store, entry.run_prefix + "status.json")
    status = found[0] if found else None
    key = (status.manifest if status else None) or entry.run_prefix + "manifest.json"
    page = entry.run_prefix + pages.INDEX
    try:
        content = store.get(key)
    except ObjectNotFound:
        store.delete(entry.key)
        store.delete(page)
    else:
        manifest, state = Manifest.from_json(content), status.state if status else State.COMPLETE
        state = State.COMPLETE if state is State.RUNNING else state
        store.put(
            page, pages.run_page(manifest, state, _reason(status.reason, status.superseded_by) if status else None)
        )
        if state in _LISTED:
            store.put(entry.key, stac.item(manifest, key, sha256_of(content), len(content)))
        else:
            store.delete(entry.key)
    _list_again(store, entry.product)


def keys(entry: Entry) -> frozenset[str]:
    """Keys of all that points to a run and its product line."""
    of_the_run = {entry.key, entry.run_prefix + pages.INDEX, stac.collection_key(entry.product)}
    return frozenset(of_the_run | {stac.CATALOG, pages.INDEX})


def _reason(reason: str | None, superseded_by: str | None) -> str | None:
    return f"Run {superseded_by} stands in its place." if superseded_by else reason


def _list_again(store: Store, product: str) -> None:
    _replace(store, stac.collection_key(product), lambda: _collection(store, product))
    _replace(store, stac.CATALOG, lambda: _of_all(store, lambda found: stac.catalog({each.product for each in found})))
    _replace(store, pages.INDEX, lambda: _of_all(store, pages.store_page))


def _collection(store: Store, product: str) -> bytes | None:
    """The collection of what is there now, None when nothing is."""
    entries = _entries(store, stac.collection_prefix(product))
    for entry in sorted(entries, reverse=True):
        try:
            newest = Manifest.from_json(store.get(entry.run_prefix + "manifest.json"))
        except ObjectNotFound:
            continue
        return stac.collection(newest, entries)
    return None


def _of_all(store: Store, made: Callable[[list[Entry]], bytes]) -> bytes | None:
    """What is made of all entries that there are now, None when there are none."""
    found = _entries(store)
    return made(found) if found else None


def _entries(store: Store, prefix: str = _TREE) -> list[Entry]:
    return [entry for info in store.list(prefix) if (entry := Entry.from_key(info.key)) is not None]


def _replace(store: Store, key: str, made: Callable[[], bytes | None]) -> None:
    """Write what is made, or remove the object when nothing is, and make it again if another has written meanwhile."""
    while True:
        try:
            current, version = store.read(key)
        except ObjectNotFound:
            current, version = None, None
        content = made()
        if content == current:
            return
        try:
            if content is None:
                store.delete(key, if_version=version)
            else:
                store.put(key, content, if_absent=version is None, if_version=version)
        except (ObjectExists, ObjectChanged):
            continue
        return
