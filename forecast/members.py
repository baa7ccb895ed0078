"""Members of an ensemble, advanced in batches; every random number comes from cycle and member alone.

On a CPU members run one after another: their arrays then stay in cache, and a member's numbers do not
depend on the batch at all. On an accelerator a batch is one vectorised program.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.errors import ForecastError
from forecast.model import HybridModel, ModelState, hour_of

PLAUSIBLE: Mapping[str, tuple[float, float]] = {
    "air_temperature": (100.0, 400.0),
    "eastward_wind": (-250.0, 250.0),
    "northward_wind": (-250.0, 250.0),
    "surface_air_pressure": (30_000.0, 120_000.0),
}
"""Limits that a stable forecast never leaves, in SI units."""

_MEMORY_SHARE = 0.8
_ENCODING = 0


@dataclass(frozen=True)
class Identity:
    """A member and how often it was started anew: what its randomness is drawn from."""

    member: int
    attempt: int = 0


def member_key(init_time: datetime, identity: Identity) -> jax.Array:
    """The random key of a member: a function of cycle, member and attempt, whatever the ensemble."""
    key = jax.random.fold_in(jax.random.key(0, impl="threefry2x32"), np.uint32(hour_of(init_time) & 0xFFFFFFFF))
    return jax.random.fold_in(jax.random.fold_in(key, identity.member), identity.attempt)


class Members:
    """The model's three operations for any number of members of one forecast.

    States are held on the host's side as one `ModelState` per member; `forcing` as for `HybridModel`. `start_hour`
    is the lead time of the analysis [h]: zero, or less when the model carries an older one to the cycle.
    """

    def __init__(self, model: HybridModel, init_time: datetime, batch_size: int | None = None, start_hour: int = 0):
        self._init_hour = hour_of(init_time)
        self._start_hour = start_hour
        self._init_time = init_time
        graph, self._leaves = nnx.split(model)
        self._encode = jax.jit(partial(_encode, graph))
        self._first_step = jax.jit(_over_batch(partial(_step, graph, fresh=True)))
        self._step = jax.jit(_over_batch(partial(_step, graph, fresh=False)))
        self._decode = jax.jit(partial(_decode, graph))
        self._redraw = jax.jit(partial(_redraw, graph))
        self._batch_size = batch_size

    def encode(
        self, analysis: Mapping[str, np.ndarray], forcing: Mapping[str, np.ndarray], identity: Identity
    ) -> ModelState:
        """A member's state at the time of the analysis."""
        key = jax.random.fold_in(member_key(self._init_time, identity), _ENCODING)
        return self._encode(self._leaves, analysis, forcing, jnp.int32(self._init_hour + self._start_hour), key)

    def reseed(self, state: ModelState, identity: Identity) -> ModelState:
        """A state from which this attempt of a member goes another way than the attempts before."""
        return self._redraw(self._leaves, state, member_key(self._init_time, identity))

    def advance(
        self,
        states: list[ModelState],
        identities: list[Identity],
        forcing: Mapping[str, np.ndarray],
        first_hour: int,
        hours: int,
    ) -> list[ModelState]:
        """The states `hours` later; `first_hour` is the lead time that they are at now [h]."""
        size = self._batch_size or self._fitting_batch(states, identities, forcing)
        advanced: list[ModelState] = []
        for start in range(0, len(states), size):
            batch = slice(start, start + size)
            advanced += self._advance_batch(states[batch], identities[batch], forcing, first_hour, hours, size)
        return advanced

    def decode(self, state: ModelState, forcing: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], str | None]:
        """A member's fields in SI units, see `HybridModel.decode`, and what is implausible about them, if anything."""
        fields, extremes = jax.device_get(self._decode(self._leaves, state, forcing))
        return fields, implausible(extremes)

    def _advance_batch(
        self,
        states: list[ModelState],
        identities: list[Identity],
        forcing: Mapping[str, np.ndarray],
        first_hour: int,
        hours: int,
        size: int,
    ) -> list[ModelState]:
        """One batch, filled up to `size` with its last member so that one compiled program serves all."""
        filling = size - len(states)
        padded = states + states[-1:] * filling
        keys = [member_key(self._init_time, identity) for identity in identities + identities[-1:] * filling]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *padded)
        key = jnp.stack(keys)
        for hour in range(first_hour, first_hour + hours):
            step = self._first_step if hour == self._start_hour else self._step
            stacked = step(self._leaves, stacked, forcing, key, jnp.int32(_number(hour)))
        return [jax.tree.map(lambda x, index=index: x[index], stacked) for index in range(len(states))]

    def _fitting_batch(self, states: list[ModelState], identities: list[Identity], forcing: Any) -> int:
        """How many members fit the device's memory at once; found once."""
        if jax.default_backend() == "cpu":
            self._batch_size = 1
            return 1
        stacked = jax.tree.map(lambda x: x[None], states[0])
        key = member_key(self._init_time, identities[0])[None]
        compiled = self._step.lower(self._leaves, stacked, forcing, key, jnp.int32(1)).compile()
        usage = compiled.memory_analysis()
        limits = jax.devices()[0].memory_stats() or {}
        if usage is None or not limits:
            raise ForecastError("this device does not tell its memory; give the batch size in the configuration")
        needed = usage.temp_size_in_bytes + usage.output_size_in_bytes + usage.argument_size_in_bytes
        free = limits.get("bytes_limit", 0) - limits.get("bytes_in_use", 0)
        self._batch_size = int(min(len(states), max(1, free * _MEMORY_SHARE // needed)))
        return self._batch_size


def _number(hour: int) -> int:
    """The number of a step among those that a key is folded with: below zero before the cycle, where -1 is encoding."""
    return hour if hour >= 0 else hour - 1


def implausible(extremes: Mapping[str, np.ndarray]) -> str | None:
    """What leaves the `PLAUSIBLE` limits or is no number, told in a phrase; None when all is well."""
    for name, (low, high) in extremes.items():
        least, most = PLAUSIBLE.get(name, (-np.inf, np.inf))
        if not np.isfinite([low, high]).all():
            return f"{name} is not finite"
        if low < least or high > most:
            return f"{name} reaches from {low:.5g} to {high:.5g}, plausible is {least:g} to {most:g}"
    return None


def _over_batch(step: Callable[..., ModelState]) -> Callable[..., ModelState]:
    """The step of one member as one of a batch [member, ...]; a batch of one stays unvectorised."""

    def batched(leaves: Any, states: ModelState, forcing: Any, key: jax.Array, hour: jax.Array) -> ModelState:
        if key.shape[0] == 1:
            advanced = step(leaves, jax.tree.map(lambda x: x[0], states), forcing, key[0], hour)
            return jax.tree.map(lambda x: x[None], advanced)
        return jax.vmap(step, in_axes=(None, 0, None, 0, None))(leaves, states, forcing, key, hour)

    return batched


def _encode(graph: Any, leaves: Any, analysis: Any, forcing: Any, hour: jax.Array, key: jax.Array) -> ModelState:
    return nnx.merge(graph, leaves).encode(analysis, forcing, hour, key)


def _step(
    graph: Any, leaves: Any, state: ModelState, forcing: Any, key: jax.Array, hour: jax.Array, *, fresh: bool
) -> ModelState:
    return nnx.merge(graph, leaves).step(state, forcing, jax.random.fold_in(key, 1 + hour), fresh=fresh)


def _redraw(graph: Any, leaves: Any, state: ModelState, key: jax.Array) -> ModelState:
    return nnx.merge(graph, leaves).redraw(state, jax.random.fold_in(key, _ENCODING))


def _decode(graph: Any, leaves: Any, state: ModelState, forcing: Any) -> tuple[dict[str, jax.Array], Any]:
    fields = nnx.merge(graph, leaves).decode(state, forcing)
    return fields, {name: (values.min(), values.max()) for name, values in fields.items()}
