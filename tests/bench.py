"""Six forecast hours and their decoding, beside the reference: `python -m tests.bench [--repetitions N] [--json FILE]`.

All contenders start from the demonstration analysis in one process and take turns, so that a machine that slows
down slows all of them; reported are medians, and the medians of the ratios within a turn. The floor is the number
of floating-point operations that the compiler counts, at the rate that a large matrix product reaches here.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import neuralgcm.demo
import numpy as np
from flax import nnx

from forecast.checkpoint import native, published
from forecast.fields import FORCING_FIELDS, LEVEL_FIELDS
from forecast.members import Identity, Members
from forecast.model import HybridModel, ModelState
from ingest.source import ModelNeeds
from ingest.sources import open_source
from ops.commands.output import table
from ops.demo import checkpoint_file
from tests.parity.reference import Reference

CYCLE = datetime(1959, 1, 2, tzinfo=UTC)
HOURS = 6
OURS, LOOP, UNROLL = "sigmacast", "reference, advance in a loop", "reference, unroll"
Contenders = dict[str, Callable[[], Any]]


def sigmacast(archive: Path) -> tuple[Callable[[], Any], float]:
    """Our forecast of one member as a run makes it, and its floating-point operations."""
    model = HybridModel(native.from_archive(archive, "demo", datetime.now(UTC), "bench"))
    members = Members(model, CYCLE)
    analysis = open_source("demo", None).fetch(CYCLE, ModelNeeds(128, 64)).dataset
    forcing = {name: analysis[name].values for name in FORCING_FIELDS}
    fields = {name: analysis[name].values for name in LEVEL_FIELDS}
    identity = Identity(0)
    start = members.encode(fields, forcing, identity)

    def six_hours() -> Any:
        (end,) = members.advance([start], [identity], forcing, 1, HOURS)
        return members.decode(end, forcing)

    return six_hours, HOURS * operations_of_step(model, start, forcing)


def operations_of_step(model: HybridModel, state: ModelState, forcing: Any) -> float:
    """Floating-point operations of one hour, as the compiler counts them."""
    graph, leaves = nnx.split(model)

    def step_of(leaves: Any, *arguments: Any) -> ModelState:
        return nnx.merge(graph, leaves).step(*arguments)

    step = jax.jit(step_of)
    compiled = step.lower(leaves, state, forcing, jax.random.key(0)).compile()
    return float((compiled.cost_analysis() or {})["flops"])


def reference(archive: Path) -> Contenders:
    """The same of the reference, by both of its ways."""
    model = Reference.of(published.read(archive)).model
    analysis = neuralgcm.demo.load_data(model.data_coords)
    inputs, forcings = (
        model.inputs_from_xarray(analysis.isel(time=0)),
        model.forcings_from_xarray(analysis.isel(time=0)),
    )
    over_time = model.forcings_from_xarray(analysis)
    start = model.encode(inputs, forcings, jax.random.key(0))

    def loop() -> Any:
        state = start
        for _ in range(HOURS):
            state = model.advance(state, forcings)
        return jax.device_get(model.decode(state, forcings))

    def unroll() -> Any:
        return jax.device_get(model.unroll(start, over_time, steps=1, timedelta=np.timedelta64(HOURS, "h"))[1])

    return {LOOP: loop, UNROLL: unroll}


def in_turns(contenders: Contenders, repetitions: int) -> dict[str, list[float]]:
    """Seconds of each contender in each of its turns, after one that compiles."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repetitions + 1):
        for name, work in contenders.items():
            began = time.perf_counter()
            jax.block_until_ready(work())
            if turn:
                times[name].append(time.perf_counter() - began)
    return times


def peak_rate() -> float:
    """Floating-point operations per second of a large float32 matrix product, the best of some."""
    size = 2048
    matrix = jnp.ones((size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    times = in_turns({"product": lambda: product(matrix, matrix)}, 10)["product"]
    return 2 * size**3 / min(times)


def measured(repetitions: int) -> dict[str, Any]:
    """Medians and ratios."""
    archive = checkpoint_file()
    ours, operations = sigmacast(archive)
    times = in_turns({OURS: ours} | reference(archive), repetitions)
    paired = {name: zip(times[OURS], each, strict=True) for name, each in times.items()}
    return {
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "repetitions": repetitions,
        "seconds_per_hour": {name: statistics.median(each) / HOURS for name, each in times.items()},
        "ratio": {name: statistics.median(theirs / mine for mine, theirs in pairs) for name, pairs in paired.items()},
        "floor_seconds_per_hour": operations / peak_rate() / HOURS,
    }


def main() -> None:
    """Measure, print, and write."""
    options = argparse.ArgumentParser(description="Six forecast hours beside the reference.")
    options.add_argument("--repetitions", type=int, default=8)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    result = measured(given.repetitions)
    seconds, ratio = result["seconds_per_hour"], result["ratio"]
    rows = [(name, f"{seconds[name]:.3f}", f"{ratio[name]:.2f}") for name in seconds]
    floor = result["floor_seconds_per_hour"]
    table(
        ("ONE MEMBER, ONE HOUR (DECODED EVERY SIX)", "SECONDS", "RATIO"),
        [*rows, ("floor of arithmetic", f"{floor:.3f}", f"{floor / seconds[OURS]:.2f}")],
    )
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
