"""The prognostic state of the model."""

import dataclasses

import jax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """Spectral coefficients of the prognostic fields, nondimensional; also of their tendencies.

    Shapes are [zonal, level, total]; `log_surface_pressure` has one level. `tracers` are keyed by the
    names of `forecast.fields`.
    """

    vorticity: jax.Array
    divergence: jax.Array
    temperature_variation: jax.Array
    log_surface_pressure: jax.Array
    tracers: dict[str, jax.Array] = dataclasses.field(default_factory=dict)
