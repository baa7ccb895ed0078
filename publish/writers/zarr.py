"""Zarr version 3: a whole run as one store, written lead time by lead time, which opens when the run is complete.

An array has a shard per lead time, so that lead times are stored while the forecast runs, in any order. A
shard has chunks of all members (or percentiles) of one level on a tile of the map: a point takes one chunk per lead
time, a map the few tiles that cover it. The metadata come when the run is complete, and last of them the root's
`zarr.json`, which holds those of all arrays: until it is there nothing opens, and from then on everything does.
Keys of shards are flat, `t/c.4.0.0.0.0`: a directory for each index would cost more than the values.
Members that were dropped, and intervals that begin before the forecast, are not a number.

Values are rounded as in NetCDF. The same input gives the same octets. Shards are encoded by TensorStore, outside of
Python's lock and in a quarter of the time that zarr-python takes; chunks and metadata are as zarr-python makes them.
"""

import json
import shutil
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore
import zarr
from zarr.codecs import BloscCodec
from zarr.errors import ZarrUserWarning

from forecast.grids import LatLonGrid
from publish.layout import Layout
from publish.product import ProductSettings, Slab, possible_items
from publish.statistics import Statistic, Statistics, variable
from publish.writers import cf
from publish.writers.base import EncodedFile, FrameHeader

MEDIA_TYPE = "application/vnd.zarr"
PART = "zarr part"
"""Kind of all objects of the store but the root."""
ROOT = "zarr.json"
"""The object that makes the store open; within an array, its own metadata."""

_CHUNK_BYTES = 512 * 1024
"""About this many bytes of values in a chunk: a balance of requests and octets, for maps as for points."""
_EXTREMES = {"min": 0, "max": 100}


