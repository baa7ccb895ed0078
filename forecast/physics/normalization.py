"""Scaling of channels before and after the towers, as the configuration describes it.

A chain of the published transforms (shift and normalise, level scales, truncation in sigma, soft clip) is
one affine map per channel, then a choice of channels, then a soft clip: `ColumnTransform`. Channels are
the last axis.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import constant
from forecast.physics.configuration import Layout, Site, lookup, size

_ONE_SIDED_FROM = 8.0


def soft_clip(x: jax.Array, max_value: float, hinge: float = 1.0) -> jax.Array:
    """`x` bent smoothly into (-max_value, max_value): s - softplus(s - x) at both ends, s = max_value.

    `hinge` is the width of the bend. The published form composes the two bends; where they lie far
    apart only the nearer one counts, which changes the result by less than 2e-6.
    """
    if max_value <= 0 or hinge <= 0:
        raise ValueError(f"soft clip: expected positive max_value and hinge, got {max_value} and {hinge}")
    if max_value / hinge < _ONE_SIDED_FROM:
        inner = _softplus(2 * max_value - _softplus(x + max_value, hinge), hinge)
        return max_value - inner * (2 * max_value / _softplus(jnp.asarray(2 * max_value), hinge))
    size = jnp.abs(x)
    bend = hinge * jnp.log(1 + jnp.exp(-jnp.abs(max_value - size) / hinge))
    bent = jnp.minimum(size, max_value) - bend
    return jnp.where(x < 0, -bent, bent)


def _softplus(x: jax.Array, hinge: float) -> jax.Array:
    return hinge * jax.nn.softplus(x / hinge)


class ColumnTransform(nnx.Module):
    """y = soft_clip((factor x + offset)[chosen channels]) for arrays [..., channel] in a given layout.

    `layout` is the layout of the result.
    """

    def __init__(self, site: Site, layout: Layout):
        plan = _Plan(layout, site)
        plan.add(site)
        self.layout: Layout = plan.layout
        self.clip: tuple[float, float] | None = plan.clip
        self.chosen: tuple[int, ...] | None = None if plan.keep.all() else tuple(np.flatnonzero(plan.keep).tolist())
        self.factor = constant(plan.factor[plan.keep])
        self.offset = constant(plan.offset[plan.keep])

    def __call__(self, x: jax.Array) -> jax.Array:
        """The transformed channels [..., channel]."""
        if self.chosen is not None:
            x = x[..., np.asarray(self.chosen)]
        y = x * self.factor[...] + self.offset[...]
        return y if self.clip is None else soft_clip(y, *self.clip)


class _Plan:
    """Factor and offset of each channel [channel], which channels are kept, and the clip, step by step."""

    def __init__(self, layout: Layout, site: Site):
        self._full = layout
        self._names = np.repeat([name for name, _ in layout], [count for _, count in layout])
        self._levels = np.concatenate([np.arange(count) for _, count in layout]) if layout else np.zeros(0, int)
        self._sigma = site.context.sigma_centers
        self.factor = np.ones(size(layout))
        self.offset = np.zeros(size(layout))
        self.keep = np.ones(size(layout), bool)
        self.clip: tuple[float, float] | None = None

    @property
    def layout(self) -> Layout:
        counts = ((name, int(self.keep[self._names == name].sum())) for name, _ in self._full)
        return tuple((name, count) for name, count in counts if count)

    def add(self, site: Site) -> None:
        step = lookup(_STEPS, site, "transform")
        if self.clip is not None and site.kind not in ("IdentityTransform", "TruncateSigmaLevels"):
            raise ValueError(f"{site.kind} after SoftClip: expected SoftClip to be the last scaling step")
        step(self, site)

    def sequence(self, site: Site) -> None:
        for reference in site.references("transform_modules"):
            self.add(site.within(reference))

    def identity(self, site: Site) -> None:
        """Nothing changes."""

    def shift_and_normalize(self, site: Site) -> None:
        """(x - shift) / scale."""
        shift, scale = self._shift_and_scale(site)
        self.factor, self.offset = self.factor / scale, (self.offset - shift) / scale

    def inverse_shift_and_normalize(self, site: Site) -> None:
        """scale x + shift."""
        shift, scale = self._shift_and_scale(site)
        self.factor, self.offset = self.factor * scale, self.offset * scale + shift

    def _shift_and_scale(self, site: Site) -> tuple[np.ndarray, np.ndarray]:
        shifts, scales = _flat(site.get("shifts")), _flat(site.get("scales"))
        missing = sorted({name for name, _ in self._full} - (shifts.keys() & scales.keys()))
        if missing:
            raise ValueError(f"{site.scope}/{site.kind} has no shift or scale for {', '.join(missing)}")
        global_scale = site.get("global_scale", None) or 1.0
        return (
            np.array([shifts[name] for name in self._names], np.float64),
            np.array([scales[name] * global_scale for name in self._names], np.float64),
        )

    def level_scale(self, site: Site) -> None:
        """x times the scale of its level."""
        self._scale_levels(site, np.asarray(site.get("scales"), np.float64))

    def inverse_level_scale(self, site: Site) -> None:
        """x over the scale of its level."""
        self._scale_levels(site, 1 / np.asarray(site.get("scales"), np.float64))

    def _scale_levels(self, site: Site, scales: np.ndarray) -> None:
        for name, count in self._full:
            if name in site.get("keys_to_scale", ()):
                if count != len(scales):
                    raise ValueError(f"{site.scope}/{site.kind} has {len(scales)} scales, {name!r} {count} levels")
                self.factor[self._names == name] *= scales
                self.offset[self._names == name] *= scales

    def truncate(self, site: Site) -> None:
        """Only the levels whose sigma lies in the range given for their name; (0, 1) where none is given."""
        ranges: Mapping[str, tuple[float, float]] = site.get("sigma_ranges")
        for name, _ in self._full:
            low, high = ranges.get(name, (0, 1))
            lower = int(np.argmax(self._sigma > low))
            upper = len(self._sigma) if high > self._sigma.max() else int(np.argmin(self._sigma < high))
            outside = (self._levels < lower) | (self._levels >= upper)
            self.keep[(self._names == name) & outside] = False

    def soft_clip(self, site: Site) -> None:
        self.clip = (float(site.get("max_value")), float(site.get("hinge_softness", 1.0)))


def _flat(values: Mapping[str, Any]) -> dict[str, float]:
    """Leaves of nested dictionaries by their own name."""
    flat: dict[str, float] = {}
    for name, value in values.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {name: float(value)}
    return flat


_STEPS: Mapping[str, Callable[[_Plan, Site], None]] = {
    "IdentityTransform": _Plan.identity,
    "InverseLevelScale": _Plan.inverse_level_scale,
    "InverseShiftAndNormalize": _Plan.inverse_shift_and_normalize,
    "LevelScale": _Plan.level_scale,
    "SequentialTransform": _Plan.sequence,
    "ShiftAndNormalize": _Plan.shift_and_normalize,
    "SoftClip": _Plan.soft_clip,
    "TruncateSigmaLevels": _Plan.truncate,
}
