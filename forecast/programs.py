"""Programs compiled once: for any device of this process, and for the processes after it.

A program is a function of arrays as machine code. What is kept of it is what XLA itself stores of an executable, under
a key that holds everything the code depends on: the function's name and the shapes that it takes, the model, this
package's source, the versions of JAX, the device and, on a CPU, its instructions and number of cores.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.errors import JaxRuntimeError
from jaxlib import version as jaxlib_version
from jaxlib import xla_client

from forecast import memory, program_cache
from forecast.devices import Device
from forecast.native import library
from forecast.program_cache import Kept

Arrays = dict[str, jax.Array]

_CODE = "code"
_PACKAGE = Path(__file__).resolve().parent
_CPU_OPTIMIZATION = 2
_SOURCES = ("*.py", "*.cc", "*.h", "*.so")
_LOG = logging.getLogger(__name__)


Outputs = dict[str, jax.ShapeDtypeStruct]
"""What a function gives, by name."""


@dataclass
class Program:
    """A compiled function that gives the arrays that `outputs` describes."""

    code: bytes
    outputs: Outputs
    _loaded: dict[Device, Any] = field(default_factory=dict)

    def load(self, device: Device) -> Any:
        """The program on a device. Raises JaxRuntimeError when the code is not for it."""
        if device not in self._loaded:
            client: Any = device.client
            here = xla_client.DeviceList((device,))
            self._loaded[device] = client.deserialize_executable(self.code, here, _options(device))
        return self._loaded[device]

    def __call__(self, device: Device, arguments: Sequence[Any]) -> Arrays:
        """The outputs, on the device and not waited for; what of the arguments is not there yet is taken there."""
        executed = self.load(device).execute_sharded([_on(device, each) for each in arguments])
        parts = executed.disassemble_into_single_device_arrays()
        return dict(zip(self.outputs, (part[0] for part in parts), strict=True))


def _on(device: Device, array: Any) -> jax.Array:
    """The array on the device; one that is there already stays as it is, which asking JAX would take longer for."""
    if isinstance(array, jax.Array) and array.device == device:
        return array
    return jax.device_put(array, device)


def key_of(identity: Mapping[str, Any]) -> str:
    """A name for what is made from `identity` in this environment.

    Asking whether there are native kernels registers them with XLA, before a program that calls them is loaded.
    """
    config: Any = jax.config
    settings = [config.jax_enable_x64, config.jax_default_matmul_precision, library.available()]
    return hashlib.sha256(json.dumps([identity, settings, _environment()], sort_keys=True).encode()).hexdigest()[:40]


def kept(key: str) -> Program | None:
    """The program that was kept under a key, if it runs here."""
    found = program_cache.read(key)
    if found is None:
        return None
    try:
        outputs = {name: jax.ShapeDtypeStruct(shape, dtype) for name, (shape, dtype) in found.document.items()}
        program = Program(found.arrays[_CODE].tobytes(), outputs)
        program.load(jax.devices()[0])
    except (KeyError, TypeError, ValueError, JaxRuntimeError) as error:
        _LOG.warning("a kept program is not used: %s", error)
        return None
    return program


def lowered(function: Callable[..., Arrays], arguments: Sequence[Any]) -> "Lowered":
    """A function of arrays, traced for arguments of these shapes."""
    return Lowered(jax.jit(function, keep_unused=True).lower(*arguments))


@dataclass(frozen=True)
class Lowered:
    """A traced function, ready to be compiled, which another thread may do."""

    stage: jax.stages.Lowered

    @property
    def outputs(self) -> Outputs:
        """What it gives, in the order in which it does."""
        return {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in sorted(self.stage.out_info.items())}

    def compiled(self, key: str | None) -> Program:
        """The program, kept under the key if there is one.

        XLA compiles it without JAX's own cache on disk: what that gives cannot be stored again.
        """
        device = jax.devices()[0]
        client: Any = device.client
        module, here = self.stage.compiler_ir("stablehlo"), xla_client.DeviceList((device,))
        executable = client.compile_and_load(module, here, _options(device))
        code = client.serialize_executable(executable)
        memory.give_back()
        program = Program(code, self.outputs, {device: executable})
        if key is not None:
            described = {name: [list(x.shape), x.dtype.str] for name, x in program.outputs.items()}
            program_cache.write(key, Kept({_CODE: np.frombuffer(code, np.uint8)}, described))
        return program


def _options(device: Device) -> Any:
    """One copy of a program, on a device.

    The compiler's highest level of optimisation takes a third longer on a CPU, and its code is no faster.
    """
    options = xla_client.CompileOptions()
    if device.platform == "cpu":
        options.executable_build_options.debug_options.xla_backend_optimization_level = _CPU_OPTIMIZATION
    options.device_assignment = xla_client.DeviceAssignment.create(np.array([[device.id]]))
    return options


@cache
def _environment() -> dict[str, Any]:
    """All but the function itself that compiled code depends on."""
    device = jax.devices()[0]
    variables = {name: value for name, value in os.environ.items() if name.startswith(("XLA_", "JAX_"))}
    return {
        "versions": [jax.__version__, jaxlib_version.__version__, device.client.platform_version],
        "device": [device.platform, device.device_kind],
        "host": _host() if device.platform == "cpu" else None,
        "source": _source(),
        "variables": variables,
    }


def _host() -> list[Any]:
    """Instructions and number of the processors, by which code for a CPU is chosen."""
    cores = [os.cpu_count(), len(os.sched_getaffinity(0)), os.environ.get("NPROC")]
    try:
        lines = set(Path("/proc/cpuinfo").read_text().splitlines())
    except OSError:
        return cores
    return cores + sorted(line for line in lines if line.startswith(("flags", "Features", "model name")))


def _source() -> str:
    """A hash over this package: whatever changes in it, programs are made anew."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _SOURCES for path in _PACKAGE.rglob(pattern)):
        digest.update(f"{path.relative_to(_PACKAGE)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
