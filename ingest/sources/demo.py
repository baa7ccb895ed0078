"""The ERA5 analysis of 1959-01-02 00 UTC that ships as a data file in the distribution `neuralgcm`.

Only the file is read; no code of that distribution is imported.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import xarray as xr

from forecast.grids import Regridder, RegularGrid
from ingest.analysis import Analysis, InputFile, Origin
from ingest.canonical import canonical_dataset
from ingest.checks import check_analysis, check_time
from ingest.errors import Broken, Gone, Incomplete
from ingest.source import ModelNeeds

CYCLE = datetime(1959, 1, 2, 0, tzinfo=UTC)

_DISTRIBUTION = "neuralgcm"
_FILE = "neuralgcm/data/era5_tl31_19590102T00.nc"
_NAMES = {
    "geopotential": "geopotential",
    "air_temperature": "temperature",
    "eastward_wind": "u_component_of_wind",
    "northward_wind": "v_component_of_wind",
    "specific_humidity": "specific_humidity",
    "mass_fraction_of_cloud_ice_in_air": "specific_cloud_ice_water_content",
    "mass_fraction_of_cloud_liquid_water_in_air": "specific_cloud_liquid_water_content",
    "sea_surface_temperature": "sea_surface_temperature",
    "sea_ice_area_fraction": "sea_ice_cover",
}


@dataclass(frozen=True)
class DemoSource:
    """One analysis, always available once the extra `demo` is installed."""

    name: str = "demo"

    def cycles(self) -> tuple[datetime, ...]:
        """The one cycle there is."""
        return (CYCLE,)

    def fetch(self, cycle: datetime, needs: ModelNeeds) -> Analysis:
        """The analysis, conservatively regridded to the model's grid.

        Raises WrongTime for another cycle, Gone when the distribution is not installed, and Incomplete
        when the model needs levels or variables that it does not hold.
        """
        check_time([CYCLE], cycle, "the demo")
        path, version = _data_file()
        dataset = _read(path)
        _require(dataset, needs)
        regridder = Regridder(RegularGrid(dataset["longitude"].values, dataset["latitude"].values), needs.grid)
        arrays = {name: regridder(_values(dataset[_NAMES[name]], needs)) for name in needs.variables}
        source = f"ERA5, data file of {_DISTRIBUTION} {version}"
        provenance = {name: [_origin(arrays[name].ndim, needs, source)] for name in needs.variables}
        inputs: list[InputFile] = [_input_file(path, source)]
        return check_analysis(Analysis(canonical_dataset(arrays, needs), CYCLE, provenance, inputs), cycle, needs)


def _data_file() -> tuple[Path, str]:
    """The file of the installed distribution, and the version of that."""
    try:
        distribution = metadata.distribution(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        raise Gone(
            f"the demo's analysis is a file of the distribution {_DISTRIBUTION}, which is not installed; "
            "install sigmacast with the extra demo"
        ) from None
    path = Path(str(distribution.locate_file(_FILE)))
    if not path.is_file():
        raise Gone(f"expected {_FILE} in {_DISTRIBUTION} {distribution.version}, found none; install version 1.2.2")
    return path, distribution.version


def _read(path: Path) -> xr.Dataset:
    try:
        return xr.load_dataset(path, engine="netcdf4")
    except (OSError, ValueError, RuntimeError) as error:
        raise Broken(f"{path}: cannot be read as NetCDF: {error}; install {_DISTRIBUTION} again") from error


def _require(dataset: xr.Dataset, needs: ModelNeeds) -> None:
    """Raises when a variable, a level or the time is not as the model needs it."""
    moment = datetime.fromtimestamp(
        float((dataset["time"].values - np.datetime64(0, "s")) / np.timedelta64(1, "s")), UTC
    )
    check_time([moment], CYCLE, "the demo's file")
    variables = sorted(name for name in needs.variables if _NAMES.get(name) not in dataset)
    levels = sorted(set(needs.levels) - set(map(int, dataset["level"].values)))
    if variables or levels:
        raise Incomplete(
            f"the demo holds nine variables on the 37 levels of ERA5; the model also needs {variables} "
            f"and the levels {levels} hPa; use another source"
        )


def _values(variable: xr.DataArray, needs: ModelNeeds) -> np.ndarray:
    if "level" not in variable.dims:
        return variable.transpose("longitude", "latitude").values
    return variable.sel(level=list(needs.levels)).transpose("level", "longitude", "latitude").values


def _origin(dimensions: int, needs: ModelNeeds, source: str) -> Origin:
    levels = list(needs.levels) if dimensions == 3 else []
    return {"levels": levels, "method": "as given; conservative regridding", "source": source}


def _input_file(path: Path, source: str) -> InputFile:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"uri": f"pypi:{_DISTRIBUTION}/{_FILE}", "sha256": digest, "bytes": len(content), "source": source}
