"""What the towers see of each column: named features, chosen and scaled by the configuration.

`ColumnFeatures` works in two steps. `gather` collects whole-grid arrays [longitude, channel, latitude], all
modal fields stacked in one transform for each operator. `columns` turns any range of longitudes of them
into normalised feature blocks [longitude, latitude, channel], column by column.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import constant, rounded
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.physics.configuration import (
    Layout,
    Site,
    UnsupportedConfiguration,
    archive_name,
    lookup,
    prefixed,
    size,
)
from forecast.physics.insolation import Insolation, Phases
from forecast.physics.normalization import ColumnTransform
from forecast.physics.spectral_inputs import (
    GRADIENTS,
    OPERATORS,
    VALUE,
    WIND,
    Request,
    Stacks,
    StackTransform,
    derives_wind,
    metric,
)

SPECTRAL = "spectral"
"""Key of the stacked grid values among gathered arrays; the operator follows it."""

Gathered = dict[str, jax.Array]
"""Whole-grid or partial arrays [longitude, channel, latitude] by what they hold."""


@dataclass(frozen=True)
class Surroundings:
    """What features see besides the modal fields.

    `phases` are those of the Earth's orbit and rotation; `forcing` holds nondimensional, finite fields
    [longitude, latitude] by the names of `forecast.fields`: a NaN spreads over its whole column;
    `randomness` is [longitude, field, latitude] or None.
    """

    phases: Phases
    forcing: Mapping[str, jax.Array] = field(default_factory=dict)
    randomness: jax.Array | None = None


class Feature(nnx.Module):
    """A group of features: their layout, the grid values they request, and how a column computes them."""

    layout: Layout = ()
    requests: tuple[Request, ...] = ()

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """Whole-grid arrays that `columns` needs besides the requested grid values."""
        return {}

    def columns(self, gathered: Gathered, stacks: Stacks) -> jax.Array:
        """Features [longitude, latitude, channel] for the longitudes in `gathered`."""
        raise NotImplementedError


class GridValues(Feature):
    """Grid values of modal fields, or of one derivative of theirs, for all levels or the lowest one."""

    def __init__(self, site: Site, requests: Sequence[Request], *, lowest_level_only: bool = False):
        stacks = Stacks.of(requests, site.context.levels)
        self.requests: tuple[Request, ...] = stacks.requests
        self.operator: str = self.requests[0].operator
        self.lowest_level_only: bool = lowest_level_only
        counts = [1 if lowest_level_only else stacks.count(request) for request in self.requests]
        self.layout: Layout = tuple((request.name, n) for request, n in zip(self.requests, counts, strict=True))
        cos_lat, derived = site.context.harmonics.grid.cos_lat, derives_wind(site.context.levels)
        metrics = [metric(request, cos_lat, wind_is_derived=derived) for request in self.requests]
        self.metric = constant(np.repeat(np.transpose(metrics), counts, axis=1))

    def columns(self, gathered: Gathered, stacks: Stacks) -> jax.Array:
        """Physical values of the requested fields, nondimensional."""
        levels = [stacks.channels(request) for request in self.requests]
        wanted = np.concatenate([channels[-1:] if self.lowest_level_only else channels for channels in levels])
        return _select(gathered[SPECTRAL + self.operator], wanted).swapaxes(1, 2) * self.metric[...]


def velocity_and_prognostics(site: Site) -> list[Feature]:
    """Grid values of the included modal fields, the wind among them, and their derivatives where configured."""
    levels = site.context.levels
    included = site.get("fields_to_include", None)
    derived = WIND if derives_wind(levels) else ()
    names = [*derived, *(name for name in levels if included is None or name in included)]
    operators = OPERATORS if _computes_gradients(site) else (VALUE,)
    lowest = _takes_lowest_level(site)
    return [
        GridValues(site, [Request(name, operator) for name in names], lowest_level_only=lowest)
        for operator in operators
    ]


def _computes_gradients(site: Site) -> bool:
    if site.get("compute_gradients_module", None) is None:
        return False
    kind = site.reference("compute_gradients_module").name
    if kind not in ("ToModalDiffOperators", "EmptyTransform"):
        raise UnsupportedConfiguration(f"{site.kind}.compute_gradients_module: {kind!r}; known is ToModalDiffOperators")
    return kind == "ToModalDiffOperators"


def _takes_lowest_level(site: Site) -> bool:
    if site.get("features_transform_module", None) is None:
        return False
    kind = site.reference("features_transform_module").name
    if kind not in ("TakeSurfaceAdjacentSigmaLevel", "IdentityTransform"):
        raise UnsupportedConfiguration(
            f"{site.kind}.features_transform_module: {kind!r}; known is TakeSurfaceAdjacentSigmaLevel"
        )
    return kind == "TakeSurfaceAdjacentSigmaLevel"


def _select(stack: jax.Array, channels: np.ndarray) -> jax.Array:
    """Channels [longitude, n, latitude] of a stack, by slices."""
    starts = np.flatnonzero(np.diff(channels, prepend=-2) != 1)
    runs = np.split(channels, starts[1:])
    slices = [jax.lax.slice_in_dim(stack, int(run[0]), int(run[-1]) + 1, axis=1) for run in runs]
    return slices[0] if len(slices) == 1 else jnp.concatenate(slices, axis=1)


class PressureFeatures(Feature):
    """Pressure in each layer: sigma times surface pressure."""

    def __init__(self, site: Site):
        self.requests = (Request("log_surface_pressure"),)
        self.sigma = constant(site.context.sigma_centers)
        self.layout: Layout = (("pressure", len(site.context.sigma_centers)),)

    def columns(self, gathered: Gathered, stacks: Stacks) -> jax.Array:
        """Pressure [longitude, latitude, layer], nondimensional."""
        log_pressure = _select(gathered[SPECTRAL], stacks.channels(self.requests[0]))
        return jnp.exp(log_pressure).swapaxes(1, 2) * self.sigma[...]


class _Gathered(Feature):
    """Features that are whole-grid arrays as they are, under one key."""

    key: str = ""

    def columns(self, gathered: Gathered, stacks: Stacks) -> jax.Array:
        """The gathered array."""
        return gathered[self.key].swapaxes(1, 2)


class RadiationFeatures(_Gathered):
    """Incident solar radiation relative to its largest value."""

    def __init__(self, site: Site):
        self.key = "radiation"
        self.layout: Layout = (("radiation", 1),)

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """Radiation at the time that the phases give."""
        grid = harmonics.grid
        insolation = Insolation(np.rad2deg(grid.longitudes), np.rad2deg(grid.latitudes))
        return {self.key: insolation(surroundings.phases)[:, None]}


class LatitudeFeatures(_Gathered):
    """Cosine and sine of latitude."""

    def __init__(self, site: Site):
        grid = site.context.harmonics.grid
        self.key = "latitude"
        self.layout: Layout = (("cos_latitude", 1), ("sin_latitude", 1))
        self.values = constant([grid.cos_lat, grid.sin_lat])

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """The two fields, equal at all longitudes."""
        return {self.key: jnp.broadcast_to(self.values[...], (harmonics.grid.longitude_count, *self.values.shape))}


class FloatDataFeatures(_Gathered):
    """Static fields, and the derivatives of their spectral form where configured."""

    def __init__(self, site: Site):
        harmonics = site.context.harmonics
        names = site.get("covariate_keys")
        nodal = rounded(np.stack([site.context.static_field(name) for name in names], axis=1))
        layout, blocks = [(name, 1) for name in names], [np.asarray(nodal)]
        if _computes_gradients(site):
            requests = [Request(name, operator) for operator in GRADIENTS for name in names]
            metrics = [metric(request, harmonics.grid.cos_lat, wind_is_derived=False) for request in requests]
            derivatives = _derivatives(harmonics, Stacks.of(requests, dict.fromkeys(names, 1)), nodal)
            blocks.append(np.asarray(derivatives) * np.asarray(metrics, derivatives.dtype))
            layout += [(request.name, 1) for request in requests]
        self.key = f"static/{'+'.join(name for name, _ in layout)}"
        self.layout: Layout = tuple(layout)
        self.values = constant(np.concatenate(blocks, axis=1))

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """The fields [longitude, channel, latitude], computed once."""
        return {self.key: self.values[...]}


@partial(nnx.jit, static_argnums=1)
def _derivatives(harmonics: SphericalHarmonics, stacks: Stacks, nodal: jax.Array) -> jax.Array:
    """Grid values [longitude, channel, latitude] of all derivatives in `stacks` of fields given by theirs."""
    modal = harmonics.to_modal(nodal)
    fields = {name: modal[:, index : index + 1] for index, (name, _) in enumerate(stacks.levels)}
    by_operator = StackTransform(harmonics, stacks)(fields)
    return jnp.concatenate([by_operator[operator] for operator in GRADIENTS], axis=1)


class LearnedPositionalFeatures(_Gathered):
    """Learned values at each place."""

    def __init__(self, site: Site):
        latent = site.get("latent_size")
        name = "learned_positional_features"
        self.key = name
        self.layout: Layout = ((name, latent),)
        self.scale: float = site.get("scale", 1.0)
        self.values = nnx.Param(rounded(site.take(name, (latent, *site.context.nodal_shape))))

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """The learned values, scaled."""
        return {self.key: self.scale * self.values[...].swapaxes(0, 1)}


class ForcingFeatures(_Gathered):
    """Fields prescribed to the model."""

    def __init__(self, site: Site):
        self.names: tuple[str, ...] = tuple(site.get("forcing_to_include"))
        self.key = f"forcing/{'+'.join(self.names)}"
        self.layout: Layout = tuple((name, 1) for name in self.names)

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """The forcing fields."""
        return {self.key: jnp.stack([forcing_field(surroundings, name) for name in self.names], axis=1)}


def forcing_field(surroundings: Surroundings, archive_key: str) -> jax.Array:
    """The forcing [longitude, latitude] that the configuration calls `archive_key`."""
    fields = {archive_name(name): values for name, values in surroundings.forcing.items()}
    if archive_key not in fields:
        raise ValueError(f"the configuration needs the forcing {archive_key!r}, got {sorted(fields)}")
    return fields[archive_key]


class RandomnessFeatures(_Gathered):
    """The random fields."""

    def __init__(self, site: Site):
        self.key = "randomness"
        self.layout: Layout = site.context.randomness

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """The random fields [longitude, field, latitude]; nothing when the configuration has none."""
        if not self.layout:
            return {}
        if surroundings.randomness is None or surroundings.randomness.shape[1] != size(self.layout):
            got = None if surroundings.randomness is None else surroundings.randomness.shape
            raise ValueError(f"randomness: expected {size(self.layout)} fields [longitude, field, latitude], got {got}")
        return {self.key: surroundings.randomness}


class CombinedFeatures(nnx.Module):
    """All features of one user: `layouts[i]` describes block i that `columns` returns."""

    def __init__(self, site: Site):
        if site.kind != "CombinedFeatures":
            raise UnsupportedConfiguration(f"the configuration asks for {site.kind!r}; known is CombinedFeatures")
        if site.get("features_to_exclude", ()):
            raise UnsupportedConfiguration("CombinedFeatures.features_to_exclude: only () is supported")
        skipped = site.get("feature_module_names_to_exclude", ())
        taken: set[str] = set()
        sites = [site.child(reference, taken) for reference in site.references("feature_modules")]
        groups = [lookup(FEATURES, child, "feature module")(child) for child in sites if child.kind not in skipped]
        built = [feature for group in groups for feature in (group if isinstance(group, list) else [group])]
        built = [feature for feature in built if feature.layout]
        scaling = site.within(site.reference("features_transform_module"))
        self.features = nnx.List(built)
        self.transforms = nnx.List(ColumnTransform(scaling, feature.layout) for feature in built)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Layout of each block."""
        return tuple(transform.layout for transform in self.transforms)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Grid values that the features need."""
        return tuple(request for feature in self.features for request in feature.requests)

    def gather(self, harmonics: SphericalHarmonics, surroundings: Surroundings) -> Gathered:
        """Whole-grid arrays besides the requested grid values."""
        gathered: Gathered = {}
        for feature in self.features:
            gathered |= feature.gather(harmonics, surroundings)
        return gathered

    def columns(self, gathered: Gathered, stacks: Stacks) -> list[jax.Array]:
        """Normalised blocks [longitude, latitude, channel] for the longitudes in `gathered`."""
        return [
            transform(feature.columns(gathered, stacks))
            for feature, transform in zip(self.features, self.transforms, strict=True)
        ]


class ColumnFeatures(nnx.Module):
    """The features of one user together with the transforms that they share.

    `site` is that of a CombinedFeatures; `layouts[i]` describes block i that `columns` returns.
    """

    def __init__(self, site: Site):
        self.harmonics = site.context.harmonics
        self.combined = CombinedFeatures(site)
        self.stacks = Stacks.of(self.combined.requests, site.context.levels)
        self.transform = StackTransform(self.harmonics, self.stacks)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Layout of each block."""
        return self.combined.layouts

    def gather(self, modal: Mapping[str, jax.Array], surroundings: Surroundings) -> Gathered:
        """Whole-grid arrays, from modal fields [zonal, level, total] by archive name, nondimensional."""
        spectral = {SPECTRAL + operator: stack for operator, stack in self.transform(modal).items()}
        return spectral | self.combined.gather(self.harmonics, surroundings)

    def columns(self, gathered: Gathered) -> list[jax.Array]:
        """Normalised blocks [longitude, latitude, channel] for the longitudes in `gathered`."""
        return self.combined.columns(gathered, self.stacks)

    def __call__(self, modal: Mapping[str, jax.Array], surroundings: Surroundings) -> list[jax.Array]:
        """Normalised blocks [longitude, latitude, channel] of the whole grid."""
        return self.columns(self.gather(modal, surroundings))


def sorted_features(blocks: Sequence[jax.Array], layouts: Sequence[Layout], prefix: str = "") -> dict[str, jax.Array]:
    """Blocks [..., channel] taken apart into features by name, in the order that the published towers see."""
    features = {}
    for block, layout in zip(blocks, layouts, strict=True):
        bounds = np.cumsum([0] + [count for _, count in layout])
        for (name, _), start, stop in zip(prefixed(layout, prefix), bounds[:-1], bounds[1:], strict=True):
            features[name] = block[..., start:stop]
    return dict(sorted(features.items()))


FEATURES: dict[str, Callable[[Site], Feature | list[Feature]]] = {
    "FloatDataFeatures": FloatDataFeatures,
    "ForcingFeatures": ForcingFeatures,
    "LatitudeFeatures": LatitudeFeatures,
    "LearnedPositionalFeatures": LearnedPositionalFeatures,
    "PressureFeatures": PressureFeatures,
    "RadiationFeatures": RadiationFeatures,
    "RandomnessFeatures": RandomnessFeatures,
    "VelocityAndPrognostics": velocity_and_prognostics,
}
"""Feature modules by the name that configurations give them; the embeddings add theirs."""
