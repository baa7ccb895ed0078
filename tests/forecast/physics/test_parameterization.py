"""Promises of the learned tendencies, on a small model of the published kind."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from forecast.dycore.constant import Constant
from forecast.dycore.state import State
from forecast.physics.configuration import Context, UnsupportedConfiguration
from forecast.physics.features import Surroundings
from forecast.physics.parameterization import Parameterization
from tests.forecast.physics.conftest import CONFIGURATION, LAYERS, InventedParameters, context_for

Call = Callable[[Any, State, Surroundings], State]


@pytest.fixture(scope="module")
def call(parameterization: Parameterization) -> Call:
    """The parameterization as a pure function of (variables, state, surroundings), jitted."""
    definition, _ = nnx.split(parameterization)

    def pure(variables: Any, state: State, given: tuple[Any, ...]) -> State:
        return nnx.merge(definition, variables)(state, *given)

    jitted = jax.jit(pure)
    return lambda variables, state, given: jitted(variables, state, (given.randomness, given.forcing, given.phases))


@pytest.fixture(scope="module")
def variables(parameterization: Parameterization) -> Any:
    return nnx.split(parameterization)[1]


def test_tendencies_have_the_shape_of_the_state_and_leave_surface_pressure(
    call: Call, variables: Any, state: State, surroundings: Surroundings
) -> None:
    tendency = call(variables, state, surroundings)
    assert jax.tree.map(jnp.shape, tendency) == jax.tree.map(jnp.shape, state)
    assert not np.any(tendency.log_surface_pressure)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(tendency))
    assert np.any(tendency.vorticity) and np.any(tendency.tracers["specific_humidity"])


def test_the_mean_vorticity_and_divergence_never_change(
    call: Call, variables: Any, state: State, surroundings: Surroundings
) -> None:
    tendency = call(variables, state, surroundings)
    np.testing.assert_allclose(tendency.vorticity[0, :, 0], 0, atol=1e-7)
    np.testing.assert_allclose(tendency.divergence[0, :, 0], 0, atol=1e-7)


def test_coefficients_that_do_not_exist_stay_zero(
    call: Call, variables: Any, state: State, surroundings: Surroundings, context: Context
) -> None:
    missing = ~context.harmonics.grid.mask
    for leaf in jax.tree.leaves(call(variables, state, surroundings)):
        np.testing.assert_allclose(np.asarray(leaf).swapaxes(1, 2)[missing], 0, atol=1e-6)


def test_columns_in_blocks_give_what_the_whole_grid_gives(
    parameterization: Parameterization, variables: Any, call: Call, state: State, surroundings: Surroundings
) -> None:
    definition, _ = nnx.split(parameterization)
    given = (surroundings.randomness, surroundings.forcing, surroundings.phases)
    whole, blocked = nnx.merge(definition, variables), nnx.merge(definition, variables)
    whole.blocks, blocked.blocks = 1, 8
    for ours, expected in zip(*map(jax.tree.leaves, (blocked(state, *given), whole(state, *given))), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_members_under_vmap_equal_members_one_by_one(
    parameterization: Parameterization, variables: Any, call: Call, state: State, surroundings: Surroundings
) -> None:
    definition, _ = nnx.split(parameterization)
    states = jax.tree.map(lambda x: jnp.stack([x, 1.1 * x]), state)

    def member(one: State) -> State:
        given = (surroundings.randomness, surroundings.forcing, surroundings.phases)
        return nnx.merge(definition, variables)(one, *given)

    together = jax.jit(jax.vmap(member))(states)
    alone = call(variables, jax.tree.map(lambda x: x[1], states), surroundings)
    for ours, expected in zip(*map(jax.tree.leaves, (together, alone)), strict=True):
        np.testing.assert_allclose(ours[1], expected, rtol=1e-4, atol=1e-6)


def test_every_parameter_has_a_gradient_and_both_modes_agree(
    parameterization: Parameterization, state: State, surroundings: Surroundings
) -> None:
    definition, params, rest = nnx.split(parameterization, nnx.Param, ...)
    given = (surroundings.randomness, surroundings.forcing, surroundings.phases)

    def energy(params: Any) -> jax.Array:
        tendency = nnx.merge(definition, params, rest)(state, *given)
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tendency))

    gradient = jax.jit(jax.grad(energy))(params)
    assert all(np.all(np.isfinite(leaf)) and np.any(leaf) for leaf in jax.tree.leaves(gradient))
    direction = jax.tree.map(jnp.ones_like, params)
    _, forward = jax.jit(lambda p: jax.jvp(energy, (p,), (direction,)))(params)
    reverse = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(gradient))
    np.testing.assert_allclose(forward, reverse, rtol=1e-3)


def test_missing_sea_surface_temperature_spreads_over_its_column(
    call: Call, variables: Any, state: State, surroundings: Surroundings, parameterization: Parameterization
) -> None:
    """As in the published models, also over land: the analysis has to fill it."""
    sea = surroundings.forcing["sea_surface_temperature"].at[3, 4].set(jnp.nan)
    holed = Surroundings(
        surroundings.phases, surroundings.forcing | {"sea_surface_temperature": sea}, surroundings.randomness
    )
    embedding = next(iter(parameterization.features.combined.features))
    gathered = parameterization.features.gather(
        {
            name: getattr(state, name)
            for name in ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")
        }
        | state.tracers,
        holed,
    )
    missing = np.isnan(np.asarray(embedding.columns(gathered, parameterization.features.stacks))).all(axis=-1)
    assert missing[3, 4]
    assert missing.sum() == 1


def test_learned_leaves_are_parameters_and_the_rest_constants(variables: Any, context: Context) -> None:
    kinds = {type(leaf) for _, leaf in nnx.to_flat_state(variables)}
    assert kinds == {nnx.Param, Constant}
    parameters = context.parameters
    assert isinstance(parameters, InventedParameters)
    learned = jax.tree.leaves(nnx.filter_state(variables, nnx.Param))
    assert sum(leaf.size for leaf in learned) == sum(int(np.prod(shape)) for shape in parameters.shapes.values())


def test_parameters_are_asked_for_by_the_names_of_published_archives(
    parameterization: Parameterization, context: Context
) -> None:
    parameters = context.parameters
    assert isinstance(parameters, InventedParameters)
    physics = (
        "stochastic_modular_step_model/~/stochastic_physics_parameterization_step/~/div_curl_neural_parameterization"
    )
    features = f"{physics}/~/combined_features/~"
    embedding = f"{features}/embedding_surface_features/~/nodal_land_sea_ice_embedding/~/modal_to_nodal_embedding_2"
    tower = "nodal_mapping/~/epd_tower"
    rows = 2 * LAYERS + 3 + LAYERS + 1 + 2 + 4 * (6 * LAYERS + 1) + 1 + 2 + 2
    assert parameters.shapes[f"{physics}/{tower}/column_tower/~/mlp_uniform/~/linear_0|w"] == (rows, 6)
    assert parameters.shapes[f"{physics}/{tower}/column_tower_2/~/mlp_uniform/~/linear_2|b"] == (6,)
    assert parameters.shapes[f"{embedding}/{tower}/column_tower/~/mlp_uniform/~/linear_0|w"] == (4, 6)
    volume = f"{features}/embedding_volume_features/~/modal_to_nodal_embedding/nodal_volume_mapping"
    assert parameters.shapes[f"{volume}/~/vertical_conv_tower/~/conv_level_1|w"] == (3, 3, 2)
    assert parameters.shapes[f"{features}/learned_positional_features|learned_positional_features"] == (2, 32, 16)


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("@RadiationFeatures,", "@MoonFeatures,", "feature module 'MoonFeatures'; known are .*RadiationFeatures"),
        ("@DivCurlNeuralParameterization\n", "@Other\n", "physics 'Other'"),
        ("@NodalLandSeaIceEmbedding", "@LakeEmbedding", "surface 'LakeEmbedding'"),
        ("(@stability/ExponentialFilter,)", "(@stability/BoxFilter,)", "filter 'BoxFilter'"),
        ("(@ShiftAndNormalize, @SoftClip)", "(@ShiftAndNormalize, @Whiten)", "transform 'Whiten'"),
        ("MlpUniform.activation = @gelu", "MlpUniform.activation = @mish", "activation 'mish'"),
        ("tower_factory = @VerticalConvTower", "tower_factory = @Transformer", "tower 'Transformer'"),
    ],
)
def test_unknown_components_are_named_with_those_that_are_known(written: str, instead: str, message: str) -> None:
    assert written in CONFIGURATION
    with pytest.raises(UnsupportedConfiguration, match=message):
        Parameterization(context_for(CONFIGURATION.replace(written, instead)), time_step=1.0)


def test_missing_forcing_and_wrong_randomness_are_named(
    parameterization: Parameterization, state: State, surroundings: Surroundings
) -> None:
    with pytest.raises(ValueError, match="needs the forcing 'sea_ice_cover'"):
        parameterization(state, surroundings.randomness, {}, surroundings.phases)
    with pytest.raises(ValueError, match="expected 2 fields"):
        parameterization(state, None, surroundings.forcing, surroundings.phases)
