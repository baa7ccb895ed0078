"""Charts of a run, drawn from what the run has published, so that a resumed run draws the same ones."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import netCDF4
import numpy as np
from numpy.typing import NDArray

from forecast.constants import STANDARD_GRAVITY
from forecast.grids import LatLonGrid
from forecast.times import valid_time
from publish import plots
from publish.layout import Layout
from publish.manifest import PublishedObject, RunInfo
from publish.product import PUBLISHABLE, ProductSettings
from publish.stores.base import Store
from publish.writers.base import EncodedFile
from publish.writers.grib2 import read_field

MEDIA_TYPE = "image/png"

_LEVEL = 500
_METRES_PER_UNIT = {"geopotential_height": 1.0, "geopotential": 1.0 / STANDARD_GRAVITY}


def draw(
    store: Store,
    objects: Iterable[PublishedObject],
    run: RunInfo,
    settings: ProductSettings,
    layout: Layout,
    directory: Path,
) -> list[EncodedFile]:
    """Files of all charts of the run; none when the product has no ensemble height of 500 hPa.

    Panels are the settings' lead times that the run has, else its last.
    """
    field_name = next((name for name in _METRES_PER_UNIT if name in settings.fields), None)
    if field_name is None or _LEVEL not in settings.levels:
        return []
    objects = list(objects)
    wanted = [hours for hours in settings.chart_lead_hours if hours in run.lead_hours] or [max(run.lead_hours)]
    maps = [each for hours in wanted if (each := _map(store, objects, run, layout, field_name, hours)) is not None]
    if not maps:
        return []
    key = layout.chart("z500-mean-spread")
    path = directory / Path(key).name
    plots.mean_and_spread(maps, f"{settings.product} · {run.model}", run.init_time, path)
    members = {member for each in objects if each.lead_hours in wanted for member in each.members}
    return [EncodedFile(key, path, "chart", MEDIA_TYPE, tuple(sorted(members)))]


def _map(
    store: Store, objects: Sequence[PublishedObject], run: RunInfo, layout: Layout, field_name: str, hours: int
) -> plots.EnsembleMap | None:
    there = {each.kind: each for each in objects if each.lead_hours == hours}
    with TemporaryDirectory(prefix="sigmacast-chart-") as directory:
        if "statistics" in there:
            source = there["statistics"]
            mean, spread = _from_netcdf(_fetch(store, source, directory), field_name)
        elif "mean" in there:
            source = there["mean"]
            mean = read_field(_fetch(store, source, directory), PUBLISHABLE[field_name], _LEVEL)
            spread = read_field(_fetch(store, there["spread"], directory), PUBLISHABLE[field_name], _LEVEL)
        else:
            return None
    grid, metres = LatLonGrid(layout.spacing_degrees), _METRES_PER_UNIT[field_name]
    moment = valid_time(run.init_time, timedelta(hours=hours))
    values = (mean * metres, spread * metres)
    return plots.EnsembleMap(hours, moment, grid.latitudes, grid.longitudes, *values, len(source.members))


def _fetch(store: Store, source: PublishedObject, directory: str) -> Path:
    path = Path(directory) / Path(source.key).name
    store.download(source.key, path)
    return path


def _from_netcdf(path: Path, field_name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    short_name = PUBLISHABLE[field_name].short_name
    with netCDF4.Dataset(path) as file:
        index = int(np.flatnonzero(file["level"][:] == _LEVEL)[0])
        mean, spread = (np.asarray(file[f"{short_name}_{name}"][0, index]) for name in ("mean", "spread"))
    return mean, spread
