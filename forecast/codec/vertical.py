"""Between pressure levels and sigma layers: surface pressure, interpolation, hydrostatic geopotential.

Arrays are [..., level, longitude, latitude] with the top first. Pressures may be in any one unit,
geopotential and gas constant in any consistent ones. Everything is linear in pressure, as in the published
models (Kochkov et al. 2024, appendix D).
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from forecast.dycore.sigma import SigmaLayers

LEVEL_AXIS = -3


class Location(NamedTuple):
    """Where targets lie among nodes, all [..., target level, longitude, latitude].

    A target stands between nodes `lower` and `lower` + 1 with `weight` on the latter; beyond the outermost
    nodes, `weight` leaves 0 to 1.
    """

    lower: jax.Array
    weight: jax.Array


def sigma_in_pressure(surface_pressure: jax.Array, levels: np.ndarray, layers: SigmaLayers) -> Location:
    """Where the middle of each sigma layer lies among the pressure `levels` [level].

    `surface_pressure` is [..., longitude, latitude], in the unit of the levels.
    """
    return _locate(_profile(layers.centers) * _surface(surface_pressure), levels)


def pressure_in_sigma(surface_pressure: jax.Array, levels: np.ndarray, layers: SigmaLayers) -> Location:
    """Where each of the pressure `levels` [level] lies among the middles of the sigma layers.

    `surface_pressure` is [..., longitude, latitude], in the unit of the levels.
    """
    return _locate(_profile(levels) / _surface(surface_pressure), layers.centers)


def interpolate(values: jax.Array, location: Location, beyond: Literal["constant", "linear"]) -> jax.Array:
    """Values on the nodes, [..., node, longitude, latitude], interpolated linearly to the targets.

    Beyond the outermost nodes they stay constant or continue as a straight line, however far. Exact at nodes.
    """
    lower, weight = (_with_dimensions(array, values.ndim) for array in location)
    if beyond == "constant":
        weight = jnp.clip(weight, 0, 1)
    above = jnp.take_along_axis(values, lower, LEVEL_AXIS)
    below = jnp.take_along_axis(values, lower + 1, LEVEL_AXIS)
    return (1 - weight) * above + weight * below


def surface_pressure(geopotential: jax.Array, surface_geopotential: jax.Array, levels: np.ndarray) -> jax.Array:
    """Pressure [..., longitude, latitude] at which the geopotential is that of the surface.

    Linear in geopotential between the two levels around the surface, or from the two lowest levels when the surface
    lies below them. `geopotential` is on the pressure `levels`, in whose unit the result is.
    """
    depth = _surface(surface_geopotential) - geopotential
    lower = jnp.sum(depth[..., 1:-1, :, :] <= 0, axis=LEVEL_AXIS, keepdims=True)
    above = jnp.take_along_axis(depth, lower, LEVEL_AXIS)
    below = jnp.take_along_axis(depth, lower + 1, LEVEL_AXIS)
    weight = -above / (below - above)
    pressures = jnp.asarray(levels, depth.dtype)
    return jnp.squeeze((1 - weight) * pressures[lower] + weight * pressures[lower + 1], LEVEL_AXIS)


def virtual_temperature(temperature: jax.Array, specific_humidity: jax.Array, gas_constant_ratio: float) -> jax.Array:
    """Temperature of dry air of the same pressure and density [K], any shape.

    `gas_constant_ratio` is that of water vapour to dry air.
    """
    return temperature * (1 + (gas_constant_ratio - 1) * specific_humidity)


def hydrostatic_geopotential(
    virtual_temperature: jax.Array, surface_geopotential: jax.Array, layers: SigmaLayers, gas_constant: float
) -> jax.Array:
    """Geopotential at the middle of each sigma layer from the virtual temperature there.

    Hydrostatic balance in the discretisation of the dynamical core (Durran 2010, section 8.6.5), exact for
    an isothermal column. `surface_geopotential` is [..., longitude, latitude].
    """
    matrix = jnp.asarray(gas_constant * layers.geopotential_per_temperature, virtual_temperature.dtype)
    thickness = jnp.einsum("gk,...kxy->...gxy", matrix, virtual_temperature, precision=jax.lax.Precision.HIGHEST)
    return _surface(surface_geopotential) + thickness


def _locate(targets: jax.Array, nodes: np.ndarray) -> Location:
    """The interval between increasing nodes that holds each target, or the outermost one."""
    points = jnp.asarray(nodes, targets.dtype)
    interior = points[1:-1].reshape(-1, *(1,) * targets.ndim)
    lower = jnp.sum(targets >= interior, axis=0, dtype=jnp.int32)
    return Location(lower, (targets - points[lower]) / (points[lower + 1] - points[lower]))


def _with_dimensions(array: jax.Array, count: int) -> jax.Array:
    """The array with axes of length one in front, `count` axes in all."""
    return array.reshape((1,) * (count - array.ndim) + array.shape)


def _profile(values: np.ndarray) -> jax.Array:
    """One value per level, to broadcast against [..., level, longitude, latitude]."""
    return jnp.asarray(values, float)[:, None, None]


def _surface(field: jax.Array) -> jax.Array:
    """A field [..., longitude, latitude] with a level axis of length one."""
    return jnp.asarray(field)[..., None, :, :]