@dataclass(frozen=True)
class Cube:
    """The shape of a run's store. `ensemble_size` counts all members that the run set out with."""

    layout: Layout
    settings: ProductSettings
    ensemble_size: int
    lead_hours: tuple[int, ...]

    @cached_property
    def percentiles(self) -> tuple[int, ...]:
        """The percentiles that are published, the extremes among them as 0 and 100."""
        return tuple(sorted(each for each in map(percentile, self.settings.statistics) if each is not None))

    @cached_property
    def variables(self) -> dict[str, cf.Variable]:
        """All variables of fields, by name; the percentiles of a field are one."""
        items = possible_items(self.settings, max(self.lead_hours))
        members = cf.member_variables(items) if self.settings.publish_members else []
        statistics = cf.statistics_variables(items, self.settings)
        found = [*members, *(each for each in statistics if percentile(each.statistic) is None)]
        if self.percentiles:
            found += cf.percentile_variables(items)
        return {each.name: each for each in found}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Sizes of all dimensions."""
        grid = LatLonGrid(self.layout.spacing_degrees)
        return {
            "lead_time": len(self.lead_hours),
            "realization": self.ensemble_size,
            "percentile": len(self.percentiles),
            "level": len(self.settings.levels),
            "latitude": grid.latitudes.size,
            "longitude": grid.longitudes.size,
        }

    def dimensions(self, described: cf.Variable) -> tuple[str, ...]:
        """Dimensions of a variable, in order."""
        levels = ("level",) if described.on_levels else ()
        return ("lead_time", *described.leading, *levels, "latitude", "longitude")


@cache
def percentile(statistic: str) -> int | None:
    """The percentile that a statistic is, None for others."""
    if statistic in _EXTREMES:
        return _EXTREMES[statistic]
    return int(statistic[1:]) if statistic[:1] == "p" and statistic[1:].isdigit() else None


class ZarrWriter:
    """Writes the shards of one lead time."""

    def __init__(self, header: FrameHeader, settings: ProductSettings, directory: Path) -> None:
        self._header = header
        self._settings = settings
        self._cube = Cube(header.layout, settings, header.ensemble_size, header.run_lead_hours)
        self._place = header.run_lead_hours.index(header.lead_hours)
        self._directory = directory / "zarr"
        self._pending: dict[str, np.ndarray] = {}
        self._current = ""

    def write(self, slab: Slab, statistics: Statistics | None) -> None:
        """Add one field on one level; a variable is written when the slabs of the next one begin."""
        if slab.item.variable != self._current:
            self._flush()
            self._current = slab.item.variable
        if self._settings.publish_members:
            self._target(slab.item.variable, slab)[list(slab.members)] = cf.rounded(slab.values)
        for statistic, values in statistics.maps.items() if statistics else ():
            self._add(slab, statistic, cf.rounded(values))

    def close(self) -> list[EncodedFile]:
        """Finish the shards."""
        self._flush()
        files = sorted(path for path in self._directory.rglob("*") if path.is_file())
        members = self._header.members
        return [_encoded(self._cube.layout, self._directory, path, PART, members) for path in files]

    def abort(self) -> None:
        """Forget what is pending."""
        self._pending = {}

    def _add(self, slab: Slab, statistic: Statistic, values: np.ndarray) -> None:
        rank = percentile(statistic.name)
        if rank is None:
            self._target(variable(slab.item, statistic), slab)[...] = values
        else:
            name = cf.percentile_name(slab.item)
            self._target(name, slab)[self._cube.percentiles.index(rank)] = values

    def _target(self, name: str, slab: Slab) -> np.ndarray:
        """Where the maps of a slab belong in a variable: [members or percentiles if any, latitude, longitude]."""
        described, sizes = self._cube.variables[name], self._cube.sizes
        if name not in self._pending:
            shape = [sizes[each] for each in self._cube.dimensions(described)[1:]]
            self._pending[name] = np.full(shape, np.nan, np.float32)
        if not described.on_levels:
            return self._pending[name]
        return self._pending[name][..., self._settings.levels.index(slab.level or 0), :, :]

    def _flush(self) -> None:
        for name, values in self._pending.items():
            directory = self._directory / name
            directory.mkdir(parents=True, exist_ok=True)
            for key, octets in _shards(self._cube, name, self._place, values).items():
                (directory / key).write_bytes(octets)
        self._pending = {}


def variable_of(key: str, layout: Layout) -> str:
    """The variable that a shard is of, by the shard's key."""
    return key.removeprefix(f"{layout.zarr}/").partition("/")[0]


def metadata(
    cube: Cube,
    names: Iterable[str],
    members: Mapping[int, tuple[int, ...]],
    attributes: Mapping[str, str],
    directory: Path,
) -> list[EncodedFile]:
    """Coordinates, and the metadata of the variables of these names; the root's, which opens the store, last.

    `members` are those present, by lead time [h]; `attributes` are those of the whole store.
    """
    directory = directory / "zarr"
    shutil.rmtree(directory, ignore_errors=True)
    told = {"Conventions": cf.CONVENTIONS, **attributes, "ensemble_size": cube.ensemble_size}
    group = zarr.create_group(directory, attributes=told)
    variables = [cube.variables[name] for name in sorted(names)]
    for described in variables:
        _create(directory, cube, described)
    for coordinate in _coordinates(cube, variables, members):
        _write_coordinate(group, coordinate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(group.store)
    _sort_keys(directory / ROOT)
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path != directory / ROOT)
    everybody = tuple(sorted({member for present in members.values() for member in present}))
    kinds = [(path, PART) for path in files] + [(directory / ROOT, "zarr")]
    return [_encoded(cube.layout, directory, path, kind, everybody) for path, kind in kinds]


