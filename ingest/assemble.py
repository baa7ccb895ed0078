"""From the fields of files, one at a time, to a checked analysis on the model's grid."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecast.fields import LEVEL_FIELDS
from forecast.grids import Regridder, RegularGrid
from ingest import moisture
from ingest.analysis import Analysis, InputFile, Origin
from ingest.canonical import RawField, canonical_dataset
from ingest.checks import check_analysis, check_field, check_levels
from ingest.consistency import check_hydrostatic, check_winds
from ingest.errors import Incomplete, Refused
from ingest.fill import Column, fill_cloud, fill_geopotential, fill_held, fill_temperature
from ingest.forcing import forcing_fields
from ingest.recipes import (
    AS_GIVEN,
    FROM_HEIGHT,
    FROM_MIXING_RATIO,
    FROM_RELATIVE_HUMIDITY,
    ICE,
    LIQUID,
    REGRIDDED,
    SHARE_OF_CLOUD,
    on_top,
)
from ingest.source import ModelNeeds

Array = NDArray[Any]


@dataclass
class LevelStore:
    """Fields of one quantity by level [hPa], on the model's grid, each with method and source."""

    values: dict[int, Array] = field(default_factory=dict)
    methods: dict[int, tuple[str, str]] = field(default_factory=dict)

    def put(self, level: int, values: Array, method: str, source: str) -> None:
        """Add a level."""
        self.values[level] = values
        self.methods[level] = method, source

    def origins(self) -> list[Origin]:
        """Provenance, one entry for each level."""
        return [
            {"levels": [level], "method": method, "source": source} for level, (method, source) in self.methods.items()
        ]


