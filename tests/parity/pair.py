"""One archive in both implementations, with the same random fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from dinosaur import typing as reference_typing
from flax import nnx

from forecast.checkpoint import native, published
from forecast.checkpoint.native import Checkpoint
from forecast.dycore.state import State
from forecast.fields import FORCING_FIELDS, LEVEL_FIELDS
from forecast.model import HybridModel, ModelState, hour_of
from forecast.physics.configuration import archive_name
from tests.parity.reference import Reference, swap

CYCLE = datetime(1959, 1, 2, tzinfo=UTC)
WATER_DIAGNOSTIC = """
StochasticPhysicsParameterizationStep.diagnostics_module = @PrecipitationMinusEvaporationDiagnostics
PrecipitationMinusEvaporationDiagnostics.method = 'cumulative'
"""
_THEIR_NAMES = {
    "air_temperature": "temperature",
    "eastward_wind": "u_component_of_wind",
    "northward_wind": "v_component_of_wind",
}


def their_name(name: str) -> str:
    """The reference's name of a field on pressure levels."""
    return _THEIR_NAMES.get(name, name if name == "geopotential" else archive_name(name))


@dataclass(frozen=True)
class Pair:
    """One archive in both implementations; random fields are given from outside and frozen within a step."""

    reference: Reference
    archive: published.Archive
    trained: bool

    @cached_property
    def ours(self) -> HybridModel:
        provenance = native.Provenance("archive", "", "2026-01-01T00:00:00+00:00", "test")
        archive = self.archive
        checkpoint = Checkpoint("pair", archive.params, archive.static, archive.config_text, provenance, "")
        model = HybridModel(checkpoint)
        model.physics_randomness.advance = _frozen
        return model

    def random_core(self, seed: int, fields: str = "physics_randomness") -> np.ndarray:
        return np.asarray(getattr(self.ours, fields).initial(jax.random.key(seed)))

    @cached_property
    def analysis(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(self.reference.analysis[their_name(name)].values) for name in LEVEL_FIELDS}

    @cached_property
    def forcing(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(self.reference.forcings[archive_name(name)])[0] for name in FORCING_FIELDS}

    @cached_property
    def _split(self) -> tuple[Any, Any]:
        return nnx.split(self.ours)

    @cached_property
    def _operations(self) -> Mapping[str, Any]:
        graph, _ = self._split

        def run(leaves: Any, *arguments: Any, method: str, **options: Any) -> Any:
            return getattr(nnx.merge(graph, leaves), method)(*arguments, **options)

        return {
            "encode": jax.jit(partial(run, method="encode_with")),
            "first": jax.jit(partial(run, method="step", fresh=True)),
            "step": jax.jit(partial(run, method="step")),
            "decode": jax.jit(partial(run, method="decode")),
        }

    def encode(self, perturbation: np.ndarray, core: np.ndarray) -> ModelState:
        hour = jnp.int32(hour_of(CYCLE))
        return self._operations["encode"](self._split[1], self.analysis, self.forcing, hour, perturbation, core)

    def step(self, state: ModelState, *, first: bool) -> ModelState:
        step = self._operations["first" if first else "step"]
        return step(self._split[1], state, self.forcing, jax.random.key(0))

    def decode(self, state: ModelState) -> dict[str, np.ndarray]:
        return jax.device_get(self._operations["decode"](self._split[1], state, self.forcing))

    @cached_property
    def _their_operations(self) -> Mapping[str, Any]:
        model = self.reference.model

        def forcing_of(whole: Any, time: Any) -> Any:
            batch = {archive_name(name): values[None] for name, values in self.forcing.items()}
            return whole.forcing_fn(batch | {"sim_time": jnp.asarray(time)[None]}, time)

        def encode(whole: Any, inputs: Any, perturbation: Any, core: Any) -> Any:
            time = inputs["sim_time"]
            batched = jax.tree.map(lambda x: jnp.asarray(x)[None], model._to_abbreviated_names_and_tracers(inputs))
            _give(whole.encoder_fn.randomness_fn, perturbation)
            _give(whole.advance_fn.randomness_fn, core)
            return whole.encode(batched, forcing_of(whole, time))

        def step(whole: Any, state: Any, core: Any) -> Any:
            randomness = _give(whole.advance_fn.randomness_fn, core)
            whole.advance_fn.randomness_fn.advance = lambda unchanged: unchanged
            none_yet = {"P_minus_E_cumulative": jnp.zeros(self.ours.water_budget.shape)}
            given = reference_typing.ModelState(state, diagnostics=none_yet, randomness=randomness)
            after = whole.advance(given, forcing_of(whole, state.sim_time))
            return after.state, after.diagnostics

        def decode(whole: Any, state: Any) -> Any:
            given = reference_typing.ModelState(state, randomness=reference_typing.RandomnessState(core=None))
            return model._from_abbreviated_names_and_tracers(whole.decode(given, forcing_of(whole, state.sim_time)))

        return {name: self.reference.compiled(function) for name, function in locals().items() if name in _OPERATIONS}

    @cached_property
    def inputs(self) -> dict[str, Any]:
        return dict(self.reference.model.inputs_from_xarray(self.reference.analysis))

    @cached_property
    def nudged_inputs(self) -> dict[str, Any]:
        """The inputs, one unit in the last place larger."""
        nudged = {name: np.nextafter(values, np.float32(np.inf)) for name, values in self.inputs.items()}
        return nudged | {"sim_time": self.inputs["sim_time"]}

    def to_ours(self, state: Any, core: np.ndarray) -> ModelState:
        """A state of the reference as one of ours, at the cycle."""
        tracers = {
            name: jnp.asarray(swap(state.tracers[archive_name(name)]))
            for name in LEVEL_FIELDS
            if archive_name(name) in state.tracers
        }
        fields = (state.vorticity, state.divergence, state.temperature_variation, state.log_surface_pressure)
        prognostic = State(*(jnp.asarray(swap(x)) for x in fields), tracers)
        return ModelState(prognostic, core, jnp.int32(hour_of(CYCLE)), self.ours.water_budget.empty())

    def their_encode(self, perturbation: np.ndarray, core: np.ndarray, inputs: Any = None) -> Any:
        given = self.inputs if inputs is None else inputs
        encode = self._their_operations["encode"]
        return encode(self.reference.model.params, dict(given), perturbation, core).state

    def their_step(self, state: Any, core: np.ndarray) -> Any:
        return self._their_operations["step"](self.reference.model.params, state, core)[0]

    def their_net_precipitation(self, state: Any, core: np.ndarray) -> np.ndarray:
        """Precipitation minus evaporation in a step [kg m-2]; the reference needs `WATER_DIAGNOSTIC`.

        It adds the rate times the whole time step at each substep, so its sum is divided by their number.
        """
        _, told = self._their_operations["step"](self.reference.model.params, state, core)
        amount = np.asarray(told["P_minus_E_cumulative"]) / self.ours.substeps
        return amount / self.ours.core.equations.scales.unit("kg m-2")

    def their_decode(self, state: Any) -> dict[str, np.ndarray]:
        fields = jax.device_get(self._their_operations["decode"](self.reference.model.params, state))
        return {name: fields[their_name(name)] for name in LEVEL_FIELDS}


