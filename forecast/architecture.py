"""The model that a checkpoint's configuration describes, put together part by part."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from forecast.checkpoint import gin
from forecast.checkpoint.gin import Bindings, Reference
from forecast.checkpoint.native import Checkpoint
from forecast.checkpoint.parameters import Parameters
from forecast.codec.decoder import Decoder
from forecast.codec.encoder import Encoder
from forecast.codec.levels import TRACERS, data_levels
from forecast.dycore import orography
from forecast.dycore.corrector import DrivenCore
from forecast.dycore.primitive_equations import PrimitiveEquations
from forecast.dycore.scales import Scales
from forecast.dycore.sigma import SigmaLayers
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.physics.configuration import Context, Site, UnsupportedConfiguration, archive_name, filter_factor
from forecast.physics.parameterization import Parameterization, step_site
from forecast.physics.water_budget import WaterBudget
from forecast.stochastic import random_fields
from forecast.stochastic.random_fields import RandomFields

_MODEL_PATH = "stochastic_modular_step_model"
_SPECS = "get_model_specs"
_ENCODER = "DimensionalLearnedWeatherbenchToPrimitiveEncoder"
_DECODER = "DimensionalLearnedPrimitiveToWeatherbenchDecoder"


@dataclass(frozen=True)
class Parts:
    """The parts of a `HybridModel`."""

    encoder: Encoder
    decoder: Decoder
    parameterization: Parameterization
    core: DrivenCore
    water_budget: WaterBudget
    physics_randomness: RandomFields
    encoder_randomness: RandomFields
    surface_geopotential: jax.Array
    time_step: float
    substeps: int


def build(checkpoint: Checkpoint, tower_type: Any = None) -> Parts:
    """All parts of the model in a checkpoint, its towers multiplying in a type of their own where one is given.

    Raises UnsupportedConfiguration for a component that is not implemented, ParameterMismatch unless every
    parameter has its place and every place its parameter.
    """
    parameters = Parameters(checkpoint.params)
    parts = _Builder(checkpoint, gin.parse(checkpoint.config_text), parameters, Scales(), tower_type).parts()
    parameters.check_all_taken()
    return parts


@dataclass(frozen=True)
class _Builder:
    checkpoint: Checkpoint
    bindings: Bindings
    parameters: Parameters
    scales: Scales
    tower_type: Any

    def parts(self) -> Parts:
        step = step_site(self.context)
        substeps = step.get("num_substeps", 1)
        fast = SphericalHarmonics(self.context.harmonics.grid, kernels=True)
        step = replace(step, context=replace(self.context, harmonics=fast, randomness=random_fields.layout_of(step)))
        geopotential = orography.surface_geopotential(self.base_orography, self.scales.gravity, self.context.harmonics)
        return Parts(
            encoder=Encoder(**self._codec("encoder_module", _ENCODER, geopotential)),
            decoder=Decoder(**self._codec("decoder_module", _DECODER, geopotential)),
            parameterization=Parameterization(step.context, self.time_step / substeps),
            core=self._core(step, self.time_step / substeps),
            water_budget=WaterBudget(self.context.harmonics, self.layers, self.scales, self.time_step / substeps),
            physics_randomness=self._randomness(step),
            encoder_randomness=self._randomness(self._owner("encoder_module")),
            surface_geopotential=geopotential,
            time_step=self.time_step,
            substeps=substeps,
        )

    @cached_property
    def context(self) -> Context:
        """The context of the physics: the model's own grid and sigma layers."""
        coordinates = self._coordinates(self._reference(_SPECS, "custom_coords"))
        levels = dict.fromkeys(("vorticity", "divergence", "temperature_variation"), coordinates.layers.count)
        levels |= {"log_surface_pressure": 1}
        levels |= {archive_name(name): coordinates.layers.count for name in TRACERS}
        return Context(
            bindings=self.bindings,
            parameters=self.parameters,
            harmonics=SphericalHarmonics(coordinates.grid),
            scales=self.scales,
            sigma_centers=coordinates.layers.centers,
            levels=levels,
            static=self._static(coordinates.grid),
            tower_type=self.tower_type,
        )

    @cached_property
    def layers(self) -> SigmaLayers:
        return self._coordinates(self._reference(_SPECS, "custom_coords")).layers

    @cached_property
    def time_step(self) -> float:
        """Of one call of the model, nondimensional."""
        return self.scales.quantity(self.bindings.get(_SPECS, "model_time_step"))

    @cached_property
    def reference_temperature(self) -> np.ndarray:
        """[level] in kelvin, which is the model's unit too."""
        values = np.asarray(self.bindings.get(_SPECS, "reference_temperature"), np.float64)
        return np.broadcast_to(values, (self.layers.count,))

    @cached_property
    def base_orography(self) -> jax.Array:
        """Coefficients [zonal, 1, total] of the surface height on the physics grid."""
        geopotential = self.context.static["surface_geopotential"]
        return orography.from_surface_geopotential(geopotential, self.scales.gravity, self.context.harmonics)

    def _static(self, grid: SpectralGrid) -> dict[str, np.ndarray]:
        static = self.checkpoint.static
        shape = (static.sizes["longitude"], static.sizes["latitude"])
        if shape != (grid.longitude_count, grid.latitude_count):
            raise UnsupportedConfiguration(
                f"expected static fields on the model's grid of {grid.longitude_count} x {grid.latitude_count}, "
                f"got {shape[0]} x {shape[1]}: data on another grid than the model's is not supported"
            )
        fields = {str(name): static[name].transpose("longitude", "latitude").values for name in static}
        unit = self.scales.unit("m2 s-2")
        return fields | {"surface_geopotential": fields["surface_geopotential"].astype(np.float64) * unit}

    def _reference(self, name: str, parameter: str, scope: str = "") -> Reference:
        value = self.bindings.get(name, parameter, scope)
        if not isinstance(value, Reference):
            raise UnsupportedConfiguration(f"{name}.{parameter}: expected a component such as @name, got {value!r}")
        return value

    def _coordinates(self, reference: Reference) -> "_Coordinates":
        vertical = self._reference(reference.name, "vertical", reference.scope)
        if vertical.name != "SigmaCoordinatesEquidistant":
            raise UnsupportedConfiguration(
                f"the configuration asks for {vertical.name!r}; known is SigmaCoordinatesEquidistant"
            )
        layers = SigmaLayers.equidistant(
            self.bindings.get(vertical.name, "layers", vertical.scope_within(reference.scope))
        )
        horizontal = self._reference(reference.name, "horizontal", reference.scope)
        return _Coordinates(self._grid(horizontal, horizontal.scope_within(reference.scope)), layers)

    def _grid(self, reference: Reference, scope: str) -> SpectralGrid:
        if match := re.fullmatch(r"GridTL(\d+)", reference.name):
            return SpectralGrid.linear(int(match[1]))
        if reference.name != "GridWithWavenumbers":
            raise UnsupportedConfiguration(
                f"the configuration asks for the grid {reference.name!r}; known are GridTL<n> and GridWithWavenumbers"
            )
        spacing = self.bindings.get(reference.name, "latitude_spacing", scope, "gauss")
        dealiasing = self.bindings.get(reference.name, "dealiasing", scope, "quadratic")
        if (spacing, dealiasing) != ("gauss", "quadratic"):
            raise UnsupportedConfiguration(
                f"GridWithWavenumbers: known are gauss and quadratic, got {spacing} and {dealiasing}"
            )
        return SpectralGrid.quadratic(self.bindings.get(reference.name, "longitude_wavenumbers", scope))

    def _owner(self, parameter: str) -> Site:
        """The site of the encoder or decoder, its context knowing the random fields that it has."""
        model = Site(self.context, "StochasticModularStepModel", "", _MODEL_PATH)
        site = model.child(model.reference(parameter), set())
        return replace(site, context=replace(self.context, randomness=random_fields.layout_of(site)))

    def _codec(self, parameter: str, kind: str, geopotential: jax.Array) -> dict[str, Any]:
        """What the encoder and the decoder are made from."""
        site = self._known(self._owner(parameter), kind)
        levels = np.asarray(self.checkpoint.static["level"].values, np.float64)
        return {
            "site": site,
            "data_site": replace(site, context=replace(site.context, levels=data_levels(len(levels)))),
            "levels": levels,
            "layers": self.layers,
            "surface_geopotential": geopotential,
            "reference_temperature": self.reference_temperature,
        }

    def _randomness(self, owner: Site) -> RandomFields:
        fields = random_fields.of_owner(owner, self.time_step)
        if fields is None:
            raise UnsupportedConfiguration(
                f"{owner.kind} has no random fields: expected a model of the stochastic family"
            )
        return fields

    def _core(self, step: Site, time_step: float) -> DrivenCore:
        custom = self._known(step.child(step.reference("corrector_module"), set()), "CustomCoordsCorrector")
        driven = self._known(custom.child(custom.reference("corrector_module"), set()), "DycoreWithPhysicsCorrector")
        if driven.reference("time_integrator").name != "imex_rk_sil3":
            raise UnsupportedConfiguration(f"{driven.kind}.time_integrator: known is imex_rk_sil3")
        coordinates = self._coordinates(custom.reference("custom_coords"))
        if coordinates.layers != self.layers:
            raise UnsupportedConfiguration("the dynamical core must have the sigma layers of the physics")
        harmonics = SphericalHarmonics(coordinates.grid, kernels=True)
        inner = replace(driven, context=replace(driven.context, harmonics=harmonics))
        substeps = driven.get("dycore_substeps")
        equation = self._known(
            driven.child(driven.reference("dycore_equation_module"), set()), "MoistPrimitiveEquationsWithCloudMoisture"
        )
        height = self._learned_orography(driven, equation, coordinates.grid)
        return DrivenCore(
            PrimitiveEquations(harmonics, self.layers, self.reference_temperature, height, self.scales),
            self.context.harmonics.grid,
            filter_factor(inner.within(inner.reference("filter_module")), time_step),
            time_step / substeps,
            substeps,
        )

    def _learned_orography(self, owner: Site, equation: Site, grid: SpectralGrid) -> jax.Array:
        """The surface height of the dynamical core; archives keep its correction with the corrector."""
        reference = equation.reference("orography_module")
        site = self._known(owner.child(reference, set()), "LearnedOrography")
        correction = site.take("orography", (int(grid.mask.sum()),))
        return orography.corrected(
            self.base_orography, self.context.harmonics.grid, correction, site.get("correction_scale"), grid
        )

    def _known(self, site: Site, kind: str) -> Site:
        if site.kind != kind:
            raise UnsupportedConfiguration(f"the configuration asks for {site.kind!r}; known is {kind}")
        return site


@dataclass(frozen=True)
class _Coordinates:
    grid: SpectralGrid
    layers: SigmaLayers
