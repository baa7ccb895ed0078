"""From the start of a process to its first decoded hour: `python -m tests.bench_start [--repetitions N] [--json FILE]`.

Each turn starts three fresh processes, which load the demonstration model and forecast an hour of one member: two as a
run does, with an empty cache of compiled programs and with the cache that the first has left, and the reference,
which keeps none. Reported are medians of seconds since the process was started, with the moments that it passed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forecast.checkpoint import native
from ops.commands.output import table
from ops.demo import checkpoint_file
from ops.start import MEMORY, TUNABLES

CYCLE = datetime(1959, 1, 2, tzinfo=UTC)
MOMENTS = ("python", "imported", "checkpoint", "analysis", "ready", "analysed", "first hour")
STARTED = "BENCH_STARTED"


def first_hour(directory: Path) -> None:
    """The measured process: prints the seconds since its start at each of the moments."""
    passed = [time.time()]

    def now() -> None:
        passed.append(time.time())

    from forecast import program_cache
    from forecast.checkpoint import registry
    from forecast.initial import InitialConditions
    from forecast.spec import ForecastSpec
    from ingest.source import ModelNeeds
    from ingest.sources import open_source
    from ops.forecaster import ModelForecaster

    forecaster = ModelForecaster()
    forecaster.device()
    now()
    program_cache.keep_in(directory / "programs")
    checkpoint = registry.find_model(directory / "models", "demo")
    now()
    analysis = open_source("demo", None).fetch(CYCLE, ModelNeeds(128, 64)).dataset
    now()
    hour = timedelta(hours=1)
    spec = ForecastSpec(CYCLE, checkpoint.sha256, members=1, duration=hour, interval=hour, window=hour)
    with TemporaryDirectory() as restart:
        initial = InitialConditions(analysis)
        forecast = forecaster.start(checkpoint, spec, initial, Path(restart), None, lambda *_: None)
        now()
        frames = forecast.frames(timedelta(0))
        for _ in spec.lead_times:
            next(frames)
            now()
    began = float(os.environ[STARTED])
    sys.stdout.write(json.dumps([each - began for each in passed]) + "\n")


def first_hour_of_the_reference() -> None:
    """The same by the reference package: prints the seconds since its start at the first decoded hour."""
    import jax
    import numpy as np

    from tests.bench import TheReference

    reference = TheReference(checkpoint_file())
    model, over_time = reference.model, reference.model.forcings_from_xarray(reference.analysis)
    hour = np.timedelta64(1, "h")
    jax.device_get(model.unroll(reference.start(0), over_time, steps=2, timedelta=hour, start_with_input=True)[1])
    sys.stdout.write(json.dumps([time.time() - float(os.environ[STARTED])]) + "\n")


def process(*arguments: str) -> list[float]:
    """Seconds from the start of a fresh process to each of the moments."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION_CACHE")}
    environment = ours | {TUNABLES: MEMORY, STARTED: repr(time.time())}
    command = [sys.executable, "-m", "tests.bench_start", *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(repetitions: int) -> dict[str, Any]:
    """Medians of both kinds of start, and all of them."""
    times: dict[str, list[list[float]]] = {"empty": [], "warm": [], "reference": []}
    with TemporaryDirectory() as place:
        directory = Path(place)
        native.save(native.from_archive(checkpoint_file(), "demo", datetime.now(UTC), "bench"), directory / "models")
        here = "--in", place
        process(*here)
        for _ in range(repetitions):
            for kept in (directory / "programs").glob("*"):
                kept.unlink()
            for kind in ("empty", "warm"):
                times[kind].append(process(*here))
            times["reference"].append(process("--reference"))
    medians = {kind: [statistics.median(each) for each in zip(*times[kind], strict=True)] for kind in ("empty", "warm")}
    return {
        "repetitions": repetitions,
        "seconds": {kind: dict(zip(MOMENTS, each, strict=True)) for kind, each in medians.items()},
        "reference": statistics.median(turn[-1] for turn in times["reference"]),
        "all": {kind: [turn[-1] for turn in turns] for kind, turns in times.items()},
        "load": os.getloadavg(),
    }


def main() -> None:
    """Measure, print, and write."""
    options = argparse.ArgumentParser(description="Process start to first decoded hour.")
    options.add_argument("--repetitions", type=int, default=5)
    options.add_argument("--json", type=Path)
    options.add_argument("--in", type=Path, dest="directory", help=argparse.SUPPRESS)
    options.add_argument("--reference", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.reference:
        return first_hour_of_the_reference()
    if given.directory:
        return first_hour(given.directory)
    result = measured(given.repetitions)
    seconds = result["seconds"]
    rows = [(moment, *(f"{seconds[kind][moment]:.2f}" for kind in seconds)) for moment in MOMENTS]
    table(("SECONDS SINCE THE START, WITH A CACHE THAT IS", *(kind.upper() for kind in seconds)), rows)
    total = result["reference"]
    ratios = ", ".join(f"{total / each['first hour']:.1f} times as long as {kind}" for kind, each in seconds.items())
    sys.stdout.write(f"\nreference, first hour: {total:.2f} s, {ratios}\n")
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
