"""States and measures that the tests of the dynamical core share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.primitive_equations import CONDENSATE, HUMIDITY, PrimitiveEquations
from forecast.dycore.scales import Scales
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.state import State
from forecast.dycore.time_integration import imex_step

CONSTANT = np.sqrt(4 * np.pi)


def smooth(grid: SpectralGrid, levels: int, rng: np.random.Generator, rms: float) -> np.ndarray:
    """Random coefficients of zero mean whose spectrum falls as 1 / l; the highest total wavenumber is zero."""
    x = rng.normal(size=(grid.zonal_count, levels, grid.total_wavenumbers)) * grid.mask[:, None] / (1.0 + grid.l)
    x[..., 0] = x[..., -1] = 0.0
    power = np.sum(x**2, axis=(0, 2), keepdims=True) / (4 * np.pi)
    return (x * rms / np.sqrt(power)).astype(np.float32)


def random_state(grid: SpectralGrid, levels: int, scales: Scales, *, moist: bool = False, seed: int = 0) -> State:
    """A smooth random state of terrestrial size; with vapour and condensate if `moist`."""
    rng = np.random.default_rng(seed)

    def field(rms: float, units: str, mean: float = 0.0, count: int = levels) -> jax.Array:
        x = smooth(grid, count, rng, scales.nondimensionalize(rms, units))
        x[0, :, 0] += mean * CONSTANT
        return jnp.asarray(x)

    log_pressure = float(np.log(scales.quantity("98000 Pa")))
    return State(
        vorticity=field(2e-5, "s-1"),
        divergence=field(3e-6, "s-1"),
        temperature_variation=field(8.0, "K", mean=2.0),
        log_surface_pressure=field(0.02, "1", log_pressure, count=1),
        tracers={}
        if not moist
        else {
            HUMIDITY: field(2e-3, "1", mean=6e-3),
            CONDENSATE[0]: field(1e-5, "1", mean=3e-5),
            CONDENSATE[1]: field(1e-5, "1", mean=3e-5),
        },
    )


def mountain(grid: SpectralGrid) -> np.ndarray:
    """The height of a smooth mountain of 2 km [longitude, latitude]."""
    distance = 4 * (grid.longitudes[:, None] - np.pi) ** 2 + 8 * (grid.latitudes - np.pi / 6) ** 2
    return 2000 * np.exp(-distance)


class Integrator:
    """Integrates an equation by steps of some minutes, in one compiled program for any number of steps."""

    def __init__(self, equation: Any, minutes: float, filter_factor: np.ndarray | None = None):
        definition, leaves = nnx.split(equation)
        time_step = Scales().quantity(f"{minutes} minutes")

        def advance(leaves: Any, state: Any, count: jax.Array) -> Any:
            step = imex_step(nnx.merge(definition, leaves), time_step)
            factor = jnp.ones(()) if filter_factor is None else jnp.asarray(filter_factor, jnp.float32)
            return jax.lax.fori_loop(0, count, lambda _, x: jax.tree.map(lambda y: y * factor, step(x)), state)

        self.minutes = minutes
        self._advance, self._leaves = jax.jit(advance), leaves

    def __call__(self, state: Any, hours: float) -> Any:
        return self._advance(self._leaves, state, round(hours * 60 / self.minutes))


def compiled(
    equation: nnx.Module, function: Callable[[Any, Any], Any], optimization: int | None = None
) -> Callable[[Any], Any]:
    """`function(equation, state)`, compiled with the constants of the equation as arguments."""
    definition, leaves = nnx.split(equation)
    options = None if optimization is None else {"xla_backend_optimization_level": optimization}
    program = jax.jit(lambda leaves, state: function(nnx.merge(definition, leaves), state), compiler_options=options)
    return lambda state: program(leaves, state)


def nodal(harmonics: Any, modal: jax.Array) -> np.ndarray:
    """Grid values in double precision [longitude, level, latitude]."""
    return np.asarray(harmonics.to_nodal(modal), np.float64)


def sphere_integral(grid: SpectralGrid, x: np.ndarray) -> float:
    """Integral over the unit sphere of [longitude, latitude]."""
    return float(np.sum(np.asarray(x, np.float64) * grid.quadrature_weights))


def wind(equations: Any, state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Eastward and northward wind [m s-1; longitude, level, latitude]."""
    harmonics = equations.harmonics
    components = harmonics.cos_lat_velocity(state.vorticity, state.divergence)
    u, v = (nodal(harmonics, x) / harmonics.grid.cos_lat / Scales().unit("m s-1") for x in components)
    return u, v


def surface_pressure(equations: PrimitiveEquations, state: State) -> np.ndarray:
    """Surface pressure [hPa; longitude, latitude]."""
    return np.exp(nodal(equations.harmonics, state.log_surface_pressure)[:, 0]) / Scales().unit("Pa") / 100


def relative_error(actual: Any, expected: Any, increment_from: Any = None) -> float:
    """Greatest relative RMS error of the levels of a field; of its increment if a start is given."""
    actual, expected = (np.asarray(x, np.float64) for x in (actual, expected))
    size = expected - (0.0 if increment_from is None else np.asarray(increment_from, np.float64))
    error = np.sqrt(np.sum((actual - expected) ** 2, axis=(0, 2)))
    return float(np.max(error / np.sqrt(np.sum(size**2, axis=(0, 2)))))


def energy(equations: PrimitiveEquations, state: State, surface_geopotential: np.ndarray) -> float:
    """Kinetic, internal and potential energy of a dry atmosphere per unit of gravity, nondimensional."""
    scales, layers = equations.scales, equations.layers
    kinetic, temperature = _kinetic(equations, state), nodal(equations.harmonics, state.temperature_variation)
    temperature = temperature + np.asarray(equations.reference_temperature[...], np.float64)
    enthalpy = scales.gas_constant * 3.5 * temperature
    column = np.sum((kinetic + enthalpy) * layers.thickness[:, None], axis=1) + surface_geopotential
    pressure = np.exp(nodal(equations.harmonics, state.log_surface_pressure)[:, 0])
    return sphere_integral(equations.harmonics.grid, pressure * column)


def kinetic_energy(equations: PrimitiveEquations, state: State) -> float:
    """Kinetic energy in the unit of `energy`."""
    pressure = np.exp(nodal(equations.harmonics, state.log_surface_pressure)[:, 0])
    column = np.sum(_kinetic(equations, state) * equations.layers.thickness[:, None], axis=1)
    return sphere_integral(equations.harmonics.grid, pressure * column)


def angular_momentum(equations: PrimitiveEquations, state: State) -> tuple[float, float]:
    """About the axis of rotation per unit of gravity: of the wind relative to the ground, and of the rotation."""
    grid, scales = equations.harmonics.grid, equations.scales
    u = wind(equations, state)[0] * scales.unit("m s-1")
    pressure = np.exp(nodal(equations.harmonics, state.log_surface_pressure)[:, 0])
    relative = np.sum(u * equations.layers.thickness[:, None], axis=1) * grid.cos_lat
    rotation = np.broadcast_to(scales.angular_velocity * grid.cos_lat**2, relative.shape)
    return sphere_integral(grid, pressure * relative), sphere_integral(grid, pressure * rotation)


def _kinetic(equations: PrimitiveEquations, state: State) -> np.ndarray:
    u, v = wind(equations, state)
    return (u**2 + v**2) / 2 * equations.scales.unit("m s-1") ** 2


def implicit_step(equation, state, step):
    """The x of x = state + step * implicit(x)."""
    return jax.tree.map(lambda x, tendency: x + step * tendency, state, equation.implicit_ahead(state, step))
