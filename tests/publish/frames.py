"""Small synthetic frames: smooth, different in every member, level and field, physically plausible."""

from datetime import UTC, datetime, timedelta

import numpy as np
import xarray as xr

from forecast.constants import DRY_AIR_GAS_CONSTANT
from forecast.frame import Frame
from forecast.grids import GaussianGrid
from publish.manifest import RunInfo

INIT_TIME = datetime(1959, 1, 2, tzinfo=UTC)
LEVELS = (50, 300, 500, 850, 1000)
LONGITUDES, LATITUDES = 32, 16


def make_frame(
    lead_hours: int = 6,
    members: tuple[int, ...] = (0, 1, 2, 3),
    levels: tuple[int, ...] = LEVELS,
    shape: tuple[int, int] = (LONGITUDES, LATITUDES),
) -> Frame:
    """A frame on a Gaussian grid of `shape` (longitude, latitude)."""
    grid = GaussianGrid(*shape)
    longitude, latitude = np.meshgrid(np.deg2rad(grid.longitudes), np.deg2rad(grid.latitudes), indexing="ij")
    member = np.asarray(members, float)[:, None, None, None]
    pressure = np.asarray(levels, float)[:, None, None]
    wave = np.cos(latitude) ** 2 * np.sin(2 * longitude + member + lead_hours / 24)
    temperature = 288 * (pressure / 1013) ** 0.19 - 25 * np.sin(latitude) ** 2 + 3 * wave
    temperature = np.maximum(temperature, 205 + wave)
    geopotential = DRY_AIR_GAS_CONSTANT * 262 * np.log(1013 / pressure) + 1500 * np.cos(2 * latitude) + 500 * wave
    humidity = 0.012 * (pressure / 1000) ** 3 * np.cos(latitude) ** 2 * (1 + 0.1 * wave) + 1e-6
    orography = 9000 * np.exp(-4 * ((longitude - 1.5) ** 2 + (latitude - 0.6) ** 2))
    orography = np.where(orography < 200, 0.0, orography)
    surface_wave = wave[:, 0]
    surface_pressure = (101_325 + 500 * surface_wave) * np.exp(-orography / (DRY_AIR_GAS_CONSTANT * 280))
    on_levels, at_surface = ("member", "level", "longitude", "latitude"), ("member", "longitude", "latitude")
    variables = {
        "geopotential": (on_levels, geopotential),
        "air_temperature": (on_levels, temperature),
        "eastward_wind": (on_levels, 25 * np.cos(latitude) * (1000 / pressure) ** 0.2 + 5 * wave),
        "northward_wind": (on_levels, 8 * wave * (1000 / pressure) ** 0.1),
        "specific_humidity": (on_levels, humidity),
        "mass_fraction_of_cloud_ice_in_air": (on_levels, 1e-3 * humidity * (1 + 0.1 * wave)),
        "mass_fraction_of_cloud_liquid_water_in_air": (on_levels, 4e-3 * humidity * (1 + 0.1 * wave)),
        "surface_air_pressure": (at_surface, surface_pressure),
        "atmosphere_mass_content_of_water_vapor": (at_surface, 40 * np.cos(latitude) ** 2 + 2 * surface_wave),
        "surface_geopotential": (("longitude", "latitude"), orography),
    }
    data = xr.Dataset(
        {name: (dimensions, np.asarray(values, np.float32)) for name, (dimensions, values) in variables.items()},
        coords={
            "member": list(members),
            "level": list(levels),
            "longitude": grid.longitudes,
            "latitude": grid.latitudes,
        },
    )
    return Frame(INIT_TIME, timedelta(hours=lead_hours), data)


def with_net_precipitation(frame: Frame) -> Frame:
    """The frame with water that the ground has gained since the beginning, more in every member and lead time."""
    hours = frame.lead_time / timedelta(hours=1)
    shape = frame.data["surface_air_pressure"]
    gained = (0.1 * hours * (1 + frame.data["member"]) * (1 + xr.zeros_like(shape))).astype(np.float32)
    gained = gained.transpose("member", "longitude", "latitude")
    return Frame(frame.init_time, frame.lead_time, frame.data.assign(precipitation_minus_evaporation=gained))


def make_run(lead_hours: tuple[int, ...] = (0, 6), run_id: str = "run-1", **changes: object) -> RunInfo:
    """The run that such frames belong to."""
    settings: dict[str, object] = {
        "run_id": run_id,
        "model": "tiny-model",
        "model_hash": "ab" * 32,
        "init_time": INIT_TIME,
        "lead_hours": lead_hours,
        "ensemble_size": 4,
        "longitude_count": LONGITUDES,
        "inputs": ({"uri": "file:///analysis.nc", "sha256": "cd" * 32, "bytes": 12, "source": "demo"},),
        "seeds": {"cycle": 1959010200},
        "versions": {"sigmacast": "0.1.0", "eccodes": "2.50.0"},
    }
    return RunInfo(**(settings | changes))  # pyright: ignore[reportArgumentType]
