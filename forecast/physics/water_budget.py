"""The water that leaves the atmosphere: what the physics takes out of each column (Kochkov et al. 2024, appendix I).

The dynamical core only moves water about, so all that a column gains or loses otherwise is evaporation and
precipitation; the model tells their difference and not each of them.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from forecast.dycore.scales import Scales
from forecast.dycore.sigma import SigmaLayers
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.dycore.state import State


class WaterBudget(nnx.Module):
    """Precipitation minus evaporation in steps of `time_step`, nondimensional."""

    def __init__(self, harmonics: SphericalHarmonics, layers: SigmaLayers, scales: Scales, time_step: float):
        self.harmonics = harmonics
        self.thickness = layers.thickness
        self.amount = time_step / scales.gravity / scales.unit("kg m-2")
        self.shape = (harmonics.grid.longitude_count, harmonics.grid.latitude_count)

    def empty(self) -> jax.Array:
        """No water yet [longitude, latitude]."""
        return jnp.zeros(self.shape, float)

    def lost(self, state: State, tendency: State) -> jax.Array:
        """Precipitation minus evaporation in a step [kg m-2], [longitude, latitude].

        - p_s / g times the integral over sigma of the tendencies of vapour, cloud liquid and cloud ice. Layers
        are summed before the transform, which is linear.
        """
        water = sum(tendency.tracers.values())
        column = jnp.einsum("k,mkl->ml", jnp.asarray(self.thickness, float), water)
        nodal = self.harmonics.to_nodal(jnp.stack([column, state.log_surface_pressure[:, 0]], axis=1))
        return -jnp.exp(nodal[:, 1]) * nodal[:, 0] * self.amount
