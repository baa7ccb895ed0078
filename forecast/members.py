"""Members of an ensemble, advanced in batches; every random number comes from cycle and member alone.

On a CPU members run one after another: their arrays then stay in cache, and a member's numbers do not
depend on the batch at all. On an accelerator a batch is one vectorised program. Nothing here waits for a device
but `Decoding.result`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import jax
import numpy as np

from forecast.devices import Device
from forecast.errors import ForecastError
from forecast.model_state import ModelState, from_named, hour_of
from forecast.operations import Operations
from forecast.programs import Arrays

if TYPE_CHECKING:
    from forecast.model import HybridModel

PLAUSIBLE: Mapping[str, tuple[float, float]] = {
    "air_temperature": (100.0, 400.0),
    "eastward_wind": (-250.0, 250.0),
    "northward_wind": (-250.0, 250.0),
    "surface_air_pressure": (30_000.0, 120_000.0),
}
"""Limits that a stable forecast never leaves, in SI units."""

_MEMORY_SHARE = 0.8
T = TypeVar("T")


@dataclass(frozen=True)
class Identity:
    """A member and how often it was started anew: what its randomness is drawn from."""

    member: int
    attempt: int = 0


@dataclass(frozen=True)
class Decoding:
    """Decoded fields on their way from the device."""

    arrays: Arrays

    def result(self) -> tuple[dict[str, np.ndarray], str | None]:
        """The fields in SI units, see `HybridModel.decode`, and what is implausible about them, if anything."""
        with jax.profiler.TraceAnnotation("take in"):
            arrays = jax.device_get(self.arrays)
        fields = {name: values for name, values in arrays.items() if "/" not in name}
        return fields, implausible({name: (arrays[f"{name}/min"], arrays[f"{name}/max"]) for name in fields})


class Members:
    """The model's three operations for any number of members of one forecast.

    `forcing` as for `HybridModel`. `start_hour` is the lead time of the analysis [h]: zero, or less when the model
    carries an older one to the cycle. What is done with a state is done on the device where it is: there are `count`
    members in all, as many on each of the `devices`, by default those that JAX finds, as the number allows.
    """

    def __init__(
        self,
        model: "HybridModel | Operations",
        init_time: datetime,
        batch_size: int | None = None,
        start_hour: int = 0,
        count: int = 1,
        devices: Sequence[Device] | None = None,
    ):
        self._operations = model if isinstance(model, Operations) else Operations(lambda: model)
        self._init_hour = hour_of(init_time)
        self._origin = np.uint32(self._init_hour & 0xFFFFFFFF)
        self._start_hour = start_hour
        self._batch_size = batch_size
        self._count = count
        self.devices = tuple(devices or jax.local_devices())

    def batches(self, members: Sequence[T]) -> Iterator[list[T]]:
        """Those of one device that are advanced together; after `prepare`."""
        size = self._batch_size or 1
        return (list(members[start : start + size]) for start in range(0, len(members), size))

    def prepare(self, analysis: Mapping[str, np.ndarray], forcing: Mapping[str, np.ndarray]) -> ModelState:
        """Begin to compile what a forecast needs; whoever calls one of the programs waits for that one alone.

        The result has the shapes of a state.
        """
        drawn_from, number = _drawn_from(Identity(0)), np.int32(0)
        state = from_named(self._operations.prepare("encode", analysis, forcing, number, self._origin, drawn_from))
        size = self._size(state, forcing)
        if size == 1:
            stepping, plural = (state, forcing, self._origin, drawn_from, number), ""
        else:
            states = jax.tree.map(lambda x: jax.ShapeDtypeStruct((size, *x.shape), x.dtype), state)
            stepping, plural = (states, forcing, self._origin, np.stack([drawn_from] * size), number), "s"
        self._operations.prepare("first step" + plural, *stepping)
        self._operations.prepare("decode", state, forcing)
        self._operations.prepare_after("step" + plural, *stepping)
        return state

    @property
    def on_host(self) -> bool:
        """Whether the devices are the host's own processor: what else it does at the time makes both of them late."""
        return self.devices[0].platform == "cpu"

    @property
    def batch_size(self) -> int | None:
        """How many members are advanced together; None until the memory has been looked at."""
        return self._batch_size

    def encode(
        self,
        analysis: Mapping[str, np.ndarray],
        forcing: Mapping[str, np.ndarray],
        identity: Identity,
        device: Device | None = None,
    ) -> ModelState:
        """A member's state at the time of the analysis, on a device, by default the first."""
        hour = np.int32(self._init_hour + self._start_hour)
        arguments = (analysis, forcing, hour, self._origin, _drawn_from(identity))
        return from_named(self._operations("encode", device or self.devices[0], *arguments))

    def forget_the_start(self) -> None:
        """Give back the memory of the programs that only the first window needs."""
        self._operations.forget("encode", "first step", "first steps")

    def reseed(self, state: ModelState, identity: Identity) -> ModelState:
        """A state from which this attempt of a member goes another way than the attempts before."""
        return from_named(self._operations("redraw", state.device, state, self._origin, _drawn_from(identity)))

    def advance(
        self,
        states: list[ModelState],
        identities: list[Identity],
        forcing: Mapping[str, np.ndarray],
        first_hour: int,
        hours: int,
    ) -> list[ModelState]:
        """The states `hours` later, all on one device; `first_hour` is the lead time that they are at now [h]."""
        size = self._batch_size or self._size(states[0], forcing)
        advanced: list[ModelState] = []
        for start in range(0, len(states), size):
            batch = slice(start, start + size)
            advanced += self._advance_batch(states[batch], identities[batch], forcing, first_hour, hours, size)
        return advanced

    def decoding(self, state: ModelState, forcing: Mapping[str, np.ndarray]) -> Decoding:
        """A member's fields, as soon as the device has come to them."""
        arrays = self._operations("decode", state.device, state, forcing)
        for values in arrays.values():
            values.copy_to_host_async()
        return Decoding(arrays)

    def decode(self, state: ModelState, forcing: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], str | None]:
        """See `Decoding.result`."""
        return self.decoding(state, forcing).result()

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
        device, filling = states[0].device, size - len(states)
        padded, drawn = states + states[-1:] * filling, [*map(_drawn_from, identities + identities[-1:] * filling)]
        state, drawn_from, plural = padded[0], drawn[0], ""
        if size > 1:
            state, drawn_from, plural = self._stacked(padded), np.stack(drawn), "s"
        for hour in range(first_hour, first_hour + hours):
            name = ("first step" if hour == self._start_hour else "step") + plural
            number = np.int32(step_number(hour))
            state = from_named(self._operations(name, device, state, forcing, self._origin, drawn_from, number))
        if size == 1:
            return [state]
        return [from_named(self._operations("unstack", device, state, np.int32(k))) for k in range(len(states))]

    def _stacked(self, states: list[ModelState]) -> ModelState:
        return from_named(self._operations("stack", states[0].device, *states))

    def _size(self, state: Any, forcing: Any) -> int:
        """How many members are advanced together on a device: as configured, or found once."""
        if self._batch_size is None:
            on_each = -(-self._count // len(self.devices))
            rounds = -(-on_each // self._fitting(state, forcing))
            self._batch_size = -(-on_each // rounds)
        return self._batch_size

    def _fitting(self, state: Any, forcing: Any) -> int:
        """How many members fit a device's memory at once; one on a CPU, where more together are no faster."""
        if self.on_host:
            return 1
        device = self.devices[0]
        drawn_from, number = _drawn_from(Identity(0)), np.int32(0)
        needed = self._operations.memory("step", state, forcing, self._origin, drawn_from, number)
        limits = device.memory_stats() or {}
        if not limits:
            raise ForecastError("this device does not tell its memory; give the batch size in the configuration")
        free = limits.get("bytes_limit", 0) - limits.get("bytes_in_use", 0)
        return int(max(1, free * _MEMORY_SHARE // needed))


def step_number(hour: int) -> int:
    """The number of a step among those that a key is folded with: below zero before the cycle, where -1 is encoding."""
    return hour if hour >= 0 else hour - 1


def implausible(extremes: Mapping[str, tuple[Any, Any]]) -> str | None:
    """What leaves the `PLAUSIBLE` limits or is no number, told in a phrase; None when all is well."""
    for name, (low, high) in extremes.items():
        least, most = PLAUSIBLE.get(name, (-np.inf, np.inf))
        if not np.isfinite([low, high]).all():
            return f"{name} is not finite"
        if low < least or high > most:
            return f"{name} reaches from {low:.5g} to {high:.5g}, plausible is {least:g} to {most:g}"
    return None


def _drawn_from(identity: Identity) -> np.ndarray:
    return np.array([identity.member, identity.attempt], np.uint32)
