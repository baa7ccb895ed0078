"""Idealised atmospheres: states with a known behaviour, each with the equations that it belongs to.

Wind, temperature and height are evaluated from the papers' formulas in double precision, then transformed.
Sources: Williamson et al. 1992, J. Comput. Phys. 102 (W92); Held and Suarez 1994, Bull. Amer. Meteor. Soc. 75
(HS94); Jablonowski and Williamson 2006, Q. J. R. Meteorol. Soc. 132 (JW06).
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast import constants
from forecast.dycore.constant import constant
from forecast.dycore.primitive_equations import PrimitiveEquations
from forecast.dycore.scales import Scales
from forecast.dycore.shallow_water import ShallowWaterEquations, ShallowWaterState
from forecast.dycore.sigma import SigmaLayers
from forecast.dycore.spherical_harmonics import CONSTANT_FIELD_COEFFICIENT, SphericalHarmonics
from forecast.dycore.state import State

REFERENCE_PRESSURE = 1e5
"""p0 of HS94 and the surface pressure of JW06 [Pa]."""


def resting_atmosphere(
    harmonics: SphericalHarmonics,
    layers: SigmaLayers,
    scales: Scales,
    temperature: float = 288.0,
    surface_height: np.ndarray | None = None,
) -> tuple[PrimitiveEquations, State]:
    """An isothermal atmosphere [K] at rest over `surface_height` [m; longitude, latitude], flat if None.

    It is balanced: ln(ps) = ln(p0) - g z / (R T) at the ground.
    """
    grid = harmonics.grid
    height = np.zeros((grid.longitude_count, grid.latitude_count)) if surface_height is None else surface_height
    orography = harmonics.clip(_coefficients(harmonics, scales.nondimensionalize(height, "m")[:, None]))
    reference = np.full(layers.count, scales.nondimensionalize(temperature, "K"))
    rest = _zeros(harmonics, layers.count)
    pressure = _uniform(harmonics, np.log(scales.nondimensionalize(REFERENCE_PRESSURE, "Pa")))
    pressure = pressure - orography * (scales.gravity / (scales.gas_constant * reference[0]))
    return PrimitiveEquations(harmonics, layers, reference, orography, scales), State(rest, rest, rest, pressure)


class HeldSuarez(nnx.Module):
    """The primitive equations with the forcing of HS94 (p. 1826) as further explicit terms.

        dv/dt = ... - k_v v,    k_v = k_f max(0, (sigma - sigma_b) / (1 - sigma_b))
        dT/dt = ... - k_T (T - T_eq),    k_T = k_a + (k_s - k_a) max(0, ...) cos^4(lat)
        T_eq = max(200 K, [315 K - 60 K sin^2(lat) - 10 K ln(p / p0) cos^2(lat)] (p / p0)^kappa)

    k_v depends on sigma alone, so that friction damps each coefficient of vorticity and divergence.
    """

    def __init__(self, equations: PrimitiveEquations):
        scales, layers, grid = equations.scales, equations.layers, equations.harmonics.grid
        per_day = scales.unit("day-1")
        boundary_layer = np.maximum(0.0, (layers.centers[:, None] - 0.7) / (1 - 0.7))
        kelvin = scales.unit("K")
        self.equations = equations
        self.friction = constant(boundary_layer * per_day)
        self.relaxation = constant(per_day / 40 + (per_day / 4 - per_day / 40) * boundary_layer * grid.cos_lat**4)
        self.log_sigma = constant(np.log(layers.centers[:, None]) - np.log(scales.quantity("100000 Pa")))
        self.warmest = constant(kelvin * (315.0 - 60.0 * grid.sin_lat**2))
        self.stability = constant(kelvin * 10.0 * grid.cos_lat**2)
        self.coldest = kelvin * 200.0

    def explicit(self, state: State) -> State:
        """Explicit terms of the equations, and the forcing."""
        return jax.tree.map(jnp.add, self.equations.explicit(state), self.forcing(state))

    def implicit(self, state: State) -> State:
        """See `PrimitiveEquations.implicit`."""
        return self.equations.implicit(state)

    def implicit_ahead(self, state: State, step: float) -> State:
        """See `PrimitiveEquations.implicit_ahead`."""
        return self.equations.implicit_ahead(state, step)

    def forcing(self, state: State) -> State:
        """Tendency by friction near the ground and by relaxation towards T_eq."""
        harmonics = self.equations.harmonics
        temperature = harmonics.to_nodal(state.temperature_variation) + self.equations.reference_temperature[...]
        equilibrium = self.equilibrium_temperature(harmonics.to_nodal(state.log_surface_pressure))
        heating = harmonics.to_modal(self.relaxation[...] * (equilibrium - temperature))
        return State(
            vorticity=-self.friction[...] * state.vorticity,
            divergence=-self.friction[...] * state.divergence,
            temperature_variation=harmonics.clip(heating),
            log_surface_pressure=jnp.zeros_like(state.log_surface_pressure),
            tracers=jax.tree.map(jnp.zeros_like, state.tracers),
        )

    def equilibrium_temperature(self, log_surface_pressure: jax.Array) -> jax.Array:
        """T_eq [longitude, level, latitude] under ln(ps) [longitude, 1, latitude], both nondimensional."""
        log_pressure = self.log_sigma[...] + log_surface_pressure
        potential = self.warmest[...] - self.stability[...] * log_pressure
        return jnp.maximum(self.coldest, potential * jnp.exp(constants.DRY_AIR_KAPPA * log_pressure))


def baroclinic_wave(
    harmonics: SphericalHarmonics, layers: SigmaLayers, scales: Scales, *, perturbed: bool = True
) -> tuple[PrimitiveEquations, State]:
    """Two balanced zonal jets and, if `perturbed`, the wind that starts a baroclinic wave (JW06).

    Unperturbed, the flow is steady. The ground is not flat: its height balances the surface wind (eq. 7).
    """
    grid, eta = harmonics.grid, layers.centers[:, None]
    temperature, variation = _jet_temperature(eta, grid.sin_lat, scales)
    wind = np.broadcast_to(
        _jet_speed(eta, scales) * np.sin(2 * grid.latitudes) ** 2, (grid.longitude_count, *variation.shape)
    )
    if perturbed:
        wind = wind + _jet_perturbation(grid.longitudes[:, None, None], grid.latitudes, scales)
    surface = _jet_speed(np.ones((1, 1)), scales)
    height = surface * _jet_balance(grid.sin_lat, surface, scales) / scales.gravity
    eastward = _coefficients(harmonics, wind / grid.cos_lat)
    nothing = jnp.zeros_like(eastward)
    state = State(
        vorticity=harmonics.clip(harmonics.curl(eastward, nothing)),
        divergence=harmonics.clip(harmonics.divergence(eastward, nothing)),
        temperature_variation=harmonics.clip(_coefficients(harmonics, _zonal(harmonics, variation))),
        log_surface_pressure=_uniform(harmonics, np.log(scales.nondimensionalize(REFERENCE_PRESSURE, "Pa"))),
    )
    orography = harmonics.clip(_coefficients(harmonics, _zonal(harmonics, height)))
    return PrimitiveEquations(harmonics, layers, temperature[:, 0], orography, scales), state


def steady_zonal_flow(harmonics: SphericalHarmonics, scales: Scales) -> tuple[ShallowWaterEquations, ShallowWaterState]:
    """Solid-body rotation in geostrophic balance, an exact steady state (W92, section 3, case 2 with alpha = 0).

    u = u0 cos(lat), u0 = 2 pi a / (12 days); g h = g h0 - (a Omega u0 + u0^2 / 2) sin^2(lat).
    """
    speed = 2 * np.pi / scales.quantity("12 days")
    mean_potential = scales.nondimensionalize(2.94e4, "m2 s-2")
    sin_lat = harmonics.grid.sin_lat
    vorticity = 2 * speed * sin_lat
    potential = -(scales.angular_velocity * speed + speed**2 / 2) * sin_lat**2
    return _shallow_water(harmonics, scales, mean_potential, _zonal(harmonics, vorticity), _zonal(harmonics, potential))


def rossby_haurwitz_wave(
    harmonics: SphericalHarmonics, scales: Scales, mean_height: float = 8000.0
) -> tuple[ShallowWaterEquations, ShallowWaterState]:
    """The wave of zonal wavenumber R = 4 over a fluid of `mean_height` [m] (W92, section 3, case 6).

    The deeper the fluid, the closer its eastward angular speed to that of non-divergent flow,
    (R (3 + R) w - 2 Omega) / ((1 + R) (2 + R)) with w = 7.848e-6 s-1.
    """
    grid, wavenumber = harmonics.grid, 4
    w = scales.nondimensionalize(7.848e-6, "s-1")
    sin_lat, cos_lat, cos_wave = grid.sin_lat, grid.cos_lat, np.cos(wavenumber * grid.longitudes)[:, None, None]
    envelope = cos_lat**wavenumber
    vorticity = 2 * w * sin_lat - w * (wavenumber**2 + 3 * wavenumber + 2) * envelope * sin_lat * cos_wave
    zonal, first, second = _rossby_haurwitz_heights(w, scales.angular_velocity, cos_lat, wavenumber)
    potential = zonal + first * cos_wave + second * (2 * cos_wave**2 - 1)
    mean_potential = scales.gravity * scales.nondimensionalize(mean_height, "m")
    return _shallow_water(harmonics, scales, mean_potential, vorticity, potential)


def _rossby_haurwitz_heights(w: float, rotation: float, cos_lat: np.ndarray, wavenumber: int) -> tuple[np.ndarray, ...]:
    """A, B and C of the height of W92, case 6, with K = w [latitude]."""
    r, cos2 = wavenumber, cos_lat**2
    zonal = w / 2 * (2 * rotation + w) * cos2 + w**2 / 4 * cos2 ** (r - 1) * (
        (r + 1) * cos2**2 + (2 * r**2 - r - 2) * cos2 - 2 * r**2
    )
    first = 2 * (rotation + w) * w / ((r + 1) * (r + 2)) * cos_lat**r * (r**2 + 2 * r + 2 - (r + 1) ** 2 * cos2)
    second = w**2 / 4 * cos2**r * ((r + 1) * cos2 - (r + 2))
    return zonal, first, second


def _shallow_water(
    harmonics: SphericalHarmonics, scales: Scales, mean_potential: float, vorticity: np.ndarray, potential: np.ndarray
) -> tuple[ShallowWaterEquations, ShallowWaterState]:
    """One layer over flat ground with a non-divergent flow; fields [longitude, 1, latitude]."""
    equations = ShallowWaterEquations(harmonics, np.array([mean_potential]), _zeros(harmonics, 1), scales)
    rotation, thickness = (harmonics.clip(_coefficients(harmonics, x)) for x in (vorticity, potential))
    return equations, ShallowWaterState(rotation, _zeros(harmonics, 1), thickness)


def _jet_speed(eta: np.ndarray, scales: Scales) -> np.ndarray:
    """u0 cos^(3/2)(eta_v), eta_v = (eta - 0.252) pi / 2 (JW06, eqs. 1 and 2)."""
    return scales.quantity("35 m s-1") * np.cos((eta - 0.252) * np.pi / 2) ** 1.5


def _jet_balance(sin_lat: np.ndarray, speed: np.ndarray, scales: Scales) -> np.ndarray:
    """The braces of JW06, eqs. 6 and 7, where u0 cos^(3/2)(eta_v) is `speed`."""
    cos2 = 1 - sin_lat**2
    curvature = -2 * sin_lat**6 * (cos2 + 1 / 3) + 10 / 63
    rotation = 8 / 5 * cos2**1.5 * (sin_lat**2 + 2 / 3) - np.pi / 4
    return curvature * speed + rotation * scales.angular_velocity


def _jet_temperature(eta: np.ndarray, sin_lat: np.ndarray, scales: Scales) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the layers (JW06, eqs. 4 and 5) [level, 1] and departure from it (eq. 6) [level, latitude]."""
    lapse_rate = constants.DRY_AIR_GAS_CONSTANT * 0.005 / constants.GRAVITY
    mean = 288.0 * eta**lapse_rate + 4.8e5 * np.maximum(0.2 - eta, 0.0) ** 5
    eta_v = (eta - 0.252) * np.pi / 2
    shear = np.pi * eta * scales.quantity("35 m s-1") / scales.gas_constant * np.sin(eta_v) * np.sqrt(np.cos(eta_v))
    variation = 0.75 * shear * _jet_balance(sin_lat, 2 * _jet_speed(eta, scales), scales)
    return scales.nondimensionalize(mean, "K"), variation


