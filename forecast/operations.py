"""The operations of a model as programs: read where they are kept, else traced and compiled.

The model itself is only put together when a program is missing. One program is compiled at a time: the compiler uses
all cores itself, and what it needs for one is the most that a short run holds.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from forecast import program_cache, programs
from forecast.checkpoint.native import Checkpoint
from forecast.devices import Device
from forecast.program_cache import Kept
from forecast.programs import Arrays, Lowered, Outputs, Program

if TYPE_CHECKING:
    from forecast.model import HybridModel

_Called = tuple[str, str]
_SURFACE = "surface_geopotential"


class Operations:
    """The programs of one model and the arrays that they work on.

    `identity` tells the model from all others; None keeps nothing beyond this process.
    """

    def __init__(self, build: Callable[[], "HybridModel"], identity: Mapping[str, Any] | None = None):
        self._build = build
        self._identity = identity
        self._programs: dict[_Called, _Program] = {}
        self._lock = Lock()
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="compile")
        self._on_device: dict[Device, list[jax.Array]] = {}
        arrays = dict(self._kept_arrays() or self._model_arrays())
        self.surface_geopotential: np.ndarray = arrays.pop(_SURFACE)
        """See `HybridModel.surface_geopotential_si`."""
        self._arrays: list[jax.Array] = jax.device_put([arrays[name] for name in sorted(arrays)], jax.devices()[0])

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint, tower_type: Any = None) -> "Operations":
        """The operations of the model in a checkpoint; arguments and errors are those of `HybridModel`."""

        def build() -> "HybridModel":
            from forecast.model import HybridModel

            return HybridModel(checkpoint, tower_type)

        return cls(build, {"checkpoint": checkpoint.sha256, "towers": str(tower_type)})

    def prepare(self, name: str, *arguments: Any) -> Outputs:
        """Have a program made for arguments of these shapes, in the background, and say what it gives."""
        return self._program(name, arguments).outputs

    def prepare_after(self, name: str, *arguments: Any) -> None:
        """Have a program traced and made in the background, after all that were asked for before."""
        called = _called(name, arguments)
        with self._lock:
            if called not in self._programs:
                self._programs[called] = _Program(self._compiler.submit(self._made_here, called, arguments))

    def __call__(self, name: str, device: Device, *arguments: Any) -> Arrays:
        """The outputs of an operation of `forecast.model_operations`, on the device and not waited for."""
        program = self._program(name, arguments).ready.result()
        with jax.profiler.TraceAnnotation(name):
            return program(device, [*self._arrays_on(device), *jax.tree.leaves(arguments)])

    def forget(self, *names: str) -> None:
        """Give back the memory of some operations, and of what programs are made from; they may be called again."""
        with self._lock:
            self._programs = {called: program for called, program in self._programs.items() if called[0] not in names}
            self.__dict__.pop("_split", None)
            self.__dict__.pop("_model", None)

    def memory(self, name: str, *arguments: Any) -> int:
        """Bytes that a call of an operation needs on a device."""
        program = self._program(name, arguments).ready.result()
        usage = program.load(jax.devices()[0]).get_compiled_memory_stats()
        return usage.temp_size_in_bytes + usage.output_size_in_bytes + usage.argument_size_in_bytes

    def _program(self, name: str, arguments: Sequence[Any]) -> "_Program":
        called = _called(name, arguments)
        with self._lock:
            if called not in self._programs:
                self._programs[called] = self._made(called, arguments)
            return self._programs[called]

    def _made(self, called: _Called, arguments: Sequence[Any]) -> "_Program":
        """The program, read or traced now, and compiled by and by."""
        if (program := self._kept(called)) is not None:
            return _Program(_finished(program))
        lowered = self._lowered(called, arguments)
        return _Program(self._compiler.submit(lowered.compiled, self._key(called)), lowered.outputs)

    def _made_here(self, called: _Called, arguments: Sequence[Any]) -> Program:
        return self._kept(called) or self._lowered(called, arguments).compiled(self._key(called))

    def _kept(self, called: _Called) -> Program | None:
        key = self._key(called)
        return None if key is None else programs.kept(key)

    def _key(self, called: _Called) -> str | None:
        return programs.key_of({"operation": list(called), **self._identity}) if self._identity else None

    def _lowered(self, called: _Called, arguments: Sequence[Any]) -> Lowered:
        from forecast import model_operations

        graph, leaves = self._split
        operation = model_operations.bound(called[0], graph, jax.tree.structure(leaves))
        return programs.lowered(operation, [jax.tree.leaves(leaves), *arguments])

    @cached_property
    def _split(self) -> tuple[Any, Any]:
        from flax import nnx

        return nnx.split(self._model)

    @cached_property
    def _model(self) -> "HybridModel":
        return self._build()

    def _arrays_on(self, device: Device) -> list[jax.Array]:
        if device not in self._on_device:
            self._on_device[device] = jax.device_put(self._arrays, device)
        return self._on_device[device]

    def _kept_arrays(self) -> Mapping[str, np.ndarray] | None:
        kept = program_cache.read(self._arrays_key) if self._identity else None
        return kept.arrays if kept and _SURFACE in kept.arrays else None

    def _model_arrays(self) -> Mapping[str, np.ndarray]:
        leaves = jax.tree.leaves(self._split[1])
        arrays = {f"{index:05d}": np.asarray(x) for index, x in enumerate(leaves)}
        arrays[_SURFACE] = np.asarray(self._model.surface_geopotential_si)
        if self._identity:
            program_cache.write(self._arrays_key, Kept(arrays, {"what": "arrays of a model"}))
        return arrays

    @property
    def _arrays_key(self) -> str:
        return programs.key_of({"operation": None, **(self._identity or {})})


@dataclass(frozen=True)
class _Program:
    """A program that is there or being made, and what it gives where that is known before."""

    ready: Future[Program]
    known: Outputs | None = None

    @property
    def outputs(self) -> Outputs:
        """What it gives."""
        return self.ready.result().outputs if self.known is None else self.known


def _called(name: str, arguments: Sequence[Any]) -> _Called:
    """What programs are told apart by: an operation, and the shapes of its arguments."""
    return name, str([[list(np.shape(x)), x.dtype.str] for x in jax.tree.leaves(arguments)])


def _finished(program: Program) -> Future[Program]:
    future: Future[Program] = Future()
    future.set_result(program)
    return future
