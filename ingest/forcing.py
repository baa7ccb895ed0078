"""Sea surface temperature and sea ice on the model's grid, with a value everywhere.

The model weights these by its own land-sea mask, so what stands over land is of no account as long as
it is a number; the published models were trained with the nearest value there.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from forecast.grids import GaussianGrid, Grid, Regridder, RegularGrid
from ingest.analysis import Origin
from ingest.canonical import RawField
from ingest.errors import Incomplete, Refused
from ingest.recipes import AS_GIVEN, FREEZING_SEA, FROM_SURFACE, LAND, OPEN_WATER

Array = NDArray[Any]

_LEAST_SEA = 0.4
"""Share of the globe that must have a sea surface temperature, and an ice fraction even where it is zero."""


def forcing_fields(
    fields: Mapping[str, RawField], target: GaussianGrid, where: str
) -> tuple[dict[str, Array], dict[str, list[Origin]]]:
    """Both forcing fields [longitude, latitude] and their provenance, from surface fields by name of their quantity.

    Raises Incomplete when what they can be made from is absent.
    """
    if "sea_ice_area_fraction" not in fields:
        raise Incomplete(
            f"{where}: expected the sea ice area fraction (GRIB ci or siconc), found none; add the file that holds it"
        )
    ice = fields["sea_ice_area_fraction"]
    temperature, source, how = _sea_surface_temperature(fields, where)
    sea_ice = np.clip(_masked(ice, fields.get("land_area_fraction")), 0.0, 1.0)
    _require_sea(sea_ice, ice)
    arrays = {
        "sea_surface_temperature": _prepared(temperature, source.grid, target),
        "sea_ice_area_fraction": np.clip(_prepared(sea_ice, ice.grid, target), 0.0, 1.0),
    }
    suffix = "conservative regridding over sea, nearest sea point over land"
    return arrays, {
        "sea_surface_temperature": [{"levels": [], "method": f"{how}; {suffix}", "source": source.file_name}],
        "sea_ice_area_fraction": [{"levels": [], "method": f"{AS_GIVEN}; {suffix}", "source": ice.file_name}],
    }


def fill_from_nearest(values: Array, grid: Grid) -> Array:
    """Values [longitude, latitude] with NaN replaced by the nearest value on the sphere."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    longitude, latitude = np.meshgrid(np.deg2rad(grid.longitudes), np.deg2rad(grid.latitudes), indexing="ij")
    points = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=-1
    )
    _, nearest = KDTree(points[~missing]).query(points[missing])
    result = values.copy()
    result[missing] = values[~missing][nearest]
    return result


def _sea_surface_temperature(fields: Mapping[str, RawField], where: str) -> tuple[Array, RawField, str]:
    """Values on the file's grid with NaN over land, the field that they come from, and how."""
    land = fields.get("land_area_fraction")
    if "sea_surface_temperature" in fields:
        field = fields["sea_surface_temperature"]
        values, how = _masked(field, land), AS_GIVEN
    elif "surface_temperature" in fields and land is not None:
        field, ice = fields["surface_temperature"], fields["sea_ice_area_fraction"]
        values = _open_water(_masked(field, land), _on_same_grid(ice, field))
        how = FROM_SURFACE
    else:
        raise Incomplete(
            f"{where}: expected the sea surface temperature, or the surface temperature with a land-sea mask, found "
            f"{', '.join(sorted(fields)) or 'neither'}; add the file that holds them"
        )
    _require_sea(values, field)
    return values, field, how


def _open_water(surface: Array, ice: Array) -> Array:
    water = np.where(np.nan_to_num(ice) < OPEN_WATER, np.maximum(surface, FREEZING_SEA), FREEZING_SEA)
    return np.where(np.isnan(surface), np.nan, water)


def _masked(field: RawField, land: RawField | None) -> Array:
    """Values with NaN over land, where a land-sea mask is given on the same grid."""
    if land is None or not _same_grid(land.grid, field.grid):
        return field.values
    return np.where(land.values < LAND, field.values, np.nan)


def _on_same_grid(field: RawField, other: RawField) -> Array:
    if not _same_grid(field.grid, other.grid):
        raise Refused(f"{field.label}: expected the grid of {other.label}, found another; give both on one grid")
    return field.values


def _same_grid(one: RegularGrid, other: RegularGrid) -> bool:
    return np.array_equal(one.longitudes, other.longitudes) and np.array_equal(one.latitudes, other.latitudes)


def _require_sea(values: Array, field: RawField) -> None:
    weights = np.cos(np.deg2rad(field.grid.latitudes)).clip(0.0)
    share = float(np.average(np.isfinite(values).mean(axis=0), weights=weights))
    if share < _LEAST_SEA:
        raise Incomplete(
            f"{field.label}: expected values over the sea, at least {_LEAST_SEA:.0%} of the globe, found {share:.0%}; "
            "give a file that covers all seas"
        )


def _prepared(values: Array, source: RegularGrid, target: GaussianGrid) -> Array:
    regridded = Regridder(source, target)(np.asarray(values, dtype=np.float32))
    return fill_from_nearest(regridded, target)
