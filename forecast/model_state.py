"""What evolves in a forecast, and its arrays by name."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import jax

from forecast.devices import Device
from forecast.dycore.state import State
from forecast.physics.insolation import REFERENCE_TIME
from forecast.times import require_utc

TIME_STEP = timedelta(hours=1)
"""The step of the published models."""

_TRACER = "tracers/"
_OWN = ("randomness", "hour", "net_precipitation")
_PROGNOSTIC = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ModelState:
    """What evolves: the prognostic `state`, the `randomness` [field, zonal, total], the `hour`, time since
    `REFERENCE_TIME` in steps of the model (an integer), and `net_precipitation`, precipitation minus
    evaporation since the encoder [kg m-2], [longitude, latitude].
    """

    state: State
    randomness: jax.Array
    hour: jax.Array
    net_precipitation: jax.Array

    @property
    def device(self) -> Device:
        """Where it is."""
        return next(iter(self.hour.devices()))


def named(state: ModelState) -> dict[str, Any]:
    """The arrays of a state by name."""
    own = {name: getattr(state, name) for name in _OWN}
    prognostic = {name: getattr(state.state, name) for name in _PROGNOSTIC}
    return own | prognostic | {_TRACER + name: values for name, values in state.state.tracers.items()}


def from_named(arrays: Mapping[str, Any]) -> ModelState:
    """The state of these arrays; KeyError when one that every state has is missing."""
    tracers = {name.removeprefix(_TRACER): values for name, values in arrays.items() if name.startswith(_TRACER)}
    prognostic = State(**{name: arrays[name] for name in _PROGNOSTIC}, tracers=tracers)
    return ModelState(prognostic, **{name: arrays[name] for name in _OWN})


def hour_of(moment: datetime) -> int:
    """Time steps from `REFERENCE_TIME` to a moment; ValueError when it falls between two."""
    steps, rest = divmod(require_utc(moment) - REFERENCE_TIME, TIME_STEP)
    if rest:
        raise ValueError(f"expected a time on a full hour, got {moment}")
    return steps
