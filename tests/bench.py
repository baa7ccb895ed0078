"""The forecast beside the reference: `python -m tests.bench [--repetitions N] [--members N] [--json FILE]`.

One member goes six hours and is decoded; with `--members` so many go one hour. All contenders start from the
demonstration analysis in one process and take turns, so that a machine that slows down slows all of them; reported
are medians, and the medians of the ratios within a turn. Memory is managed as in the program, for all of them. The
floor is the arithmetic of the matrix products and convolutions, those of the transforms by what their symmetries
leave, at the rate of a large matrix product here.
"""

import argparse
import json
import math
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
from ops.forecaster import ModelForecaster
from ops.start import manage_memory
from tests.parity.reference import Reference

CYCLE = datetime(1959, 1, 2, tzinfo=UTC)
HOURS = 6
OURS, LOOP, UNROLL, VMAP = "sigmacast", "reference, advance in a loop", "reference, unroll", "reference, vmap"
Contenders = dict[str, Callable[[], Any]]


class Sigmacast:
    """Our forecast as a run makes it."""

    def __init__(self, archive: Path) -> None:
        self.model = HybridModel(native.from_archive(archive, "demo", datetime.now(UTC), "bench"))
        self.members = Members(self.model, CYCLE)
        analysis = open_source("demo", None).fetch(CYCLE, ModelNeeds(128, 64)).dataset
        self.forcing = {name: analysis[name].values for name in FORCING_FIELDS}
        self.fields = {name: analysis[name].values for name in LEVEL_FIELDS}

    def start(self, member: int) -> ModelState:
        """A member's encoded state."""
        return self.members.encode(self.fields, self.forcing, Identity(member))

    def one(self) -> Callable[[], Any]:
        """One member for six hours, decoded."""
        start, identity = self.start(0), Identity(0)

        def forecast() -> Any:
            (end,) = self.members.advance([start], [identity], self.forcing, 1, HOURS)
            return self.members.decode(end, self.forcing)

        return forecast

    def many(self, count: int) -> Callable[[], Any]:
        """Members for one hour."""
        identities = [Identity(member) for member in range(count)]
        starts = [self.start(member) for member in range(count)]

        def forecast() -> Any:
            return self.members.advance(starts, identities, self.forcing, 1, 1)

        return forecast

    def operations(self) -> float:
        """Floating-point operations of one hour."""
        graph, leaves = nnx.split(self.model)

        def step_of(leaves: Any, *arguments: Any) -> ModelState:
            return nnx.merge(graph, leaves).step(*arguments)

        traced = jax.make_jaxpr(step_of)(leaves, self.start(0), self.forcing, jax.random.key(0))
        return operations_in(traced.jaxpr)


def operations_in(program: Any) -> float:
    """Floating-point operations of the products, convolutions and transforms of a traced program."""
    return sum(_operations(step) for step in program.eqns)


def _operations(step: Any) -> float:
    shapes = [x.aval.shape for x in step.invars]
    (result, *_) = (x.aval.shape for x in step.outvars)
    if step.primitive.name == "dot_general":
        (contracted, _), _ = step.params["dimension_numbers"]
        return 2.0 * math.prod(result) * math.prod(shapes[0][axis] for axis in contracted)
    if step.primitive.name == "conv_general_dilated":
        features = step.params["dimension_numbers"].rhs_spec[0]
        return 2.0 * math.prod(result) * math.prod(shapes[1]) / shapes[1][features]
    if step.primitive.name == "ffi_call" and step.params["target_name"] == "sigmacast_columns":
        columns, _, levels = result
        return 2.0 * columns * levels * math.prod(shapes[1])
    if step.primitive.name == "ffi_call":
        return operations_of_transform(*((shapes[0], result) if shapes[0][0] < result[0] else (result, shapes[0])))
    inner = [each for value in step.params.values() for each in (value if isinstance(value, tuple) else (value,))]
    programs = [getattr(each, "jaxpr", each) for each in inner]
    return step.params.get("length", 1) * sum(operations_in(each) for each in programs if hasattr(each, "eqns"))


