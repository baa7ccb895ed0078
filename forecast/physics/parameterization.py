"""The learned tendencies: features of each column, a tower, and back to spectral space."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import constant
from forecast.dycore.state import State
from forecast.physics import surface, volume  # noqa: F401  (they register their features)
from forecast.physics.configuration import Context, Layout, Site, UnsupportedConfiguration, archive_name, filter_factor
from forecast.physics.features import ColumnFeatures, Gathered, Surroundings
from forecast.physics.insolation import Phases
from forecast.physics.normalization import ColumnTransform
from forecast.physics.towers import NodalMapping

STEP_PATH = "stochastic_modular_step_model/~/stochastic_physics_parameterization_step"
"""Where archives keep the parameters of a model step."""

_STEP_KIND = "StochasticPhysicsParameterizationStep"
_COLUMNS_PER_BLOCK_ON_CPU = 8192


def step_site(context: Context) -> Site:
    """The site of the model's step in an archive of the stochastic family."""
    return Site(context, _STEP_KIND, "", STEP_PATH)


class Parameterization(nnx.Module):
    """DivCurlNeuralParameterization: tendencies of all prognostic fields but surface pressure.

    `time_step` is that of one physics call, nondimensional: the configured one over the number of
    substeps. The tower predicts the tendency of the wind, of which divergence and vorticity follow.
    Source: Kochkov et al. 2024, appendix C.
    """

    def __init__(self, context: Context, time_step: float):
        step = step_site(context)
        site = step.child(step.reference("physics_parameterization_module"), set())
        if site.kind != "DivCurlNeuralParameterization":
            raise UnsupportedConfiguration(
                f"the configuration asks for the physics {site.kind!r}; known is DivCurlNeuralParameterization"
            )
        taken: set[str] = set()
        self.harmonics = context.harmonics
        self.features = ColumnFeatures(site.child(site.reference("modal_to_nodal_features_module"), taken))
        self.outputs: Layout = _prediction_layout(site)
        mapping = site.child(site.reference("nodal_mapping_module"), taken, on_call=True)
        self.mapping = NodalMapping(mapping, self.features.layouts, self.outputs)
        self.scaling = ColumnTransform(site.within(site.reference("tendency_transform_module")), self.outputs)
        self.filter = constant(_filter(site, time_step))
        self.blocks: int = _block_count(*context.nodal_shape)

    def __call__(
        self, state: State, randomness: jax.Array | None, forcing: Mapping[str, jax.Array], phases: Phases
    ) -> State:
        """Modal tendencies, nondimensional; that of log surface pressure is zero.

        `randomness` is [longitude, field, latitude]; `forcing` holds sea_surface_temperature and
        sea_ice_area_fraction, nondimensional and finite [longitude, latitude]; `phases` those of the
        Earth's orbit and rotation at the state's time, scalars.
        """
        surroundings = Surroundings(phases, forcing, randomness)
        gathered = self.features.gather(modal_fields(state), surroundings)
        return self._to_state(state, self._map_columns(gathered))

    def _map_columns(self, gathered: Gathered) -> jax.Array:
        """Tendencies [longitude, channel, latitude], block by block of longitudes, which bounds the memory."""
        if self.blocks == 1:
            return self._columns(gathered)
        split = {key: x.reshape(self.blocks, -1, *x.shape[1:]) for key, x in gathered.items()}
        tendencies = jax.lax.map(self._columns, split)
        return tendencies.reshape(-1, *tendencies.shape[2:])

    def _columns(self, gathered: Gathered) -> jax.Array:
        predictions = self.mapping(self.features.columns(gathered))
        return self.scaling(predictions).swapaxes(1, 2)

    def _to_state(self, state: State, nodal: jax.Array) -> State:
        """Filtered modal tendencies from grid values [longitude, channel, latitude]."""
        wind = np.concatenate([np.full(count, name in ("u", "v")) for name, count in self.outputs])
        sec_lat = 1 / self.harmonics.grid.cos_lat
        metric = jnp.asarray(np.where(wind[:, None], sec_lat, 1.0), nodal.dtype)
        modal = self.harmonics.to_modal(nodal * metric)
        bounds = np.cumsum([count for _, count in self.outputs])[:-1]
        names = [name for name, _ in self.outputs]
        fields = dict(zip(names, jnp.split(modal, bounds, axis=1), strict=True))
        eastward, northward = fields["u"], fields["v"]
        tendencies = State(
            vorticity=self.harmonics.clip(self.harmonics.curl(eastward, northward)),
            divergence=self.harmonics.clip(self.harmonics.divergence(eastward, northward)),
            temperature_variation=fields["temperature_variation"],
            log_surface_pressure=jnp.zeros_like(state.log_surface_pressure),
            tracers={name: fields[archive_name(name)] for name in state.tracers},
        )
        return jax.tree.map(lambda x: x * self.filter[...], tendencies)


def modal_fields(state: State) -> dict[str, jax.Array]:
    """The modal fields of a state [zonal, level, total] by archive name, in the published order."""
    tracers = {archive_name(name): values for name, values in state.tracers.items()}
    return {
        "vorticity": state.vorticity,
        "divergence": state.divergence,
        "temperature_variation": state.temperature_variation,
        "log_surface_pressure": state.log_surface_pressure,
        **tracers,
    }


def _prediction_layout(site: Site) -> Layout:
    """The tower's outputs in the order of archives: sorted, with tracers together and the wind for its curl."""
    mask = dict(site.get("prediction_mask"))
    tracers = mask.pop("tracers", {})
    if not (mask.pop("divergence", False) and mask.pop("vorticity", False)) or mask.get("log_surface_pressure", False):
        raise UnsupportedConfiguration(
            f"{site.kind}.prediction_mask: expected divergence and vorticity but not log_surface_pressure"
        )
    levels = site.context.levels["vorticity"]
    keyed = {(name,): wanted for name, wanted in mask.items()} | {("u",): True, ("v",): True}
    keyed |= {("tracers", name): wanted for name, wanted in tracers.items()}
    return tuple((key[-1], levels) for key in sorted(keyed) if keyed[key])


def _filter(site: Site, time_step: float) -> np.ndarray:
    """Factor of each total wavenumber [total]."""
    if site.get("filter_module", None) is None:
        return np.ones_like(site.context.harmonics.grid.l, np.float64)
    return filter_factor(site.within(site.reference("filter_module")), time_step)


def _block_count(longitudes: int, latitudes: int) -> int:
    """Blocks of longitudes to work through: several on a CPU, where memory is short, else one."""
    if jax.default_backend() != "cpu":
        return 1
    wanted = max(1, longitudes * latitudes // _COLUMNS_PER_BLOCK_ON_CPU)
    return max(count for count in range(1, longitudes + 1) if longitudes % count == 0 and count <= wanted)
