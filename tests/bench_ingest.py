"""A full analysis from file to model grid, beside the usual way: `python -m tests.bench_ingest [--repetitions N]`.

A GRIB file is made with ecCodes as GFS publishes it: 0.25 degrees, 37 levels, complex packing with spatial
differencing, messages about as long as the real ones. Both ways read it, decode it and regrid it conservatively to the
grids of the published models, each time in a process of its own and in turns, so that a machine that slows down slows
both. The usual way is cfgrib's `open_datasets` and the reference's `ConservativeRegridder`. Seconds count from when
everything is imported to when the last field is on the model's grid; peak memory is that of the whole process. Reported
are medians, the medians of the ratios within a turn, and the greatest difference as a share of a field's greatest
magnitude.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

GRIDS = {"1.4": (256, 128), "2.8": (128, 64)}
OURS, OURS_WHOLE, USUAL = "sigmacast", "sigmacast, checked analysis", "cfgrib and the reference"
NAMES = {"gh": "geopotential_height", "t": "air_temperature", "u": "eastward_wind", "v": "northward_wind"}
NAMES |= {"q": "specific_humidity", "clwmr": "cloud_mixing_ratio", "icmr": "cloud_ice_mixing_ratio"}
Fields = dict[str, np.ndarray]


def sigmacast(path: Path, shape: tuple[int, int]) -> Callable[[], Fields]:
    """Every level field read, checked and regridded as it comes, by variable and level."""
    from forecast.grids import weight_cache
    from ingest import grib
    from ingest.assemble import assemble
    from ingest.source import ModelNeeds

    weight_cache.keep_in(path.parent / "weights")
    needs = ModelNeeds(*shape)

    def work() -> Fields:
        assembly = assemble(grib.read_fields(path, lambda _: True), needs, path.name)
        levels = {name: store.values for name, store in assembly._levels.items()}
        return {f"{name} {level}": field for name, fields in levels.items() for level, field in fields.items()}

    return work


def checked_analysis(path: Path, shape: tuple[int, int]) -> Callable[[], Fields]:
    """The same, and the file's hash, derived fields, forcing, and the quality gate."""
    from forecast.grids import weight_cache
    from ingest.quality import examine
    from ingest.source import ModelNeeds
    from ingest.sources import open_source
    from tests.ingest.examples import CYCLE

    weight_cache.keep_in(path.parent / "weights")

    def work() -> Fields:
        analysis = open_source("files", path).fetch(CYCLE, ModelNeeds(*shape))
        examine(analysis)
        return {}

    return work


def usual(path: Path, shape: tuple[int, int]) -> Callable[[], Fields]:
    """Datasets of the whole file in memory, regridded as the reference's documentation shows it."""
    import cfgrib
    import xarray as xr
    from dinosaur import horizontal_interpolation, spherical_harmonic, xarray_utils

    target = {(256, 128): spherical_harmonic.Grid.TL127, (128, 64): spherical_harmonic.Grid.TL63}[shape]()

    def regridded(dataset: xr.Dataset) -> xr.Dataset:
        source = spherical_harmonic.Grid(
            longitude_nodes=dataset.sizes["longitude"],
            latitude_nodes=dataset.sizes["latitude"],
            latitude_spacing="equiangular_with_poles",
            longitude_offset=0.0,
        )
        regridder = horizontal_interpolation.ConservativeRegridder(source, target, skipna=True)
        return xarray_utils.regrid(dataset.load().transpose(..., "longitude", "latitude"), regridder)

    def work() -> Fields:
        fields = {}
        for dataset in cfgrib.open_datasets(str(path), backend_kwargs={"indexpath": ""}):
            result = regridded(dataset)
            for name in NAMES.keys() & (set(result) if "isobaricInhPa" in result.dims else set()):
                for level in result["isobaricInhPa"].values:
                    fields[f"{NAMES[str(name)]} {level:.0f}"] = result[name].sel(isobaricInhPa=level).values
        return fields

    return work


WAYS = {OURS: sigmacast, OURS_WHOLE: checked_analysis, USUAL: usual}


