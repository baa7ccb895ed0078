"""Gaussian random fields on the sphere, correlated in space and time.

Each field is a first-order autoregressive process of its spherical harmonic coefficients,

    U(t + dt) = phi U(t) + sigma_l eta,    phi = exp(-dt / tau),    sigma_l ~ exp(-kT l (l + 1) / 2),

with kT = (correlation length)^2 / 2 on the unit sphere and independent eta, normal but cut off at `clip`
standard deviations. sigma_l is normalised so that the field is stationary with the given mean variance over
the sphere. Source: Palmer et al. 2009, ECMWF Technical Memorandum 598, appendix 8, without its factor
of two in the normalisation; Kochkov et al. 2024, appendix C.5.

A stack of n fields is one array of coefficients, `core` [field, zonal, total], nondimensional.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import constant, rounded
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.physics.configuration import Layout, Site, UnsupportedConfiguration

_SOFTPLUS_INVERSE_OF_ONE = float(np.log(np.expm1(1.0)))


class RandomFields(nnx.Module):
    """Independent random fields on one grid, advanced together.

    `lengths` [radii of the sphere], `times` and `variances` describe each field at the start of training; the
    learned `raw_lengths` and `raw_times` scale the first two by softplus(raw + softplus^-1(1)), which is one at
    zero. `time_step` is that of one `advance`, in the unit of `times`. `layout` names the fields as features.
    """

    def __init__(
        self,
        harmonics: SphericalHarmonics,
        *,
        lengths: Sequence[float],
        times: Sequence[float],
        variances: Sequence[float],
        raw_lengths: jax.Array | np.ndarray,
        raw_times: jax.Array | np.ndarray,
        time_step: float,
        clip: float,
        layout: Layout,
    ):
        shapes = {len(lengths), len(times), len(variances), *np.shape(raw_lengths), *np.shape(raw_times)}
        if len(shapes) != 1:
            raise ValueError(f"expected one length, time and variance for each random field, got counts {shapes}")
        if min(*lengths, *times, *variances, time_step, clip) <= 0:
            raise ValueError("lengths, times, variances, time step and clip of random fields must be positive")
        self.harmonics = harmonics
        self.layout: Layout = layout
        self.clip = float(clip)
        self.time_step = float(time_step)
        self.lengths = constant(lengths)
        self.times = constant(times)
        self.variances = constant(variances)
        self.raw_lengths = nnx.Param(rounded(raw_lengths))
        self.raw_times = nnx.Param(rounded(raw_times))

    @property
    def count(self) -> int:
        """Number of fields."""
        return self.lengths.shape[0]

    @property
    def correlation_lengths(self) -> jax.Array:
        """Correlation length of each field, in radii of the sphere [field]."""
        return self.lengths[...] * _positive(self.raw_lengths[...])

    @property
    def correlation_times(self) -> jax.Array:
        """Correlation time of each field [field]."""
        return self.times[...] * _positive(self.raw_times[...])

    def amplitudes(self) -> jax.Array:
        """Standard deviation of each coefficient in the stationary state [field, total].

        Their squares over all coefficients sum to 4 pi times the variance.
        """
        grid = self.harmonics.grid
        decay = self.correlation_lengths[:, None] ** 2 / 2 * jnp.asarray(grid.l * (grid.l + 1.0), float)
        unscaled = jnp.exp(-0.5 * decay)
        coefficient_count = jnp.asarray(grid.mask.sum(axis=0), float)
        total = jnp.sum(coefficient_count * unscaled**2, axis=-1)
        return unscaled * jnp.sqrt(4 * jnp.pi * self.variances[...] / total)[:, None]

    def initial(self, key: jax.Array) -> jax.Array:
        """Coefficients drawn from the stationary law [field, zonal, total]."""
        return self.amplitudes()[:, None] * self._noise(key)

    def advance(self, core: jax.Array, key: jax.Array) -> jax.Array:
        """Coefficients one time step later [field, zonal, total]; `key` belongs to this member and step alone."""
        rate = self.time_step / self.correlation_times
        persistence = jnp.exp(-rate)[:, None, None]
        innovation = jnp.sqrt(-jnp.expm1(-2 * rate))[:, None] * self.amplitudes()
        return persistence * core + innovation[:, None] * self._noise(key)

    def nodal(self, core: jax.Array) -> jax.Array:
        """Grid values [longitude, field, latitude]."""
        return self.harmonics.to_nodal(core.swapaxes(0, 1))

    def _noise(self, key: jax.Array) -> jax.Array:
        """Independent normal numbers cut off at `clip`, zero where no coefficient exists; the same in any precision."""
        mask = self.harmonics.grid.mask
        noise = jax.random.truncated_normal(key, -self.clip, self.clip, (self.count, *mask.shape), jnp.float32)
        return jnp.asarray(jnp.where(mask, noise, 0.0), float)


def from_configuration(site: Site, time_step: float) -> RandomFields | None:
    """The random fields that `site` describes, for one `advance` per `time_step`; None for NoRandomField."""
    if site.kind == "NoRandomField":
        return None
    if site.kind not in ("BatchGaussianRandomFieldModule", "DictOfGaussianRandomFieldModules"):
        raise UnsupportedConfiguration(
            f"the configuration asks for the random field {site.kind!r}; known are "
            "BatchGaussianRandomFieldModule, DictOfGaussianRandomFieldModules, NoRandomField"
        )
    quantity = site.context.scales.quantity
    lengths = [quantity(text) for text in _subset(site, site.get("initial_correlation_lengths"))]
    times = [quantity(text) for text in _subset(site, site.get("initial_correlation_times"))]
    raw_lengths, raw_times, layout = _learned(site, len(lengths))
    return RandomFields(
        site.context.harmonics,
        lengths=lengths,
        times=times,
        variances=[float(value) for value in _subset(site, site.get("variances"))],
        raw_lengths=raw_lengths,
        raw_times=raw_times,
        time_step=time_step,
        clip=site.get("clip", 6.0),
        layout=layout,
    )


def of_owner(owner: Site, time_step: float) -> RandomFields | None:
    """The random fields of a model step, encoder or decoder: its `randomness_module`."""
    return from_configuration(owner.child(owner.reference("randomness_module"), set()), time_step)


def layout_of(owner: Site) -> Layout:
    """Names of the random fields of a model step, encoder or decoder, as features see them; takes no parameters."""
    reference = owner.reference("randomness_module")
    site = owner.within(reference)
    if site.kind == "NoRandomField":
        return ()
    count = len(_subset(site, site.get("variances")))
    return tuple((name, 1) for name in _names(site)) if site.kind.startswith("DictOf") else (("randomness", count),)


def _learned(site: Site, count: int) -> tuple[np.ndarray, np.ndarray, Layout]:
    """Raw lengths and times [field] and the layout, as the two kinds of published modules keep them."""
    if site.kind == "BatchGaussianRandomFieldModule":
        learned = count - (site.get("n_fixed_fields", None) or 0)
        raw = [
            np.pad(site.take(leaf, (learned,)), (0, count - learned))
            for leaf in ("correlation_lengths_raw", "correlation_times_raw")
        ]
        return raw[0], raw[1], (("randomness", count),)
    names = _names(site)
    take = site.context.parameters.take
    raw = [
        np.array([take(f"{site.path}/~/{name}", leaf, ()) for name in names])
        for leaf in ("correlation_length_raw", "correlation_time_raw")
    ]
    return raw[0], raw[1], tuple((name, 1) for name in names)


def _names(site: Site) -> list[str]:
    default = [f"GRF{index}" for index in range(len(site.get("variances")))]
    return _subset(site, site.get("field_names", None) or default)


def _subset(site: Site, values: Sequence[Any]) -> list[Any]:
    chosen = site.get("field_subset", None)
    return list(values) if chosen is None else [values[index] for index in chosen]


def _positive(raw: jax.Array) -> jax.Array:
    return jax.nn.softplus(raw + _SOFTPLUS_INVERSE_OF_ONE)
