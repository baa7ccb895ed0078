"""Where a module stands in a checkpoint: the configuration and parameters that are its own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from forecast.checkpoint.errors import CheckpointError
from forecast.checkpoint.gin import Bindings, Reference
from forecast.checkpoint.parameters import Parameters
from forecast.dycore.filters import step_filter
from forecast.dycore.scales import Scales
from forecast.dycore.spherical_harmonics import SphericalHarmonics

Layout = tuple[tuple[str, int], ...]
"""Named groups of channels in their order: (feature name, channel count)."""

ARCHIVE_NAMES: Mapping[str, str] = {
    "air_temperature": "t",
    "eastward_wind": "u",
    "geopotential": "z",
    "land_area_fraction": "land_sea_mask",
    "mass_fraction_of_cloud_ice_in_air": "specific_cloud_ice_water_content",
    "mass_fraction_of_cloud_liquid_water_in_air": "specific_cloud_liquid_water_content",
    "northward_wind": "v",
    "sea_ice_area_fraction": "sea_ice_cover",
    "surface_geopotential": "geopotential_at_surface",
}
"""The names by which published configurations call our fields, where they differ."""


class UnsupportedConfiguration(CheckpointError):
    """The configuration names a component that is not implemented; the message lists those that are."""


def archive_name(name: str) -> str:
    """The name of one of our fields in published configurations."""
    return ARCHIVE_NAMES.get(name, name)


@dataclasses.dataclass(frozen=True)
class Context:
    """What all learned modules on one grid share.

    `levels` gives the level count of each modal input field by archive name, `static` the fields
    [longitude, latitude] that do not change, nondimensional, by the names of `forecast.fields`, and
    `randomness` the layout of the random fields, empty where there are none. Matrix products of towers are taken in
    `tower_type` and summed in the type of their input; None: in that one.
    """

    bindings: Bindings
    parameters: Parameters
    harmonics: SphericalHarmonics
    scales: Scales
    sigma_centers: np.ndarray
    levels: Mapping[str, int]
    static: Mapping[str, np.ndarray]
    randomness: Layout = ()
    tower_type: Any = None

    @property
    def nodal_shape(self) -> tuple[int, int]:
        """(longitudes, latitudes)."""
        return self.harmonics.grid.longitude_count, self.harmonics.grid.latitude_count

    def static_field(self, archive_key: str) -> np.ndarray:
        """The static field that the configuration calls `archive_key`, float64 [longitude, latitude]."""
        fields = {archive_name(name): values for name, values in self.static.items()}
        if archive_key not in fields:
            raise ValueError(f"the configuration needs the static field {archive_key!r}, got {sorted(fields)}")
        values = np.asarray(fields[archive_key], np.float64)
        if values.shape != self.nodal_shape:
            raise ValueError(f"static field {archive_key!r}: expected shape {self.nodal_shape}, got {values.shape}")
        return values


@dataclasses.dataclass(frozen=True)
class Site:
    """A module's place: its class `kind`, the configuration scope it is seen from and its path in the archive."""

    context: Context
    kind: str
    scope: str
    path: str

    def get(self, parameter: str, default: Any = ...) -> Any:
        """The value bound to a parameter of this module; MissingBinding when there is none and no default."""
        if default is ...:
            return self.context.bindings.get(self.kind, parameter, self.scope)
        return self.context.bindings.get(self.kind, parameter, self.scope, default)

    def reference(self, parameter: str) -> Reference:
        """The component bound to a parameter, such as `@advance/CombinedFeatures`."""
        return self._checked(parameter, self.get(parameter))

    def references(self, parameter: str) -> list[Reference]:
        """The components bound to a parameter that takes several."""
        value = self.get(parameter)
        return [self._checked(parameter, item) for item in (value if isinstance(value, list | tuple) else [value])]

    def _checked(self, parameter: str, value: Any) -> Reference:
        if not isinstance(value, Reference):
            raise UnsupportedConfiguration(
                f"{self.kind}.{parameter}: expected a component such as @name, got {value!r}"
            )
        return value

    def within(self, reference: Reference, path: str = "") -> Site:
        """The site of a component named here; `path` is its place in the archive where it owns parameters."""
        return Site(self.context, reference.name, reference.scope_within(self.scope), path)

    def child(self, reference: Reference, taken: set[str], *, on_call: bool = False) -> Site:
        """The site of a component that owns parameters, with the first free name among its siblings `taken`.

        Archives join the path of a module built with its parent by "/~/" and of one built when the parent
        is called (`on_call`) by "/".
        """
        site = self.within(reference)
        base = site.get("name", None) or snake_case(reference.name)
        name = next(n for n in _numbered(base) if n not in taken)
        taken.add(name)
        return dataclasses.replace(site, path=f"{self.path}{'/' if on_call else '/~/'}{name}")

    def take(self, leaf: str, shape: tuple[int, ...]) -> np.ndarray:
        """This module's parameter `leaf`; ParameterMismatch when absent or of another shape."""
        return self.context.parameters.take(self.path, leaf, shape)


def lookup(registry: Mapping[str, Callable[..., Any]], site: Site, what: str) -> Callable[..., Any]:
    """The class registered for a site's kind; UnsupportedConfiguration names it and what is known."""
    if site.kind not in registry:
        raise UnsupportedConfiguration(
            f"the configuration asks for the {what} {site.kind!r}; known are {', '.join(sorted(registry))}"
        )
    return registry[site.kind]


def snake_case(name: str) -> str:
    """CamelCase to snake_case: the default name of a component in archives."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _numbered(base: str) -> Iterable[str]:
    yield base
    count = 0
    while True:
        count += 1
        yield f"{base}_{count}"


def size(layout: Layout) -> int:
    """Number of channels in a layout."""
    return sum(count for _, count in layout)


def prefixed(layout: Layout, prefix: str) -> Layout:
    """The same layout with `prefix` before each name."""
    return tuple((prefix + name, count) for name, count in layout)


def filter_factor(site: Site, time_step: float) -> np.ndarray:
    """Product of the step filters of a SequentialStepFilter or ExponentialFilter [total], for one `time_step`."""
    if site.kind == "SequentialStepFilter":
        inner = [filter_factor(site.within(reference), time_step) for reference in site.references("filter_modules")]
        return np.prod(inner, axis=0)
    if site.kind != "ExponentialFilter":
        raise UnsupportedConfiguration(
            f"the configuration asks for the filter {site.kind!r}; known are ExponentialFilter, SequentialStepFilter"
        )
    timescale = site.context.scales.quantity(site.get("tau"))
    wavenumbers = site.context.harmonics.grid.l
    return step_filter(wavenumbers, time_step, timescale, site.get("order"), site.get("cutoff"))
