"""The rotating shallow-water equations in vorticity-divergence form, for one layer or a stack of them.

    d zeta/dt = -div((zeta + f) v)
    dD/dt     = k . curl((zeta + f) v) - lap(K + P),   P_i = Phi_s + sum_j r_ij Phi_j
    dPhi_i/dt = -div(Phi_i v_i)

Phi is the thickness of a layer times gravity, r_ij = min(rho_j / rho_i, 1) the weight of layer j in the
pressure of layer i, Phi_s the geopotential of the ground. The linear terms about layers at rest, the gravity
waves of all vertical modes, are stepped implicitly. Sources: Williamson et al. 1992, J. Comput. Phys. 102,
section 2; Hack and Jakob 1992, NCAR/TN-343+STR, section 2; layers as in Vallis 2017, section 3.3.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import Constant, constant
from forecast.dycore.scales import Scales
from forecast.dycore.sigma import vertical_product
from forecast.dycore.spherical_harmonics import SphericalHarmonics


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ShallowWaterState:
    """Coefficients [zonal, layer, total], top layer first, nondimensional; also of their tendencies.

    `potential` is the thickness times gravity less the layer's reference potential.
    """

    vorticity: jax.Array
    divergence: jax.Array
    potential: jax.Array


class ShallowWaterEquations(nnx.Module):
    """Layers of densities that increase downward, over a ground of any shape.

    `reference_potential` [layer] is gravity times the thickness at rest, nondimensional; `orography` holds the
    coefficients of the height of the ground [zonal, 1, total], nondimensional; `densities` [layer] are
    relative to any unit.
    """

    def __init__(
        self,
        harmonics: SphericalHarmonics,
        reference_potential: np.ndarray,
        orography: jax.Array,
        scales: Scales,
        densities: np.ndarray | None = None,
    ):
        reference = np.asarray(reference_potential, np.float64)
        ratios = density_ratios(np.ones(1) if densities is None else densities)
        if reference.shape != ratios.shape[:1] or reference.min() <= 0:
            raise ValueError(f"expected {len(ratios)} positive reference potentials, got {reference_potential}")
        squared_speeds, modes = np.linalg.eig(ratios * reference)
        self.harmonics = harmonics
        self.surface_force = Constant(-scales.gravity * harmonics.laplacian(orography))
        self.sec2_lat = constant(1 / harmonics.grid.cos_lat**2)
        self.coriolis = constant(2 * scales.angular_velocity * harmonics.grid.sin_lat)
        self.eigenvalues = constant(harmonics.grid.laplacian_eigenvalues)
        self.ratios = constant(ratios)
        self.reference_potential = constant(reference[:, None])
        self.squared_speeds = constant(squared_speeds[:, None])
        self.to_modes = constant(np.linalg.inv(modes))
        self.from_modes = constant(modes)

    def explicit(self, state: ShallowWaterState) -> ShallowWaterState:
        """Tendency of advection, rotation and the ground; its highest total wavenumber is zero."""
        fields = (self.harmonics.cos_lat_velocity(state.vorticity, state.divergence), state.vorticity, state.potential)
        (u, v), vorticity, potential = jax.tree.map(self.harmonics.to_nodal, fields)
        rotation = (vorticity + self.coriolis[...]) * self.sec2_lat[...]
        transport = potential * self.sec2_lat[...]
        products = (u * rotation, v * rotation, u * transport, v * transport, (u**2 + v**2) * self.sec2_lat[...] / 2)
        rotation_u, rotation_v, flux_u, flux_v, kinetic = map(self.harmonics.to_modal, products)
        curl = self.harmonics.curl(rotation_u, rotation_v)
        tendency = ShallowWaterState(
            vorticity=-self.harmonics.divergence(rotation_u, rotation_v),
            divergence=curl - self.harmonics.laplacian(kinetic) + self.surface_force[...],
            potential=-self.harmonics.divergence(flux_u, flux_v),
        )
        return jax.tree.map(self.harmonics.clip, tendency)

    def implicit(self, state: ShallowWaterState) -> ShallowWaterState:
        """Tendency of the linear terms about layers at rest."""
        return ShallowWaterState(
            vorticity=jnp.zeros_like(state.vorticity),
            divergence=-self.eigenvalues[...] * vertical_product(self.ratios[...], state.potential),
            potential=-self.reference_potential[...] * state.divergence,
        )

    def implicit_ahead(self, state: ShallowWaterState, step: float) -> ShallowWaterState:
        """implicit(x) at x = state + step * implicit(x); `step` in nondimensional time."""
        force = self.implicit(state).divergence
        stiffness = self.eigenvalues[...] * self.squared_speeds[...]
        gain = step * stiffness / (1 - step**2 * stiffness)
        amplitudes = gain * vertical_product(self.to_modes[...], state.divergence + step * force)
        acceleration = force + vertical_product(self.from_modes[...], amplitudes)
        return ShallowWaterState(
            vorticity=jnp.zeros_like(state.vorticity),
            divergence=acceleration,
            potential=-self.reference_potential[...] * (state.divergence + step * acceleration),
        )


def density_ratios(densities: np.ndarray) -> np.ndarray:
    """Weight of layer j in the pressure of layer i, min(rho_j / rho_i, 1); float64 [layer, layer]."""
    densities = np.asarray(densities, np.float64)
    if densities.ndim != 1 or densities[0] <= 0 or np.any(np.diff(densities) <= 0):
        raise ValueError(f"expected positive densities that increase from the top layer down, got {densities}")
    return np.minimum(densities[None, :] / densities[:, None], 1.0)
