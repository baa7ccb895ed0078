"""The hybrid model: encode an analysis, step the state, decode it (Kochkov et al. 2024).

One step: the learned physics gives a tendency from the state and the random fields; the dynamical
core advances the state under it; the random fields go on by one step of their own.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from forecast import architecture
from forecast.checkpoint.native import Checkpoint
from forecast.dycore.constant import Constant
from forecast.model_state import ModelState, hour_of
from forecast.physics.features import Surroundings
from forecast.physics.insolation import Phases, published_phases

__all__ = ["HybridModel", "ModelState", "hour_of"]


class HybridModel(nnx.Module):
    """The model in a checkpoint. All methods are pure: they can be jitted, batched and differentiated.

    `forcing` holds sea_surface_temperature [K] and sea_ice_area_fraction [longitude, latitude]. Towers multiply
    in `tower_type`, None being that of all else: double precision where JAX has it enabled, else single.
    """

    def __init__(self, checkpoint: Checkpoint, tower_type: Any = None):
        parts = architecture.build(checkpoint, tower_type)
        self.encoder = parts.encoder
        self.decoder = parts.decoder
        self.parameterization = parts.parameterization
        self.core = parts.core
        self.water_budget = parts.water_budget
        self.physics_randomness = parts.physics_randomness
        self.encoder_randomness = parts.encoder_randomness
        self.surface_geopotential = Constant(parts.surface_geopotential)
        self.time_step = parts.time_step
        self.substeps = parts.substeps

    @property
    def surface_geopotential_si(self) -> jax.Array:
        """Geopotential of the ground that surface pressure belongs to [m2 s-2], [longitude, latitude]."""
        return self.surface_geopotential[...] / self.core.equations.scales.unit("m2 s-2")

    def encode(
        self, analysis: Mapping[str, jax.Array], forcing: Mapping[str, jax.Array], hour: jax.Array, key: jax.Array
    ) -> ModelState:
        """The state of an analysis [level, longitude, latitude] in SI units, with random fields drawn from `key`."""
        encoder_key, physics_key = jax.random.split(key)
        perturbation = self.encoder_randomness.initial(encoder_key)
        return self.encode_with(analysis, forcing, hour, perturbation, self.physics_randomness.initial(physics_key))

    def encode_with(
        self,
        analysis: Mapping[str, jax.Array],
        forcing: Mapping[str, jax.Array],
        hour: jax.Array,
        perturbation: jax.Array,
        randomness: jax.Array,
    ) -> ModelState:
        """The same with given random fields of the encoder and of the physics [field, zonal, total]."""
        surroundings = self._surroundings(forcing, hour, self.encoder_randomness.nodal(perturbation))
        return ModelState(self.encoder(analysis, surroundings), randomness, hour, self.water_budget.empty())

    def redraw(self, state: ModelState, key: jax.Array) -> ModelState:
        """The same state with other random fields, drawn from their stationary law."""
        return dataclasses.replace(state, randomness=self.physics_randomness.initial(key))

    def step(
        self, start: ModelState, forcing: Mapping[str, jax.Array], key: jax.Array, *, fresh: bool = False
    ) -> ModelState:
        """The state one time step later.

        `key` belongs to this member and step alone. `fresh` says that the state comes from the encoder,
        see `ExpandedHumidity`.
        """
        state, randomness, net_precipitation = start.state, start.randomness, start.net_precipitation
        for substep in range(self.substeps):
            nodal = self.physics_randomness.nodal(randomness)
            surroundings = self._surroundings(forcing, start.hour, nodal, substep)
            tendency = self.parameterization(state, surroundings.randomness, surroundings.forcing, surroundings.phases)
            net_precipitation += self.water_budget.lost(state, tendency)
            state = self.core(state, tendency, expand_humidity=fresh and substep == 0)
            randomness = self.physics_randomness.advance(randomness, jax.random.fold_in(key, substep))
        return ModelState(state, randomness, start.hour + 1, net_precipitation)

    def decode(self, state: ModelState, forcing: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Fields in SI units by the names of `forecast.fields`, see `Decoder` and `WaterBudget`."""
        fields = self.decoder(state.state, self._surroundings(forcing, state.hour, None))
        return fields | {"precipitation_minus_evaporation": state.net_precipitation}

    def _surroundings(
        self, forcing: Mapping[str, jax.Array], hour: jax.Array, randomness: jax.Array | None, substep: int = 0
    ) -> Surroundings:
        fields = {name: jnp.asarray(values, float) for name, values in forcing.items()}
        return Surroundings(self._phases(hour, substep), fields, randomness)

    def _phases(self, hour: jax.Array, substep: int) -> Phases:
        """Phases of the Earth as the published models know them: from time rounded to float32.

        The barrier keeps the compiler from merging this product with the next, which would round otherwise.
        """
        count = hour * self.substeps + substep
        time = jax.lax.optimization_barrier(jnp.float32(self.time_step / self.substeps) * count.astype(jnp.float32))
        return published_phases(time, self.core.equations.scales.time)
