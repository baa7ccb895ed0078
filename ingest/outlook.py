"""Sea surface temperature and sea ice for each day of a forecast: the analysis less the climatology of its day, added
to the climatology of each day to come.

The climatology is made from a file of monthly or finer means, such as ERA5's monthly means from the Climate Data
Store: a mean for each calendar month, standing for its middle, linear in time between.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.fields import FIELDS, FORCING_FIELDS
from forecast.grids import GaussianGrid, GridError, Regridder, RegularGrid
from ingest.analysis import Analysis
from ingest.canonical import QUANTITIES
from ingest.errors import Broken, Gone, Incomplete, Refused
from ingest.forcing import fill_from_nearest
from ingest.recipes import FREEZING_SEA

Array = NDArray[Any]

PERSISTENCE = "held"
PERSISTED_ANOMALY = "anomaly held, added to the climatology of each day"

_SST, _SEA_ICE = FORCING_FIELDS
_MONTHS = 12


@dataclass(frozen=True, eq=False)
class Climatology:
    """Forcing fields of each calendar month [month, longitude, latitude] on the model's grid; the file's `sha256`."""

    months: Mapping[str, Array]
    sha256: str

    def at(self, name: str, moment: datetime) -> Array:
        """A field at a time of the year [longitude, latitude]."""
        first, share = _position(moment)
        months = self.months[name]
        return (1.0 - share) * months[first] + share * months[(first + 1) % _MONTHS]


def with_outlook(analysis: Analysis, climatology: Climatology, days: int) -> Analysis:
    """The analysis with its forcing for each of so many days to come, in variables named NAME_by_day."""
    dataset, provenance = analysis.dataset, dict(analysis.provenance)
    source = f"climatology with SHA-256 {climatology.sha256}"
    for name in FORCING_FIELDS:
        values = _foreseen(name, dataset[name].values, analysis.valid_time, climatology, days)
        attributes = {"units": FIELDS[name].units, "long_name": f"{FIELDS[name].long_name}, by day of the forecast"}
        dataset = dataset.assign({f"{name}_by_day": (("day", "longitude", "latitude"), values, attributes)})
        provenance[f"{name}_by_day"] = [{"levels": [], "method": PERSISTED_ANOMALY, "source": source}]
    return replace(analysis, dataset=dataset, provenance=provenance)


def _foreseen(name: str, now: Array, since: datetime, climatology: Climatology, days: int) -> Array:
    """The field on each day [day, longitude, latitude]; on the first it is the analysis."""
    normal = climatology.at(name, since)
    fields = [now]
    for day in range(1, days + 1):
        change = climatology.at(name, since + timedelta(days=day)) - normal
        fields.append(np.where(now > 0, now + change, now) if name == _SEA_ICE else now + change)
    low, high = (0.0, 1.0) if name == _SEA_ICE else (FREEZING_SEA, FIELDS[_SST].valid_range[1])
    result = np.stack(fields)
    result[1:] = np.clip(result[1:], np.minimum(low, now), np.maximum(high, now))
    return result.astype(np.float32)


def _position(moment: datetime) -> tuple[int, float]:
    """The month whose middle came last, 0 for January, and how far it is to the middle of the next."""
    year = moment.year
    middles = [_middle(year + offset // _MONTHS, offset % _MONTHS) for offset in range(-1, _MONTHS + 1)]
    last = max(k for k, middle in enumerate(middles) if middle <= moment)
    return (last - 1) % _MONTHS, (moment - middles[last]) / (middles[last + 1] - middles[last])


def _middle(year: int, month: int) -> datetime:
    start = datetime(year, month + 1, 1, tzinfo=UTC)
    end = datetime(year + (month + 1) // _MONTHS, (month + 1) % _MONTHS + 1, 1, tzinfo=UTC)
    return start + (end - start) / 2


def read_climatology(path: Path, grid: GaussianGrid) -> Climatology:
    """The climatology in a NetCDF file on the model's grid.

    The file holds both fields under a name of `ingest.canonical`, on latitude and longitude and along time or
    valid_time, all calendar months among them. Raises Gone, Broken, Incomplete or Refused.
    """
    if not path.is_file():
        raise Gone(f"{path}: expected the climatology named by ingest.climatology, found no file; correct the setting")
    try:
        dataset = xr.load_dataset(path, engine="netcdf4")
    except (OSError, ValueError, RuntimeError) as error:
        raise Broken(f"{path.name}: cannot be read as NetCDF: {error}; make the climatology again") from error
    months = {name: _months(dataset, name, grid, path.name) for name in FORCING_FIELDS}
    return Climatology(months, hashlib.sha256(path.read_bytes()).hexdigest())


def _months(dataset: xr.Dataset, name: str, grid: GaussianGrid, where: str) -> Array:
    """A field's mean of each calendar month [month, longitude, latitude], with values over land too."""
    variable = _variable(dataset, name, where)
    time = next((axis for axis in ("valid_time", "time") if axis in variable.dims), None)
    absent = {"latitude", "longitude"} - set(variable.dims)
    if time is None or absent:
        raise Refused(f"{where}: expected {name} along time, latitude and longitude, found {variable.dims}")
    means = variable.groupby(f"{time}.month").mean(time, skipna=True)
    if means.sizes["month"] != _MONTHS:
        raise Incomplete(f"{where}: expected {name} for 12 calendar months, found {sorted(means['month'].values)}")
    means = means.transpose("month", "longitude", "latitude")
    try:
        regridder = Regridder(RegularGrid(means["longitude"].values, means["latitude"].values), grid)
    except GridError as error:
        raise Refused(f"{where}: {error}; give a global file") from error
    low, high = QUANTITIES[name].valid_range
    if not ((means >= low) & (means <= high) | means.isnull()).all():
        raise Refused(f"{where}: expected {name} between {low:g} and {high:g} in SI units; convert the file")
    return np.stack([fill_from_nearest(regridder(values.astype(np.float32)), grid) for values in means.values])


def _variable(dataset: xr.Dataset, name: str, where: str) -> xr.DataArray:
    for spelling in QUANTITIES[name].netcdf_names:
        if spelling in dataset:
            return dataset[spelling].squeeze(drop=True)
    raise Incomplete(f"{where}: expected {name}, found {', '.join(map(str, dataset.data_vars))}; add it to the file")
