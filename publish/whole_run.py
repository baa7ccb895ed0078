"""Files of a run as a whole, made of what it has published when the last lead time is there."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from publish import index
from publish.layout import STATISTICS_PARTS, Layout
from publish.manifest import PublishedObject, RunInfo
from publish.product import ProductSettings
from publish.stores.base import Store
from publish.writers import zarr
from publish.writers.base import EncodedFile

_KINDS = ("mean", "spread")


def statistics(store: Store, objects: Iterable[PublishedObject], layout: Layout, directory: Path) -> list[EncodedFile]:
    """Mean and spread of many lead times in one GRIB2 file, as ECMWF's clients look for them, with its sidecars.

    The files of the lead times are appended to each other, octet by octet.
    """
    found = [each for each in objects if each.kind in _KINDS and each.lead_hours is not None]
    files = []
    for hours in STATISTICS_PARTS:
        part = sorted(
            (each for each in found if each.lead_hours in hours), key=lambda each: (each.lead_hours, each.key)
        )
        if part:
            file = _joined(store, part, layout.fields(hours[-1], "enfo", "ep", "grib2"), directory)
            files += [file, *index.sidecars(file, layout.product)]
    return files


def zarr_metadata(
    objects: Iterable[PublishedObject],
    run: RunInfo,
    settings: ProductSettings,
    layout: Layout,
    attributes: Mapping[str, str],
    directory: Path,
) -> list[EncodedFile]:
    """What makes one Zarr store of the shards of all lead times: all its metadata, the root's last."""
    shards = [each for each in objects if each.kind == zarr.PART and each.lead_hours is not None]
    if not shards:
        return []
    names = {zarr.variable_of(each.key, layout) for each in shards}
    members = {each.lead_hours: each.members for each in shards if each.lead_hours is not None}
    cube = zarr.Cube(layout, settings, run.ensemble_size, run.lead_hours)
    return zarr.metadata(cube, names, members, attributes, directory)


def _joined(store: Store, part: list[PublishedObject], key: str, directory: Path) -> EncodedFile:
    path = directory / Path(key).name
    with path.open("wb") as whole, TemporaryDirectory(dir=directory) as here:
        for each in part:
            piece = Path(here) / "piece"
            store.download(each.key, piece)
            with piece.open("rb") as file:
                shutil.copyfileobj(file, whole, 1 << 20)
    members = {member for each in part for member in each.members}
    return EncodedFile(key, path, "statistics of the run", part[0].media_type, tuple(sorted(members)))
