"""A small model of the published kind: its configuration, random parameters and random inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.checkpoint import gin
from forecast.checkpoint.parameters import Parameters
from forecast.dycore.scales import Scales
from forecast.dycore.sigma import SigmaLayers
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import SphericalHarmonics
from forecast.dycore.state import State
from forecast.physics.configuration import Context
from forecast.physics.features import Surroundings
from forecast.physics.insolation import Phases
from forecast.physics.parameterization import Parameterization

LAYERS = 4
FIELDS = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure", "specific_humidity")
FEATURE_NAMES = [
    *(name + end for name in ("u", "v", *FIELDS) for end in ("", "_dlon", "_dlat", "_del2")),
    *("CNN1D_0", "CNN1D_1", "cos_latitude", "land_sea_mask", "learned_positional_features", "pressure", "radiation"),
    *("randomness", "sea_ice_cover", "sea_surface_temperature", "sin_latitude", "surface_embedding"),
]

CONFIGURATION = f"""
StochasticPhysicsParameterizationStep.physics_parameterization_module = @DivCurlNeuralParameterization
DivCurlNeuralParameterization.modal_to_nodal_features_module = @advance/CombinedFeatures
DivCurlNeuralParameterization.nodal_mapping_module = @NodalMapping
DivCurlNeuralParameterization.tendency_transform_module = @out/InverseShiftAndNormalize
DivCurlNeuralParameterization.filter_module = @ml/SequentialStepFilter
DivCurlNeuralParameterization.prediction_mask = {{
    'divergence': True, 'log_surface_pressure': False, 'sim_time': False, 'temperature_variation': True,
    'tracers': {{'specific_humidity': True}}, 'vorticity': True}}
ml/SequentialStepFilter.filter_modules = (@stability/ExponentialFilter,)
stability/ExponentialFilter.tau = '4 minutes'
stability/ExponentialFilter.order = 10
stability/ExponentialFilter.cutoff = 0.4
out/InverseShiftAndNormalize.shifts = {{
    'temperature_variation': 0.0, 'tracers': {{'specific_humidity': 0.0}}, 'u': 0.0, 'v': 0.0}}
out/InverseShiftAndNormalize.scales = {{
    'temperature_variation': 30.0, 'tracers': {{'specific_humidity': 0.005}}, 'u': 0.05, 'v': 0.05}}
out/InverseShiftAndNormalize.global_scale = 0.02
advance/CombinedFeatures.feature_modules = (
    @EmbeddingSurfaceFeatures, @EmbeddingVolumeFeatures, @PressureFeatures, @RadiationFeatures, @LatitudeFeatures,
    @advance/VelocityAndPrognostics, @FloatDataFeatures, @LearnedPositionalFeatures, @RandomnessFeatures)
