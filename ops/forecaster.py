"""The model's side of a run, behind a protocol: the only part of operations that loads JAX, and only to forecast."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from forecast.frame import Frame
from forecast.initial import InitialConditions
from forecast.spec import ForecastSpec
from ops import spans

if TYPE_CHECKING:
    from forecast.checkpoint.native import Checkpoint

OnProgress = Callable[[timedelta, float, float], None]
"""Told the lead time reached, and the member hours done and to do; from a thread of the forecast's own."""


class Forecast(Protocol):
    """An ensemble that is advanced by iterating over its frames."""

    @property
    def lost(self) -> Sequence[Mapping[str, Any]]:
        """The members given up so far, each with member, lead_time_hours and reason."""
        ...

    @property
    def batch_size(self) -> int | None:
        """How many members are advanced together, once that is known."""
        ...

    def drain(self) -> None:
        """End the frames with the window that is in use, as soon as it is taken and saved."""
        ...

    def frames(self, from_lead: timedelta) -> Generator[Frame]:
        """The frames at this lead time and after it, in order, going on from what is saved.

        The next ones are made while one is in use, until they are closed.
        """
        ...


class Forecaster(Protocol):
    """Makes forecasts with a checkpoint."""

    def device(self) -> str:
        """What it computes on."""
        ...

    def start(
        self,
        checkpoint: "Checkpoint",
        spec: ForecastSpec,
        initial: InitialConditions,
        restart_dir: Path,
        batch_size: int | None,
        on_progress: OnProgress,
    ) -> Forecast:
        """A forecast that saves its windows in `restart_dir`, and resumes from what it finds there."""
        ...


class ModelForecaster:
    """Forecasts with the hybrid model on whatever device JAX finds, on a CPU with native kernels unless told not to."""

    def __init__(self, *, native_kernels: bool = True) -> None:
        self._native_kernels = native_kernels

    def device(self) -> str:
        """Kind, number and platform of the devices, such as `2 x NVIDIA H100 (gpu)`, and whether kernels are native."""
        import jax

        from forecast.native import library

        library.forbid(not self._native_kernels)
        devices = jax.devices()
        kernels = ", native kernels" if library.available() else ""
        return f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform}{kernels})"

    @contextmanager
    def profiled(self, directory: Path) -> Iterator[None]:
        """Record what threads and devices do in the block, for TensorBoard and for Perfetto."""
        import jax

        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        options.host_tracer_level = 1
        spans.show(lambda name: jax.profiler.TraceAnnotation(name))
        try:
            with jax.profiler.trace(directory, profiler_options=options):
                yield
        finally:
            spans.show(None)

    def start(
        self,
        checkpoint: "Checkpoint",
        spec: ForecastSpec,
        initial: InitialConditions,
        restart_dir: Path,
        batch_size: int | None,
        on_progress: OnProgress,
    ) -> Forecast:
        """See Forecaster.start."""
        from forecast.ensemble import Ensemble
        from forecast.native import library

        library.forbid(not self._native_kernels)
        return Ensemble(checkpoint, spec, initial, restart_dir, batch_size, on_progress=on_progress)
