"""The vertical coordinate sigma = pressure / surface pressure, its layers and its calculus.

Layers run from the top (sigma = 0) to the surface (sigma = 1). Arrays have the level axis second:
[..., level, ...] as in `SpectralGrid`. Source: Durran 2010, section 8.6.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class SigmaLayers:
    """Layers between increasing `boundaries`, from 0 to 1."""

    boundaries: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.boundaries) < 2 or self.boundaries[0] != 0 or self.boundaries[-1] != 1:
            raise ValueError(f"sigma boundaries must run from 0 to 1, got {self.boundaries}")
        if not np.all(np.diff(self.boundaries) > 0):
            raise ValueError(f"sigma boundaries must increase, got {self.boundaries}")

    @classmethod
    def equidistant(cls, count: int) -> "SigmaLayers":
        """`count` layers of equal thickness."""
        return cls(tuple(np.linspace(0, 1, count + 1).tolist()))

    @property
    def count(self) -> int:
        """Number of layers."""
        return len(self.boundaries) - 1

    @cached_property
    def thickness(self) -> np.ndarray:
        """Thickness of the layers [level]."""
        return np.diff(self.boundaries)

    @cached_property
    def centers(self) -> np.ndarray:
        """Sigma at mid-layer [level]."""
        bounds = np.asarray(self.boundaries)
        return (bounds[1:] + bounds[:-1]) / 2

    @cached_property
    def alpha(self) -> np.ndarray:
        """Half the logarithmic distance of neighbouring layers; from the lowest layer to the ground in full.

        Durran 2010, eq. 8.124 [level].
        """
        alpha = np.diff(np.log(self.centers), append=0.0) / 2
        alpha[-1] *= 2
        return alpha

    @cached_property
    def cumulative(self) -> np.ndarray:
        """Matrix of the integral from the top to the lower boundary of each layer [level, level]."""
        return np.tril(np.ones((self.count, self.count))) * self.thickness

    @cached_property
    def geopotential_per_temperature(self) -> np.ndarray:
        """Matrix G / R [level, level]: hydrostatic geopotential above the ground is G T (Durran, 8.6.5)."""
        neighbours = self.alpha + np.concatenate([[0.0], self.alpha[:-1]])
        return np.triu(np.broadcast_to(neighbours, (self.count, self.count)), 1) + np.diag(self.alpha)

    def temperature_per_divergence(self, reference_temperature: np.ndarray, kappa: float) -> np.ndarray:
        """Matrix H [level, level]: dT/dt = -H D of a column at rest with the reference temperature.

        Adiabatic compression of, and vertical advection through, the reference profile (Durran, 8.6.5).
        """
        lower = np.tril(np.ones((self.count, self.count)))
        compression = lower * self.alpha[:, None]
        compression[1:] += compression[:-1].copy()
        compression *= kappa * (reference_temperature / self.thickness)[:, None]
        slope = np.append(np.diff(reference_temperature) / (self.thickness[:-1] + self.thickness[1:]), 0.0)
        advection = slope[:, None] * (lower - np.cumsum(self.thickness)[:, None])
        advection[1:] += advection[:-1].copy()
        return (compression - advection) * self.thickness


def vertical_product(matrix: jax.Array, x: jax.Array) -> jax.Array:
    """A matrix [level', level] applied along the level axis of [a, level, b], giving [a, level', b]."""
    matrices = jnp.broadcast_to(matrix, (x.shape[0], *matrix.shape))
    return jnp.matmul(matrices, x, precision=jax.lax.Precision.HIGHEST)


def column(values: np.ndarray, dtype: Any = float) -> jax.Array:
    """Values per level [level], shaped to broadcast against [a, level, b]."""
    return jnp.asarray(values, dtype)[:, None]


def vertical_advection(velocity: jax.Array, x: jax.Array, layers: SigmaLayers) -> jax.Array:
    """-(sigma velocity) dx/dsigma at mid-layer by centred differences (Durran 2010, eq. 8.113).

    `velocity` [a, level - 1, b] is given at the inner layer boundaries and vanishes at the top and the
    ground; `x` [a, level, b] at mid-layer.
    """
    flux = velocity * (x[:, 1:] - x[:, :-1]) * column(0.5 / np.diff(layers.centers), x.dtype)
    return -(jnp.pad(flux, [(0, 0), (0, 1), (0, 0)]) + jnp.pad(flux, [(0, 0), (1, 0), (0, 0)]))
