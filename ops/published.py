"""What a run has published, from the run history or, for those who have none, from the store itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ops.config import Settings
from ops.errors import ConfigurationError, NotFound
from publish import fetch as fetching
from publish.manifest import Manifest, ManifestError, PublishedObject
from publish.selection import Wanted, index_key
from publish.stores import ObjectDamaged, ObjectNotFound, Reader, open_reader
from publish.stores.base import sha256_of
from publish.verify import latest_manifest, root_and_key


@dataclass(frozen=True)
class Published:
    """The objects of a run and where they are."""

    run_id: str
    state: str
    store_url: str
    objects: tuple[PublishedObject, ...]
    open: Callable[[], Reader]


def found(settings: Settings, run: str, source: str | None) -> Published:
    """The run of the history, or the one that the store or manifest at `source` tells of.

    Raises UnknownRun, NotFound, ManifestError, StoreError, ConfigurationError for an impossible address.
    """
    return _of_history(settings, run) if source is None else _of_address(settings, source)


def _of_history(settings: Settings, run: str) -> Published:
    import db
    from db import products, runs
    from ops import history

    with history.opened(settings.database) as engine, db.reading(engine) as session:
        row = runs.find(session, run, with_products=True)
        rows = [each for each in products.of_run(session, row.id) if each.deleted_at is None]
        objects = tuple(
            PublishedObject(
                key=each.key,
                bytes=each.bytes,
                sha256=each.sha256,
                kind=each.kind,
                media_type=(each.details or {}).get("media_type", ""),
                lead_hours=each.lead_time_hours,
                members=tuple((each.details or {}).get("members", ())),
            )
            for each in rows
        )
        url = row.store_url
        return Published(row.id, row.state, url, objects, lambda: settings.store.open(url))


def _of_address(settings: Settings, source: str) -> Published:
    try:
        reader, key, digest = manifest_at(source.rstrip("/"), settings.store.endpoint_url)
        content = reader.get(key)
    except ObjectNotFound as error:
        raise NotFound(f"{source} is neither a store with a complete run nor a manifest: {error}") from None
    except ManifestError:
        raise
    except ValueError as error:
        raise ConfigurationError(f"--from: {error}, or http(s)://") from None
    if digest is not None and sha256_of(content) != digest:
        raise ObjectDamaged(f"{key} in {reader.url} is not the manifest that latest.json names; ask again")
    manifest = Manifest.from_json(content)
    return Published(manifest.run_id, "published", reader.url, manifest.objects, lambda: reader)


def manifest_at(address: str, endpoint: str | None) -> tuple[Reader, str, str | None]:
    """Where to read, the manifest's key, and its SHA-256 if the store tells."""
    if address.endswith("/latest.json"):
        address = address.rpartition("/")[0]
    if not address.endswith(".json"):
        reader = open_reader(address, endpoint)
        return reader, *latest_manifest(reader)
    address = address if "://" in address else Path(address).absolute().as_uri()
    folder, _, name = address.rpartition("/")
    root, key = root_and_key(address, Manifest.from_json(open_reader(folder, endpoint).get(name)))
    return open_reader(root, endpoint), key, None


def fetch(run: Published, objects: Sequence[PublishedObject], wanted: Wanted, directory: Path) -> list[Path]:
    """The files of these objects below the directory, by their keys, or of the messages wanted inside them.

    A file of messages has what was asked for in its name. Raises ObjectDamaged, StoreError.
    """
    reader = run.open()
    if not wanted.by_message:
        paths = [directory / each.key for each in objects]
        for each, path in zip(objects, paths, strict=True):
            fetching.whole(reader, each, path)
        return paths
    known = {each.key: each for each in run.objects}
    written = []
    for each in objects:
        index = known.get(index_key(each.key))
        if index is not None and (spans := wanted.spans(_sound(reader, index), index.key)):
            key = PurePosixPath(each.key)
            path = directory / key.with_name(f"{key.stem}.{wanted.name}{key.suffix}")
            fetching.messages(reader, each.key, spans, path)
            written.append(path)
    return written


def _sound(reader: Reader, index: PublishedObject) -> bytes:
    content = reader.get(index.key)
    if sha256_of(content) != index.sha256:
        raise ObjectDamaged(f"{index.key} in {reader.url} is damaged: its SHA-256 is not the one published")
    return content