_OPERATIONS = ("encode", "step", "decode")


def _frozen(core: jax.Array, key: jax.Array) -> jax.Array:
    return core


def _give(fields: Any, core: Any) -> Any:
    """Make random fields of the reference return `core` [field, zonal, total] when they are sampled."""
    keyed = hasattr(fields, "field_names")
    single = fields._random_fields[fields.field_names[0]] if keyed else fields._make_rf(1.0, 1.0, 1.0)
    nodal = jax.vmap(single.to_nodal_values)(jnp.asarray(core))
    named = (lambda x: dict(zip(fields.field_names, x, strict=True))) if keyed else (lambda x: x)
    given = reference_typing.RandomnessState(
        core=named(core), nodal_value=named(nodal), modal_value=named(core), prng_key=None, prng_step=0
    )
    fields.unconditional_sample = lambda key: given
    return given


def on_sigma(state: Any) -> dict[str, np.ndarray]:
    """The fields of a state of the reference [level, zonal, total]."""
    names = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")
    return {name: np.asarray(getattr(state, name)) for name in names} | {
        name: np.asarray(x) for name, x in state.tracers.items()
    }


def ours_on_sigma(state: ModelState) -> dict[str, np.ndarray]:
    """The same of a state of ours."""
    names = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")
    return {name: swap(getattr(state.state, name)) for name in names} | {
        archive_name(name): swap(x) for name, x in state.state.tracers.items()
    }


def normalised_errors(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> dict[str, float]:
    """For each variable the largest over its levels of rms difference over standard deviation."""
    errors = {}
    for name, reference in wanted.items():
        difference = np.asarray(found[name], np.float64) - np.asarray(reference, np.float64)
        rms = np.sqrt(np.mean(difference**2, axis=(-2, -1)))
        errors[name] = float(np.max(rms / np.std(np.asarray(reference, np.float64), axis=(-2, -1))))
    return errors