def _jet_perturbation(longitudes: np.ndarray, latitudes: np.ndarray, scales: Scales) -> np.ndarray:
    """Eastward wind of 1 m/s times exp(-(r / (a / 10))^2) about 20 E, 40 N (JW06, eqs. 10 and 11)."""
    center_longitude, center_latitude = np.pi / 9, 2 * np.pi / 9
    cosine = np.sin(center_latitude) * np.sin(latitudes)
    cosine = cosine + np.cos(center_latitude) * np.cos(latitudes) * np.cos(longitudes - center_longitude)
    return scales.quantity("1 m s-1") * np.exp(-((10 * np.arccos(np.clip(cosine, -1, 1))) ** 2))


def _zonal(harmonics: SphericalHarmonics, values: np.ndarray) -> np.ndarray:
    """Values [level, latitude] or [latitude] as a zonally uniform field [longitude, level, latitude]."""
    values = np.atleast_2d(values)
    return np.broadcast_to(values, (harmonics.grid.longitude_count, *values.shape))


def _coefficients(harmonics: SphericalHarmonics, nodal: np.ndarray) -> jax.Array:
    return harmonics.to_modal(jnp.asarray(nodal, float))


def _uniform(harmonics: SphericalHarmonics, value: float) -> jax.Array:
    """Coefficients [zonal, 1, total] of a field that is `value` everywhere."""
    return _zeros(harmonics, 1).at[0, 0, 0].set(value * CONSTANT_FIELD_COEFFICIENT)


def _zeros(harmonics: SphericalHarmonics, levels: int) -> jax.Array:
    return jnp.zeros((harmonics.grid.zonal_count, levels, harmonics.grid.total_wavenumbers), float)
