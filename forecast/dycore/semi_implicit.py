"""The fast linear part of the primitive equations: gravity waves about a resting reference column.

    dD/dt = -lap(Phi),  Phi = G T + R T_ref ln(ps)
    dT/dt = -H D
    dln(ps)/dt = -(thickness . D)

Both T and ln(ps) enter D only through Phi, and dPhi/dt = -B D with B = G H + R T_ref thickness. B is
diagonalised once (B = V diag(d) V^-1; its eigenvalues are the squared phase speeds of the vertical
modes), so that the implicit step needs no matrix per wavenumber (Durran 2010, section 8.6.5; vertical
modes as in Temperton 1984, Mon. Wea. Rev. 112).
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import constant
from forecast.dycore.sigma import SigmaLayers, vertical_product
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
        self.eigenvalues = constant(grid.laplacian_eigenvalues)
        self.geopotential = constant(geopotential)
        self.heating = constant(heating)
        self.thickness = constant(layers.thickness[None])
        self.pressure = constant(pressure[:, None])
        self.squared_speeds = constant(squared_speeds[:, None])
        self.to_modes = constant(np.linalg.inv(modes))
        self.from_modes = constant(modes)

    def implicit(self, state: State) -> State:
        """Tendencies of the linear terms."""
        return self._response(state, -self.eigenvalues[...] * self._linear_geopotential(state), state.divergence)

    def implicit_ahead(self, state: State, step: float) -> State:
        """implicit(x) at x = state + step * implicit(x); `step` in nondimensional time.

        The modes carry only what the waves change: the mean divergence, on which they do not act, and with it the
        mass of the atmosphere keep their last digits.
        """
        force = -self.eigenvalues[...] * self._linear_geopotential(state)
        stiffness = self.eigenvalues[...] * self.squared_speeds[...]
        gain = step * stiffness / (1 - step**2 * stiffness)
        amplitudes = gain * vertical_product(self.to_modes[...], state.divergence + step * force)
        acceleration = force + vertical_product(self.from_modes[...], amplitudes)
        return self._response(state, acceleration, state.divergence + step * acceleration)

    def _linear_geopotential(self, state: State) -> jax.Array:
        hydrostatic = vertical_product(self.geopotential[...], state.temperature_variation)
        return hydrostatic + self.pressure[...] * state.log_surface_pressure

    def _response(self, state: State, acceleration: jax.Array, divergence: jax.Array) -> State:
        """Tendencies where that of divergence is `acceleration`, and the divergence in the others `divergence`."""
        return State(
            vorticity=jnp.zeros_like(state.vorticity),
            divergence=acceleration,
            temperature_variation=-vertical_product(self.heating[...], divergence),
            log_surface_pressure=-vertical_product(self.thickness[...], divergence),
            tracers=jax.tree.map(jnp.zeros_like, state.tracers),
        )