def _coordinates(
    cube: Cube, variables: list[cf.Variable], members: Mapping[int, tuple[int, ...]]
) -> list[cf.Coordinate]:
    init_time, hours = cube.layout.init_time, cube.lead_hours
    counts = np.asarray([len(members.get(each, ())) for each in hours], np.int32)
    found = cf.times(init_time, hours, "lead_time")
    found += cf.space(LatLonGrid(cube.layout.spacing_degrees), cube.settings.levels)
    found += cf.intervals(variables, init_time, hours, "lead_time")
    found.append(cf.realization_count(counts, ("lead_time",)))
    if any("realization" in each.leading for each in variables):
        found.append(cf.realization(range(cube.ensemble_size)))
    if any("percentile" in each.leading for each in variables):
        found.append(cf.percentile(cube.percentiles))
    return found


def _shards(cube: Cube, name: str, place: int, values: np.ndarray) -> dict[str, bytes]:
    """The shard of a variable at a lead time under its key, none of values that are all missing."""
    spec = {"driver": "zarr3", "kvstore": {"driver": "memory"}, "metadata": _shape(cube, name)}
    array = tensorstore.open(spec, open=True, assume_metadata=True).result()
    array[place].write(values).result()
    encoded: Any = array.kvstore
    return {key.decode(): encoded[key] for key in encoded.list().result()}


@lru_cache(maxsize=1024)
def _shape(cube: Cube, name: str) -> dict[str, Any]:
    """The metadata of a variable by which its shards are encoded."""
    store: dict[str, Any] = {}
    _create(store, cube, cube.variables[name])
    metadata = json.loads(store[f"{name}/{ROOT}"].to_bytes())
    return {key: value for key, value in metadata.items() if key != "attributes"}


def _create(store: Path | dict[str, Any], cube: Cube, described: cf.Variable) -> None:
    """An array without values in a store."""
    dimensions = cube.dimensions(described)
    shape = tuple(cube.sizes[name] for name in dimensions)
    chunks = _chunks(shape, has_leading=bool(described.leading))
    shard = (1, *(-(-size // chunk) * chunk for size, chunk in zip(shape[1:], chunks[1:], strict=True)))
    zarr.create_array(
        store,
        name=described.name,
        shape=shape,
        dtype="float32",
        chunks=chunks,
        shards={"shape": shard, "index_location": "start"},  # pyright: ignore[reportArgumentType]
        compressors=BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=4),
        fill_value=np.nan,
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=dimensions,
        attributes={**described.attributes, "coordinates": _auxiliary(described)},
    )


def _auxiliary(described: cf.Variable) -> str:
    """The coordinates attribute; the lead time is a dimension here."""
    return described.attributes["coordinates"].replace("forecast_period", "time")


def _chunks(shape: tuple[int, ...], has_leading: bool) -> tuple[int, ...]:
    """All members (or percentiles) of a lead time and level on a tile of equal tiles."""
    leading = shape[1] if has_leading else 1
    edge = max(int((_CHUNK_BYTES / 4 / leading) ** 0.5), 1)
    tiles = [-(-size // -(-size // edge)) for size in shape[-2:]]
    between = (1,) * (len(shape) - 3 - has_leading)
    return (1, *((leading,) if has_leading else ()), *between, *tiles)


def _write_coordinate(group: zarr.Group, coordinate: cf.Coordinate) -> None:
    array = group.create_array(
        coordinate.name,
        shape=coordinate.values.shape,
        dtype=coordinate.values.dtype,
        chunks=coordinate.values.shape,
        compressors=None,
        dimension_names=coordinate.dimensions,
        attributes=coordinate.attributes,
        config={"write_empty_chunks": True},
    )
    array[...] = coordinate.values


def _sort_keys(path: Path) -> None:
    """The consolidated metadata in the order of names, which is not that of the directory's entries."""
    document = json.loads(path.read_text())
    consolidated = document["consolidated_metadata"]
    consolidated["metadata"] = dict(sorted(consolidated["metadata"].items()))
    path.write_text(json.dumps(document))


def _encoded(layout: Layout, directory: Path, path: Path, kind: str, members: tuple[int, ...]) -> EncodedFile:
    return EncodedFile(f"{layout.zarr}/{path.relative_to(directory).as_posix()}", path, kind, MEDIA_TYPE, members)
