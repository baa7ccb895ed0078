"""The primitive equations on sigma layers in vorticity-divergence form.

    d zeta/dt = -curl(F),  dD/dt = -div(F) - lap(K + Phi + moist part),
    F = (zeta + f) k x v + sigma_dot dv/dsigma + (R T' (Tv/T) + (Rv - R) T_ref q) grad ln(ps)
    dT/dt     = -v.grad T - sigma_dot dT/dsigma + kappa Tv omega / p
    dq/dt     = -v.grad q - sigma_dot dq/dsigma
    dln(ps)/dt = -integral of div v + v.grad ln(ps)

with q standing for every tracer. Horizontal advection is in flux form, s D - div(v s): unlike the
advective form it feels the global-mean divergence that an encoded state may carry. The linear terms
about a resting reference column are `GravityWaves`. Sources: Bourke 1974; Durran 2010, sections 8.6.2
to 8.6.5; moist terms and their split as in Kochkov et al. 2024, appendix B.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast import constants
from forecast.dycore.constant import Constant, constant
from forecast.dycore.scales import Scales
from forecast.dycore.semi_implicit import GravityWaves
from forecast.dycore.sigma import SigmaLayers, column, vertical_advection, vertical_product
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.dycore.state import State

HUMIDITY = "specific_humidity"
CONDENSATE = ("mass_fraction_of_cloud_ice_in_air", "mass_fraction_of_cloud_liquid_water_in_air")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Nodal:
    """Grid values [longitude, level, latitude] of the state and what follows from it at once.

    `u`, `v` and the gradient of ln(ps) carry a factor cos(latitude).
    """

    u: jax.Array
    v: jax.Array
    vorticity: jax.Array
    divergence: jax.Array
    temperature_variation: jax.Array
    tracers: dict[str, jax.Array]
    pressure_gradient: tuple[jax.Array, jax.Array]
    pressure_advection: jax.Array
    mass_flux: jax.Array
    sigma_velocity: jax.Array


class PrimitiveEquations(nnx.Module):
    """Dry when the state has no tracers, moist when it has specific humidity, cloudy with condensate.

    `orography` holds the coefficients of the surface height [zonal, 1, total], nondimensional;
    `reference_temperature` [level] is in the model's unit of temperature.
    """

    def __init__(
        self,
        harmonics: SphericalHarmonics,
        layers: SigmaLayers,
        reference_temperature: np.ndarray,
        orography: jax.Array,
        scales: Scales,
    ):
        grid = harmonics.grid
        self.harmonics = harmonics
        self.layers = layers
        self.scales = scales
        self.gravity_waves = GravityWaves(
            grid, layers, reference_temperature, scales.gas_constant, constants.DRY_AIR_KAPPA
        )
        self.surface_force = Constant(-scales.gravity * harmonics.laplacian(orography))
        self.sec2_lat = constant(1 / grid.cos_lat**2)
        self.coriolis = constant(2 * scales.angular_velocity * grid.sin_lat)
        self.reference_temperature = constant(reference_temperature[:, None])
        self.cumulative = constant(layers.cumulative)

    def implicit(self, state: State) -> State:
        """Tendency of the linear terms about a resting reference column."""
        return self.gravity_waves.implicit(state)

    def implicit_ahead(self, state: State, step: float) -> State:
        """implicit(x) at x = state + step * implicit(x)."""
        return self.gravity_waves.implicit_ahead(state, step)

    def explicit(self, state: State, *, expand_humidity: bool = False) -> State:
        """Tendency of all other terms; its highest total wavenumber is zero.

        `expand_humidity` evaluates (Rv - R) T_ref q grad ln(ps) by the product rule, see `ExpandedHumidity`.
        """
        nodal = self._to_nodal(state)
        force_u, force_v = (self.harmonics.to_modal(x) for x in self._force(nodal, expand_humidity))
        energy = self.harmonics.to_modal(self._energy(nodal))
        vorticity = -self.harmonics.curl(force_u, force_v)
        divergence = -self.harmonics.divergence(force_u, force_v) - self.harmonics.laplacian(energy)
        if expand_humidity and HUMIDITY in state.tracers:
            curl, convergence = self._expanded_humidity_force(state, nodal)
            vorticity, divergence = vorticity + curl, divergence + convergence
        tendency = State(
            vorticity=vorticity,
            divergence=divergence + self.surface_force[...],
            temperature_variation=self._advection(nodal, nodal.temperature_variation, self._heating(nodal)),
            log_surface_pressure=self.harmonics.to_modal(-nodal.mass_flux),
            tracers={name: self._advection(nodal, tracer) for name, tracer in nodal.tracers.items()},
        )
        return jax.tree.map(self.harmonics.clip, tendency)

    def _to_nodal(self, state: State) -> _Nodal:
        fields = {
            "velocity": self.harmonics.cos_lat_velocity(state.vorticity, state.divergence),
            "vorticity": state.vorticity,
            "divergence": state.divergence,
            "temperature_variation": state.temperature_variation,
            "tracers": state.tracers,
            "pressure_gradient": self.harmonics.cos_lat_gradient(state.log_surface_pressure),
        }
        values = jax.tree.map(self.harmonics.to_nodal, fields)
        (u, v), (p_x, p_y) = values.pop("velocity"), values["pressure_gradient"]
        pressure_advection = (u * p_x + v * p_y) * self.sec2_lat[...]
        mass_flux = jnp.sum(pressure_advection * column(self.layers.thickness), axis=1, keepdims=True)
        flux = vertical_product(self.cumulative[...], values["divergence"] + pressure_advection)
        sigma_velocity = column(np.asarray(self.layers.boundaries[1:-1])) * flux[:, -1:] - flux[:, :-1]
        return _Nodal(
            u=u,
            v=v,
            pressure_advection=pressure_advection,
            mass_flux=mass_flux,
            sigma_velocity=sigma_velocity,
            **values,
        )

    def _force(self, nodal: _Nodal, expand_humidity: bool) -> tuple[jax.Array, jax.Array]:
        """F over the cosine of latitude, eastward and northward; if expanded, without (Rv - R) T_ref q grad ln(ps)."""
        absolute_vorticity = nodal.vorticity + self.coriolis[...]
        slope = self.scales.gas_constant * nodal.temperature_variation
        if HUMIDITY in nodal.tracers:
            q, excess = nodal.tracers[HUMIDITY], self.scales.vapor_gas_constant / self.scales.gas_constant - 1
            condensate = sum(nodal.tracers[name] for name in CONDENSATE if name in nodal.tracers)
            slope = slope * (1 + excess * q - condensate)
            if not expand_humidity:
                slope += self.scales.gas_constant * excess * self.reference_temperature[...] * q
        p_x, p_y = nodal.pressure_gradient
        rise_u = vertical_advection(nodal.sigma_velocity, nodal.u, self.layers)
        rise_v = vertical_advection(nodal.sigma_velocity, nodal.v, self.layers)
        force_u = -nodal.v * absolute_vorticity - rise_u + slope * p_x
        force_v = nodal.u * absolute_vorticity - rise_v + slope * p_y
        return force_u * self.sec2_lat[...], force_v * self.sec2_lat[...]

    def _expanded_humidity_force(self, state: State, nodal: _Nodal) -> tuple[jax.Array, jax.Array]:
        """Minus curl and divergence of (Rv - R) T_ref q grad ln(ps) by the product rule, as coefficients."""
        excess = self.scales.vapor_gas_constant - self.scales.gas_constant
        q_x, q_y = map(self.harmonics.to_nodal, self.harmonics.cos_lat_gradient(state.tracers[HUMIDITY]))
        p_x, p_y = nodal.pressure_gradient
        curvature = self.harmonics.to_nodal(self.harmonics.laplacian(state.log_surface_pressure))
        scale = excess * self.reference_temperature[...]
        curl = scale * (p_x * q_y - p_y * q_x) * self.sec2_lat[...]
        divergence = scale * ((p_x * q_x + p_y * q_y) * self.sec2_lat[...] + nodal.tracers[HUMIDITY] * curvature)
        return self.harmonics.to_modal(curl), -self.harmonics.to_modal(divergence)

    def _energy(self, nodal: _Nodal) -> jax.Array:
        """Kinetic energy plus the geopotential that humidity adds to the hydrostatic column."""
        kinetic = 0.5 * (nodal.u**2 + nodal.v**2) * self.sec2_lat[...]
        if HUMIDITY not in nodal.tracers:
            return kinetic
        excess = self.scales.vapor_gas_constant / self.scales.gas_constant - 1
        temperature = nodal.temperature_variation + self.reference_temperature[...]
        moist = excess * nodal.tracers[HUMIDITY] * temperature
        return kinetic + vertical_product(self.gravity_waves.geopotential[...], moist)

    def _heating(self, nodal: _Nodal) -> jax.Array:
        """kappa Tv omega / p, and the advection of the reference profile (Durran 2010, eq. 8.124)."""
        reference = self.reference_temperature[...]
        varying = nodal.temperature_variation
        if HUMIDITY in nodal.tracers:
            q, ratio = nodal.tracers[HUMIDITY], self.scales.vapor_gas_constant / self.scales.gas_constant
            capacity = self.scales.vapor_heat_capacity_ratio
            varying = varying * (1 + (ratio - 1) * q) + reference * (ratio - capacity) * q
            varying = varying / (1 + (capacity - 1) * q)
        advection = nodal.pressure_advection
        omega = advection - vertical_product(self._compression(), nodal.divergence + advection)
        linear = vertical_product(self.gravity_waves.heating[...], advection)
        return constants.DRY_AIR_KAPPA * (reference * advection + varying * omega) - linear

    def _compression(self) -> jax.Array:
        """Matrix of the mass-flux part of omega / p (Durran 2010, eq. 8.124) [level, level]."""
        alpha = np.diag(self.layers.alpha) + np.diag(self.layers.alpha[:-1], -1)
        return jnp.asarray((alpha / self.layers.thickness[:, None]) @ self.layers.cumulative, float)

    def _advection(self, nodal: _Nodal, scalar: jax.Array, source: jax.Array | float = 0.0) -> jax.Array:
        """Coefficients of -v.grad(s) - sigma_dot ds/dsigma + source."""
        local = scalar * nodal.divergence + vertical_advection(nodal.sigma_velocity, scalar, self.layers) + source
        scaled = scalar * self.sec2_lat[...]
        flux_u, flux_v = self.harmonics.to_modal(nodal.u * scaled), self.harmonics.to_modal(nodal.v * scaled)
        return self.harmonics.to_modal(local) - self.harmonics.divergence(flux_u, flux_v)


@dataclasses.dataclass(frozen=True)
class ExpandedHumidity:
    """The same equations with the humidity part of the pressure force written out by the product rule.

    The two forms differ only where the highest total wavenumber of a state is not zero, as an encoder
    leaves it: the filters remove it within the first hour, which the published models step in this form.
    """

    equations: PrimitiveEquations

    def explicit(self, state: State) -> State:
        """See `PrimitiveEquations.explicit`."""
        return self.equations.explicit(state, expand_humidity=True)

    def implicit(self, state: State) -> State:
        """See `PrimitiveEquations.implicit`."""
        return self.equations.implicit(state)

    def implicit_ahead(self, state: State, step: float) -> State:
        """See `PrimitiveEquations.implicit_ahead`."""
        return self.equations.implicit_ahead(state, step)
