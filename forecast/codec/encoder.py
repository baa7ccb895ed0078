"""From an analysis on pressure levels to the model's state on sigma layers (Kochkov et al. 2024, appendix D)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.codec import vertical
from forecast.codec.correction import Correction
from forecast.codec.levels import TRACERS, nondimensional_pressures, nondimensional_unit, prediction_layout, to_columns
from forecast.dycore.constant import Constant, constant
from forecast.dycore.sigma import SigmaLayers
from forecast.dycore.state import State
from forecast.fields import LEVEL_FIELDS
from forecast.physics.configuration import Site, UnsupportedConfiguration, archive_name
from forecast.physics.features import Surroundings
from forecast.physics.parameterization import modal_fields

_ORDER = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure", "tracers")


class Encoder(nnx.Module):
    """DimensionalLearnedWeatherbenchToPrimitiveEncoder.

    `levels` are the pressures of the data [hPa], top first; `surface_geopotential` [longitude, latitude]
    and `reference_temperature` [level] are nondimensional. `data_site` is the site with the data's levels.
    """

    def __init__(
        self,
        site: Site,
        data_site: Site,
        levels: np.ndarray,
        layers: SigmaLayers,
        surface_geopotential: jax.Array,
        reference_temperature: np.ndarray,
    ):
        context = site.context
        self.harmonics = context.harmonics
        self.layers = layers
        self.scales = context.scales
        self.pressures = nondimensional_pressures(levels, context.scales)
        self.surface_geopotential = Constant(surface_geopotential)
        self.reference_temperature = constant(reference_temperature[:, None, None])
        outputs = prediction_layout(site, _ORDER, context.levels)
        self.correction = Correction(site, data_site, outputs, ("data", "model"))
        self.clipped: int = _clipped_wavenumbers(site)

    def __call__(self, analysis: Mapping[str, jax.Array], surroundings: Surroundings) -> State:
        """The state of an analysis [level, longitude, latitude] in SI units by the names of `forecast.fields`."""
        data = {
            name: jnp.asarray(analysis[name], float) * nondimensional_unit(name, self.scales) for name in LEVEL_FIELDS
        }
        state = self._interpolated(data)
        modal = {
            "data": {archive_name(name): self.harmonics.to_modal(to_columns(x)) for name, x in data.items()},
            "model": modal_fields(state),
        }
        corrections = self.correction(modal, surroundings)
        corrected = {
            name: self.harmonics.clip(x + self.harmonics.to_modal(corrections[name]), self.clipped)
            for name, x in modal["model"].items()
        }
        tracers = {name: corrected.pop(archive_name(name)) for name in TRACERS}
        return State(**corrected, tracers=tracers)

    def _interpolated(self, data: Mapping[str, jax.Array]) -> State:
        """The state by interpolation alone."""
        pressures = np.asarray(self.pressures)
        surface = vertical.surface_pressure(data["geopotential"], self.surface_geopotential[...], pressures)
        location = vertical.sigma_in_pressure(surface, pressures, self.layers)

        def on_layers(name: str) -> jax.Array:
            return vertical.interpolate(data[name], location, "constant")

        sec_lat = jnp.asarray(1 / self.harmonics.grid.cos_lat, float)
        eastward, northward = (
            self.harmonics.to_modal(to_columns(on_layers(name) * sec_lat))
            for name in ("eastward_wind", "northward_wind")
        )
        temperature = on_layers("air_temperature") - self.reference_temperature[...]
        return State(
            vorticity=self.harmonics.clip(self.harmonics.curl(eastward, northward)),
            divergence=self.harmonics.clip(self.harmonics.divergence(eastward, northward)),
            temperature_variation=self.harmonics.to_modal(to_columns(temperature)),
            log_surface_pressure=self.harmonics.to_modal(jnp.log(surface)[:, None]),
            tracers={name: self.harmonics.to_modal(to_columns(on_layers(name))) for name in TRACERS},
        )


def _clipped_wavenumbers(site: Site) -> int:
    """How many of the highest total wavenumbers the configured transform sets to zero."""
    transform = site.within(site.reference("transform_module"))
    steps = [transform.within(step) for step in transform.references("transforms")]
    if transform.kind != "EncoderCombinedTransform" or [step.kind for step in steps] != ["InputClipTransform"]:
        raise UnsupportedConfiguration(
            f"{site.kind}.transform_module: expected an EncoderCombinedTransform of one InputClipTransform, "
            f"got {transform.kind} of {[step.kind for step in steps]}"
        )
    return steps[0].get("wavenumbers_to_clip")
