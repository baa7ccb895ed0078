"""From the model's state on sigma layers to fields on pressure levels (Kochkov et al. 2024, appendix D)."""

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
from forecast.physics.configuration import Site, archive_name
from forecast.physics.features import Surroundings
from forecast.physics.parameterization import modal_fields

_ORDER = ("t", "tracers", "u", "v", "z")


class Decoder(nnx.Module):
    """DimensionalLearnedPrimitiveToWeatherbenchDecoder; arguments as for `Encoder`."""

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
        outputs = prediction_layout(site, _ORDER, data_site.context.levels)
        self.correction = Correction(site, data_site, outputs, ("model", "data"))

    def __call__(self, state: State, surroundings: Surroundings) -> dict[str, jax.Array]:
        """Fields in SI units by the names of `forecast.fields`.

        Level fields are [level, longitude, latitude]; surface pressure and column water vapour, which
        follow from the sigma layers themselves, [longitude, latitude].
        """
        on_layers = self._on_layers(state)
        surface = jnp.exp(self.harmonics.to_nodal(state.log_surface_pressure))[:, 0]
        location = vertical.pressure_in_sigma(surface, np.asarray(self.pressures), self.layers)
        corrections = self.correction({"model": modal_fields(state), "data": {}}, surroundings)
        fields = {}
        for name in LEVEL_FIELDS:
            beyond = "linear" if name in ("air_temperature", "geopotential") else "constant"
            values = vertical.interpolate(on_layers[name], location, beyond)
            values += to_columns(corrections[archive_name(name)])
            fields[name] = values / nondimensional_unit(name, self.scales)
        vapor = jnp.einsum("k,kxy->xy", jnp.asarray(self.layers.thickness, float), on_layers["specific_humidity"])
        return fields | {
            "surface_air_pressure": surface / self.scales.unit("Pa"),
            "atmosphere_mass_content_of_water_vapor": surface
            * vapor
            / self.scales.gravity
            / self.scales.unit("kg m-2"),
        }

    def _on_layers(self, state: State) -> dict[str, jax.Array]:
        """Grid values [level, longitude, latitude] on the sigma layers, nondimensional."""
        grid = self.harmonics.grid
        sec_lat = jnp.asarray(1 / grid.cos_lat, float)
        wind = self.harmonics.cos_lat_velocity(state.vorticity, state.divergence)
        eastward, northward = (to_columns(self.harmonics.to_nodal(self.harmonics.clip(x))) * sec_lat for x in wind)
        tracers = {name: to_columns(self.harmonics.to_nodal(state.tracers[name])) for name in TRACERS}
        temperature = to_columns(self.harmonics.to_nodal(state.temperature_variation)) + self.reference_temperature[...]
        virtual = vertical.virtual_temperature(
            temperature, tracers["specific_humidity"], self.scales.vapor_gas_constant / self.scales.gas_constant
        )
        geopotential = vertical.hydrostatic_geopotential(
            virtual, self.surface_geopotential[...], self.layers, self.scales.gas_constant
        )
        winds = {"eastward_wind": eastward, "northward_wind": northward}
        return {"air_temperature": temperature, "geopotential": geopotential} | winds | tracers