class Assembly:
    """Takes the fields of one valid time, then builds the analysis.

    Level fields are checked on their own grid and regridded at once, so that the memory in use is that
    of the model's grid and of four surface fields, however fine the files.
    """

    def __init__(self, needs: ModelNeeds, where: str) -> None:
        self._needs = needs
        self._where = where
        self._levels: dict[str, LevelStore] = {}
        self._surface: dict[str, RawField] = {}
        self._known: dict[tuple[str, int | None], tuple[Array, str]] = {}
        self._above = LevelStore()
        self._members: dict[str, tuple[int, str]] = {}
        self._regridders: dict[bytes, Regridder] = {}

    def add(self, raw: RawField, feed: str | None = None) -> None:
        """Check and keep one field of a feed, or of a file; one without any value counts as absent.

        Raises SourceError when it is not sound, or contradicts an earlier one.
        """
        self._require_one_member(raw, feed)
        if _is_empty(raw.values):
            return
        values = raw.values if raw.level is None else self._regridder(raw.grid)(raw.values)
        if self._is_repeated(raw, values):
            return
        check_field(raw)
        if raw.level is None:
            self._surface[raw.quantity.name] = raw
        else:
            store = self._levels.setdefault(raw.quantity.name, LevelStore())
            store.put(raw.level, values, f"{AS_GIVEN}; {REGRIDDED}", raw.file_name)

    def add_above(self, raw: RawField) -> None:
        """Check and keep a geopotential [m2 s-2], or a height as such, that only tells thickness above the seam.

        The seam is the highest level of the geopotentials that `add` was given; it must be among these too.
        """
        check_field(raw)
        if raw.level is not None:
            self._above.put(raw.level, self._regridder(raw.grid)(raw.values), REGRIDDED, raw.file_name)

    def build(self, cycle: datetime, inputs: list[InputFile]) -> Analysis:
        """The analysis; raises Incomplete, Broken or Refused when the fields do not make one."""
        stores = self._derived()
        check_levels({name: set(store.values) for name, store in stores.items()}, self._where)
        self._check_consistency(stores)
        columns = self._filled(stores)
        forcing, provenance = forcing_fields(self._surface, self._needs.grid, self._where)
        arrays = {name: column.values for name, column in columns.items()} | forcing
        provenance |= {name: column.origins for name, column in columns.items()}
        dataset = canonical_dataset(arrays, self._needs)
        return check_analysis(Analysis(dataset, cycle, provenance, inputs), cycle, self._needs)

    def _require_one_member(self, raw: RawField, feed: str | None) -> None:
        one, first = self._members.setdefault(feed or "", (raw.member, raw.origin))
        if one != raw.member:
            raise Refused(
                f"{self._where}: expected one analysis, found members {one} ({first}) and {raw.member} "
                f"({raw.origin}) of an ensemble; give a file with a single analysis or member"
            )

    def _is_repeated(self, raw: RawField, values: Array) -> bool:
        """Whether the very same field came before; raises Refused when another one did for the same place.

        `values` are those that are kept.
        """
        known = self._known.setdefault((raw.quantity.name, raw.level), (values, raw.origin))
        if known[0] is not values and not np.array_equal(known[0], values, equal_nan=True):
            raise Refused(
                f"{raw.label}: expected this field once, found it also in {known[1]} with other values; "
                "give files of one analysis only"
            )
        return known[1] != raw.origin

    def _regridder(self, grid: RegularGrid) -> Regridder:
        key = grid.longitudes.tobytes() + grid.latitudes.tobytes()
        if key not in self._regridders:
            self._regridders[key] = Regridder(grid, self._needs.grid)
        return self._regridders[key]

    def _derived(self) -> dict[str, LevelStore]:
        """The level fields under their canonical names, made from what the files give instead."""
        given = self._levels
        temperature = given.get("air_temperature", LevelStore())
        stores = {name: given.get(name, LevelStore()) for name in LEVEL_FIELDS}
        _complete(stores["geopotential"], given.get("geopotential_height"), FROM_HEIGHT, lambda _, z: z)
        self._place_on_top(stores["geopotential"])
        _complete(
            stores["specific_humidity"],
            _with_temperature(given.get("relative_humidity"), temperature),
            FROM_RELATIVE_HUMIDITY,
            lambda level, r: moisture.specific_humidity(r, temperature.values[level], 100.0 * level),
        )
        water, ice = given.get("cloud_mixing_ratio"), given.get("cloud_ice_mixing_ratio")
        if ice is None and not stores[ICE].values:
            self._split_cloud(stores, _with_temperature(water, temperature), temperature)
        else:
            _complete(stores[LIQUID], water, FROM_MIXING_RATIO, lambda _, r: moisture.specific_content(r))
            _complete(stores[ICE], ice, FROM_MIXING_RATIO, lambda _, r: moisture.specific_content(r))
        return stores

    def _place_on_top(self, heights: LevelStore) -> None:
        """Continue the geopotential above its highest level with the thickness that another source has there."""
        above = self._above.values
        if not above or not heights.values:
            return
        seam = min(heights.values)
        if seam not in above:
            raise Incomplete(
                f"{self._where}: expected a geopotential at {seam} hPa to place the upper levels on, "
                f"found {sorted(above)} hPa; add the field at {seam} hPa"
            )
        for level in sorted((level for level in above if level < seam), reverse=True):
            _, source = self._above.methods[level]
            values = heights.values[seam] + (above[level] - above[seam])
            heights.put(level, values, f"{on_top(seam)}; {REGRIDDED}", source)

    def _split_cloud(self, stores: dict[str, LevelStore], total: LevelStore | None, temperature: LevelStore) -> None:
        """Ice and liquid from one mixing ratio of all cloud, by temperature."""

        def liquid(level: int, ratio: Array) -> Array:
            return moisture.specific_content(ratio) * moisture.liquid_share(temperature.values[level])

        def frozen(level: int, ratio: Array) -> Array:
            return moisture.specific_content(ratio) * (1.0 - moisture.liquid_share(temperature.values[level]))

        _complete(stores[LIQUID], total, SHARE_OF_CLOUD, liquid)
        _complete(stores[ICE], total, SHARE_OF_CLOUD, frozen)

    def _check_consistency(self, stores: dict[str, LevelStore]) -> None:
        """Check the levels of the state against each other, before any is filled."""
        levels, grid = tuple(sorted(stores["geopotential"].values)), self._needs.grid
        height, temperature, eastward, northward = (
            np.stack([stores[name].values[level] for level in levels])
            for name in ("geopotential", "air_temperature", "eastward_wind", "northward_wind")
        )
        humidity = fill_held(stores["specific_humidity"].values, levels, [])
        check_hydrostatic(levels, height, temperature, humidity.values, grid, self._where)
        check_winds("eastward_wind", levels, eastward, grid, self._where)
        check_winds("northward_wind", levels, northward, grid, self._where)

    def _filled(self, stores: dict[str, LevelStore]) -> dict[str, Column]:
        """Every level field on every level of the model."""
        levels, shape = self._needs.levels, self._needs.grid.shape
        columns = {}
        for name, store in stores.items():
            if name in (LIQUID, ICE):
                columns[name] = fill_cloud(store.values, levels, store.origins(), shape)
            elif name == "air_temperature":
                columns[name] = fill_temperature(store.values, levels, store.origins())
            elif name != "geopotential":
                columns[name] = fill_held(store.values, levels, store.origins())
        height = stores["geopotential"]
        columns["geopotential"] = fill_geopotential(
            height.values,
            levels,
            height.origins(),
            columns["air_temperature"].values,
            columns["specific_humidity"].values,
        )
        return columns


def assemble(fields: Iterable[RawField], needs: ModelNeeds, where: str) -> Assembly:
    """An assembly of these fields."""
    assembly = Assembly(needs, where)
    for raw in fields:
        assembly.add(raw)
    return assembly


def _is_empty(values: Array) -> bool:
    return bool(np.isnan(values.flat[0])) and bool(np.isnan(values).all())


def _complete(store: LevelStore, other: LevelStore | None, how: str, convert: Callable[[int, Array], Array]) -> None:
    """Add to a store the levels that it lacks, converted from another quantity."""
    if other is None:
        return
    for level, values in other.values.items():
        if level not in store.values:
            method, source = other.methods[level]
            store.put(level, convert(level, values), method.replace(AS_GIVEN, how), source)


def _with_temperature(store: LevelStore | None, temperature: LevelStore) -> LevelStore | None:
    """The levels of a store that also have a temperature."""
    if store is None:
        return None
    common = [level for level in store.values if level in temperature.values]
    return LevelStore({k: store.values[k] for k in common}, {k: store.methods[k] for k in common})