advance/CombinedFeatures.features_transform_module = @advance/SequentialTransform
advance/SequentialTransform.transform_modules = (@ShiftAndNormalize, @SoftClip)
ShiftAndNormalize.shifts = {dict.fromkeys(FEATURE_NAMES, 0.1)}
ShiftAndNormalize.scales = {dict.fromkeys(FEATURE_NAMES, 2.0)}
SoftClip.max_value = 16
advance/VelocityAndPrognostics.compute_gradients_module = @ToModalDiffOperators
advance/EmbeddingSurfaceFeatures.embedding_module = @NodalLandSeaIceEmbedding
advance/EmbeddingSurfaceFeatures.feature_name = 'surface_embedding'
advance/EmbeddingSurfaceFeatures.output_size = 3
NodalLandSeaIceEmbedding.land_embedding = @land/ModalToNodalEmbedding
NodalLandSeaIceEmbedding.sea_embedding = @sea/ModalToNodalEmbedding
NodalLandSeaIceEmbedding.sea_ice_embedding = @ice/ModalToNodalEmbedding
ModalToNodalEmbedding.nodal_mapping_module = @NodalMapping
land/ModalToNodalEmbedding.modal_to_nodal_features_module = @land/CombinedFeatures
sea/ModalToNodalEmbedding.modal_to_nodal_features_module = @sea/CombinedFeatures
ice/ModalToNodalEmbedding.modal_to_nodal_features_module = @ice/CombinedFeatures
CombinedFeatures.features_transform_module = @ShiftAndNormalize
land/CombinedFeatures.feature_modules = (@surface/VelocityAndPrognostics,)
sea/CombinedFeatures.feature_modules = (@sea/ForcingFeatures,)
ice/CombinedFeatures.feature_modules = (@surface/VelocityAndPrognostics, @ice/ForcingFeatures)
surface/VelocityAndPrognostics.fields_to_include = ['temperature_variation']
surface/VelocityAndPrognostics.features_transform_module = @TakeSurfaceAdjacentSigmaLevel
sea/ForcingFeatures.forcing_to_include = ('sea_surface_temperature',)
ice/ForcingFeatures.forcing_to_include = ('sea_ice_cover',)
advance/EmbeddingVolumeFeatures.embedding_module = @volume/ModalToNodalEmbedding
advance/EmbeddingVolumeFeatures.feature_name = 'CNN1D'
advance/EmbeddingVolumeFeatures.output_size = 2
volume/ModalToNodalEmbedding.modal_to_nodal_features_module = @volume/CombinedFeatures
volume/ModalToNodalEmbedding.nodal_mapping_module = @NodalVolumeMapping
volume/CombinedFeatures.feature_modules = (@volume/VelocityAndPrognostics, @PressureFeatures)
volume/VelocityAndPrognostics.fields_to_include = ['temperature_variation', 'specific_humidity']
NodalVolumeMapping.tower_factory = @VerticalConvTower
VerticalConvTower.channels = (3,)
VerticalConvTower.kernel_shape = 3
VerticalConvTower.activation = @gelu
FloatDataFeatures.covariate_keys = ('land_sea_mask',)
LearnedPositionalFeatures.latent_size = 2
NodalMapping.tower_factory = @EpdTower
EpdTower.encode_tower_factory = @encode/ColumnTower
EpdTower.process_tower_factory = @process/ColumnTower
EpdTower.decode_tower_factory = @encode/ColumnTower
EpdTower.latent_size = 6
EpdTower.num_process_blocks = 2
encode/ColumnTower.column_net_factory = @encode/MlpUniform
process/ColumnTower.column_net_factory = @process/MlpUniform
MlpUniform.activation = @gelu
MlpUniform.num_hidden_units = 5
encode/MlpUniform.num_hidden_layers = 0
process/MlpUniform.num_hidden_layers = 2
"""


class InventedParameters(Parameters):
    """Parameters of whatever shape is asked for, the same for the same name."""

    def __init__(self) -> None:
        super().__init__({})
        self.shapes: dict[str, tuple[int, ...]] = {}

    def take(self, module: str, leaf: str, shape: tuple[int, ...]) -> np.ndarray:
        name = f"{module}|{leaf}"
        assert name not in self.shapes, f"{name} is asked for twice"
        self.shapes[name] = tuple(shape)
        scale = 1 / np.sqrt(np.prod(shape[:-1])) if leaf == "w" else 0.1
        return np.asarray(scale * np.random.default_rng(len(self.shapes)).normal(size=shape), np.float32)


def context_for(configuration: str) -> Context:
    """The small model's context on the TL15 grid (32 x 16)."""
    harmonics = SphericalHarmonics(SpectralGrid.linear(15))
    longitudes, latitudes = harmonics.grid.longitude_count, harmonics.grid.latitude_count
    return Context(
        bindings=gin.parse(configuration),
        parameters=InventedParameters(),
        harmonics=harmonics,
        scales=Scales(),
        sigma_centers=np.asarray(SigmaLayers.equidistant(LAYERS).centers),
        levels=dict.fromkeys(FIELDS, LAYERS) | {"log_surface_pressure": 1},
        static={"land_area_fraction": np.random.default_rng(2).uniform(size=(longitudes, latitudes)).round(1)},
        randomness=(("randomness", 2),),
    )


@pytest.fixture(scope="module")
def context() -> Context:
    return context_for(CONFIGURATION)


@pytest.fixture(scope="module")
def parameterization(context: Context) -> Parameterization:
    return Parameterization(context, time_step=context.scales.quantity("1 hour"))


@pytest.fixture(scope="module")
def state(context: Context) -> State:
    """A smooth random state."""
    grid = context.harmonics.grid
    keys = iter(jax.random.split(jax.random.key(0), len(FIELDS)))
    decay = jnp.asarray(grid.mask / (1.0 + grid.l) ** 2, jnp.float32)[:, None]

    def field(levels: int) -> jax.Array:
        return decay * jax.random.normal(next(keys), (grid.zonal_count, levels, grid.total_wavenumbers))

    wind_and_temperature = [field(LAYERS) for _ in range(3)]
    return State(*wind_and_temperature, field(1), {"specific_humidity": field(LAYERS)})


@pytest.fixture(scope="module")
def surroundings(context: Context) -> Surroundings:
    longitudes, latitudes = context.nodal_shape
    sea = 290 + jax.random.normal(jax.random.key(1), (longitudes, latitudes))
    ice = jax.random.uniform(jax.random.key(2), (longitudes, latitudes))
    randomness = jax.random.normal(jax.random.key(3), (longitudes, 2, latitudes))
    forcing = {"sea_surface_temperature": sea / 300, "sea_ice_area_fraction": ice}
    return Surroundings(Phases(jnp.float32(1.0), jnp.float32(2.0)), forcing, randomness)