def operations_of_transform(modal: tuple[int, ...], nodal: tuple[int, ...]) -> float:
    """Of one transform by kernels: a hemisphere of latitudes, and a quarter of the circle or a half."""
    (zonal, levels, total), (longitudes, _, latitudes) = modal, nodal
    functions = sum(total - m for m in range(zonal // 2))
    nodes = longitudes // 4 + 1 if longitudes % 2 == 0 else longitudes // 2 + 1
    return 2.0 * levels * (2 * functions * ((latitudes + 1) // 2) + nodes * zonal * latitudes)


class TheReference:
    """The reference implementation with the same checkpoint and analysis."""

    def __init__(self, archive: Path) -> None:
        self.model = model = Reference.of(published.read(archive)).model
        self.analysis = neuralgcm.demo.load_data(model.data_coords)
        self.inputs = model.inputs_from_xarray(self.analysis.isel(time=0))
        self.forcings = model.forcings_from_xarray(self.analysis.isel(time=0))

    def start(self, member: int) -> Any:
        """A member's encoded state."""
        return self.model.encode(self.inputs, self.forcings, jax.random.key(member))

    def one(self) -> Contenders:
        """One member for six hours, decoded, by both of its ways."""
        start, over_time = self.start(0), self.model.forcings_from_xarray(self.analysis)

        def loop() -> Any:
            state = start
            for _ in range(HOURS):
                state = self.model.advance(state, self.forcings)
            return jax.device_get(self.model.decode(state, self.forcings))

        def unroll() -> Any:
            steps = np.timedelta64(HOURS, "h")
            return jax.device_get(self.model.unroll(start, over_time, steps=1, timedelta=steps)[1])

        return {LOOP: loop, UNROLL: unroll}

    def many(self, count: int) -> Contenders:
        """Members for one hour, together and one after another."""
        starts = [self.start(member) for member in range(count)]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
        together = jax.jit(jax.vmap(self.model.advance, in_axes=(0, None)))
        return {
            VMAP: lambda: together(stacked, self.forcings),
            LOOP: lambda: [self.model.advance(start, self.forcings) for start in starts],
        }


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


def compared(contenders: Contenders, repetitions: int, member_hours: int) -> dict[str, Any]:
    """Median seconds per member hour, and median ratios to ours."""
    times = in_turns(contenders, repetitions)
    paired = {name: zip(times[OURS], each, strict=True) for name, each in times.items()}
    return {
        "seconds_per_member_hour": {name: statistics.median(each) / member_hours for name, each in times.items()},
        "ratio": {name: statistics.median(theirs / mine for mine, theirs in pairs) for name, pairs in paired.items()},
    }


def measured(repetitions: int, members: int | None) -> dict[str, Any]:
    """What is asked for, and on what it was measured."""
    archive = checkpoint_file()
    ours, reference = Sigmacast(archive), TheReference(archive)
    result: dict[str, Any] = {
        "device": ModelForecaster().device(),
        "jax": jax.__version__,
        "repetitions": repetitions,
        "one member": compared({OURS: ours.one()} | reference.one(), repetitions, HOURS),
        "floor_seconds_per_hour": ours.operations() / peak_rate(),
    }
    if members:
        many = {OURS: ours.many(members)} | reference.many(members)
        result[f"{members} members"] = compared(many, repetitions, members)
    return result


def told(title: str, result: dict[str, Any], floor: float) -> None:
    """Print one comparison."""
    seconds, ratio = result["seconds_per_member_hour"], result["ratio"]
    rows = [(name, f"{seconds[name]:.3f}", f"{ratio[name]:.2f}") for name in seconds]
    rows.append(("floor of arithmetic", f"{floor:.3f}", f"{floor / seconds[OURS]:.2f}"))
    table((f"{title.upper()}, ONE HOUR", "SECONDS PER MEMBER", "RATIO"), rows)


def main() -> None:
    """Measure, print, and write."""
    options = argparse.ArgumentParser(description="The forecast beside the reference.")
    options.add_argument("--repetitions", type=int, default=8)
    options.add_argument("--members", type=int, help="also so many members for an hour")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    result = measured(given.repetitions, given.members)
    for title, compared_ in result.items():
        if isinstance(compared_, dict):
            told(title, compared_, result["floor_seconds_per_hour"])
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    manage_memory()
    main()
