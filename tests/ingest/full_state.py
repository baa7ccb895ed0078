"""A global analysis as GFS publishes it: 0.25 degrees, 37 levels, complex packing with spatial differencing."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import eccodes
import numpy as np

from forecast.constants import STANDARD_GRAVITY
from forecast.fields import PRESSURE_LEVELS
from tests.ingest.examples import CYCLE, Example, _set_grid, state

CLOUD_LEVELS = tuple(level for level in PRESSURE_LEVELS if level >= 50)
"""The levels [hPa] that GFS has cloud on."""

_STEPS = {"gh": 0.05, "t": 0.02, "u": 0.02, "v": 0.02, "q": 1e-7, "clwmr": 1e-6, "icmr": 1e-6, "ci": 0.01, "lsm": 1.0}
"""What values are rounded to in packing."""
_ROUGHNESS = {"gh": 4.0, "t": 1.0, "u": 3.0, "v": 3.0, "q": 1e-4, "clwmr": 2e-5, "icmr": 2e-5}
"""Standard deviation of the small scales, such that messages are as long as those of GFS."""


def fields(longitudes: np.ndarray, latitudes: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """Fields [latitude, longitude] under the names of GFS by (short name, level), level 0 at the surface."""
    smooth = state(longitudes, latitudes)
    small = small_scales(latitudes.size, longitudes.size)
    made = {}
    for level in PRESSURE_LEVELS:
        made[("gh", level)] = smooth["z", level] / STANDARD_GRAVITY
        made |= {(name, level): smooth[name, level] for name in ("t", "u", "v", "q")}
        if level in CLOUD_LEVELS:
            made |= {("clwmr", level): smooth["clwc", level], ("icmr", level): smooth["ciwc", level]}
    for number, (name, level) in enumerate(made):
        rough = np.roll(small, 37 * number, axis=1) * _ROUGHNESS[name]
        if name in ("q", "clwmr", "icmr"):
            rough = np.maximum(rough, 0.0) * (made[name, level] > 0.2 * _ROUGHNESS[name])
        made[name, level] = made[name, level] + rough * np.cos(np.deg2rad(latitudes))[:, np.newaxis]
    return made | {("t", 0): smooth["skt", 0], ("ci", 0): smooth["ci", 0], ("lsm", 0): smooth["lsm", 0]}


def small_scales(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Noise [row, column] of unit variance whose spectrum falls as that of the weather does at its small scales."""
    spectrum = np.fft.rfft2(np.random.default_rng(seed).normal(size=(rows, columns)))
    wavenumber = np.hypot(np.fft.fftfreq(rows, 1 / rows)[:, np.newaxis], np.fft.rfftfreq(columns, 1 / columns))
    noise = np.fft.irfft2(spectrum / np.maximum(wavenumber, 10.0) ** (4 / 3), s=(rows, columns))
    return noise / noise.std()


def write_full_state(path: Path, spacing: float = 0.25, processes: int = 2) -> Path:
    """A GRIB file of one analysis of the whole globe at a spacing [degrees]."""
    latitudes, longitudes = np.linspace(90.0, -90.0, round(180 / spacing) + 1), np.arange(0.0, 360.0, spacing)
    grid = Example(longitudes=longitudes, latitudes=latitudes)
    with open(path, "wb") as file, ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        made = fields(longitudes, latitudes)
        for content in pool.map(encoded, *zip(*((grid, *key, each) for key, each in made.items()), strict=True)):
            file.write(content)
    return path


def encoded(grid: Example, short_name: str, level: int, values: np.ndarray) -> bytes:
    """One message with the packing of GFS."""
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_{'pl' if level else 'sfc'}_grib2")
    try:
        _set_grid(handle, grid)
        for key, value in {
            "centre": "kwbc",
            "dataDate": int(CYCLE.strftime("%Y%m%d")),
            "dataTime": int(CYCLE.strftime("%H%M")),
            "shortName": short_name,
            "level": level,
        }.items():
            eccodes.codes_set(handle, key, value)
        eccodes.codes_set(handle, "packingType", "grid_complex_spatial_differencing")
        eccodes.codes_set(handle, "orderOfSpatialDifferencing", 2)
        steps = max(1.0, float(np.ptp(values)) / _STEPS[short_name])
        eccodes.codes_set(handle, "bitsPerValue", max(1, int(np.ceil(np.log2(steps + 1.0)))))
        eccodes.codes_set_values(handle, np.asarray(values, dtype=float).ravel())
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)
