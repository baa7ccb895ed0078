"""The fast linear part of the primitive equations: gravity waves about a resting reference column.

    dD/dt = -lap(Phi),  Phi = G T + R T_ref ln(ps)
    dT/dt = -H D
    dln(ps)/dt = -(thickness . D)

Both T and ln(ps) enter D only through Phi, and dPhi/dt = -B D with B = G H + R T_ref thickness. B is
diagonalised once (B = V diag(d) V^-1; its eigenvalues are the squared phase speeds of the vertical
modes), so that the implicit step needs no matrix per wavenumber (Durran 2010, section 8.6.5; vertical
modes as in Temperton 1984, Mon. Wea. Rev. 112).
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import Constant
from forecast.dycore.sigma import SigmaLayers, column, vertical_product
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.state import State


class GravityWaves(nnx.Module):
    """Implicit terms and their inverse."""

    def __init__(
        self,
        grid: SpectralGrid,
        layers: SigmaLayers,
        reference_temperature: np.ndarray,
        gas_constant: float,
        kappa: float,
    ):
        geopotential = gas_constant * layers.geopotential_per_temperature
        heating = layers.temperature_per_divergence(reference_temperature, kappa)
        pressure = gas_constant * reference_temperature
        coupling = geopotential @ heating + np.outer(pressure, layers.thickness)
        squared_speeds, modes = np.linalg.eig(coupling)
        if np.iscomplexobj(squared_speeds) or squared_speeds.min() <= 0:
            raise ValueError(f"the reference temperature {reference_temperature} K is statically unstable")
        self.eigenvalues = _constant(grid.laplacian_eigenvalues)
        self.geopotential = _constant(geopotential)
        self.heating = _constant(heating)
        self.thickness = _constant(layers.thickness[None])
        self.pressure = _constant(column(pressure))
        self.squared_speeds = _constant(squared_speeds[:, None])
        self.to_modes = _constant(np.linalg.inv(modes))
        self.from_modes = _constant(modes)

    def implicit(self, state: State) -> State:
        """Tendencies of the linear terms."""
        heating, convergence = self._column_response(state.divergence)
        return State(
            vorticity=jnp.zeros_like(state.vorticity),
            divergence=-self.eigenvalues[...] * self._linear_geopotential(state),
            temperature_variation=-heating,
            log_surface_pressure=-convergence,
            tracers=jax.tree.map(jnp.zeros_like, state.tracers),
        )

    def solve(self, state: State, step: float) -> State:
        """The x of x - step * implicit(x) = state; `step` in nondimensional time."""
        rhs = state.divergence - step * self.eigenvalues[...] * self._linear_geopotential(state)
        damping = 1 - step**2 * self.eigenvalues[...] * self.squared_speeds[...]
        amplitudes = vertical_product(self.to_modes[...], rhs) / damping
        divergence = vertical_product(self.from_modes[...], amplitudes)
        heating, convergence = self._column_response(divergence)
        return dataclasses.replace(
            state,
            divergence=divergence,
            temperature_variation=state.temperature_variation - step * heating,
            log_surface_pressure=state.log_surface_pressure - step * convergence,
        )

    def _linear_geopotential(self, state: State) -> jax.Array:
        hydrostatic = vertical_product(self.geopotential[...], state.temperature_variation)
        return hydrostatic + self.pressure[...] * state.log_surface_pressure

    def _column_response(self, divergence: jax.Array) -> tuple[jax.Array, jax.Array]:
        """H D and (thickness . D)."""
        return vertical_product(self.heating[...], divergence), vertical_product(self.thickness[...], divergence)


def _constant(value: object) -> Constant:
    return Constant(jnp.asarray(value, jnp.float32))