def peak_bytes() -> int:
    """The most memory that this process has held, by the kernel's account of it alone.

    What getrusage tells a process begins with the memory of the one that started it.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024 if found else 0


def child(way: str, path: Path, grid: str, result: Path | None) -> None:
    """One way in this process: prints seconds, processor seconds and peak memory, saves the fields."""
    work = WAYS[way](path, GRIDS[grid])
    began, used = time.perf_counter(), time.process_time()
    fields = work()
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    peak = peak_bytes()
    if result is not None:
        np.savez(result, **fields)
    sys.stdout.write(json.dumps({"seconds": seconds, "processor_seconds": processor, "peak_bytes": peak}) + "\n")


def timed(way: str, path: Path, grid: str, result: Path | None = None) -> dict[str, float]:
    """One way in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench_ingest", "--child", way, str(path), grid]
    ended = subprocess.run([*command, str(result or "")], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ended.stdout.splitlines()[-1])


def measured(path: Path, repetitions: int) -> dict[str, Any]:
    """Medians, ratios and differences for each grid."""
    results: dict[str, Any] = {}
    for grid in GRIDS:
        saved = {way: path.parent / f"{number}.npz" for number, way in enumerate((OURS, USUAL))}
        turns = [{way: timed(way, path, grid, saved.get(way)) for way in WAYS} for _ in range(repetitions)]
        results[grid] = {
            way: {key: statistics.median(turn[way][key] for turn in turns) for key in turns[0][way]}
            | {"ratio": statistics.median(turn[USUAL]["seconds"] / turn[way]["seconds"] for turn in turns)}
            for way in WAYS
        }
        results[grid]["greatest_difference"] = greatest_difference(saved[OURS], saved[USUAL])
        results[grid]["turns"] = turns
    return results


def greatest_difference(ours: Path, theirs: Path) -> float:
    """The greatest difference of any level field, as a share of the field's greatest magnitude."""
    worst = 0.0
    with np.load(ours) as one, np.load(theirs) as other:
        if set(one.files) != set(other.files):
            raise RuntimeError(f"expected the same fields of both, these differ: {set(one.files) ^ set(other.files)}")
        for name in one.files:
            expected = other[name].astype(np.float64)
            factor = 9.80665 if name.startswith("geopotential_height") else 1.0
            difference = float(np.abs(one[name] / factor - expected).max())
            worst = max(worst, difference / (float(np.abs(expected).max()) or 1.0))
    return worst


def main() -> None:
    """Measure, print, and write."""
    options = argparse.ArgumentParser(description="A full analysis from file to model grid, beside the usual way.")
    options.add_argument("--repetitions", type=int, default=5)
    options.add_argument("--spacing", type=float, default=0.25, help="of the file's grid [degrees]")
    options.add_argument("--json", type=Path)
    options.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child:
        way, path, grid, result = given.child
        child(way, Path(path), grid, Path(result) if result else None)
        return
    from ops.commands.output import table
    from tests.ingest.full_state import write_full_state

    with TemporaryDirectory() as directory:
        path = write_full_state(Path(directory) / "analysis.grib2", given.spacing)
        size = path.stat().st_size
        results = measured(path, given.repetitions)
    rows = [
        (f"{grid}° {way}", f"{one['seconds']:.2f}", f"{one['ratio']:.2f}", f"{one['peak_bytes'] / 1e9:.2f}")
        for grid, ways in results.items()
        for way, one in ways.items()
        if way in WAYS
    ]
    table((f"ONE ANALYSIS AT {given.spacing}°, {size / 1e6:.0f} MB", "SECONDS", "FASTER BY", "PEAK GB"), rows)
    differences = [(f"{grid}°", f"{ways['greatest_difference']:.1e}") for grid, ways in results.items()]
    table(("GREATEST DIFFERENCE", "OF A FIELD'S GREATEST VALUE"), differences)
    if given.json:
        machine = {"processors": len(os.sched_getaffinity(0)), "machine": platform.machine(), "bytes": size}
        given.json.write_text(json.dumps(machine | {"grids": results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
