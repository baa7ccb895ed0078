"""Features and towers: derivatives against the spectral calculus, order of rows, convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.dycore.state import State
from forecast.physics.configuration import Context, Site, snake_case
from forecast.physics.features import Surroundings, sorted_features
from forecast.physics.parameterization import Parameterization, modal_fields
from forecast.physics.spectral_inputs import (
    D_DLAT,
    D_DLON,
    LAPLACIAN,
    OPERATORS,
    VALUE,
    Request,
    Stacks,
    StackTransform,
)
from forecast.physics.towers import VerticalConvTower, sorted_rows
from tests.forecast.physics.conftest import LAYERS, context_for


def test_each_operator_equals_the_spectral_calculus_followed_by_the_transform(context: Context, state: State) -> None:
    harmonics = context.harmonics
    stacks = Stacks.of([Request("temperature_variation", operator) for operator in OPERATORS], context.levels)
    ours = StackTransform(harmonics, stacks)(modal_fields(state))
    x = state.temperature_variation
    expected = {
        VALUE: x,
        D_DLON: harmonics.clip(harmonics.d_dlon(x)),
        D_DLAT: harmonics.clip(harmonics.cos_lat_d_dlat(x)),
        LAPLACIAN: harmonics.laplacian(x),
    }
    for operator, modal in expected.items():
        np.testing.assert_allclose(ours[operator], harmonics.to_nodal(modal), rtol=1e-4, atol=2e-5)


def test_the_wind_is_that_of_vorticity_and_divergence(context: Context, state: State) -> None:
    stacks = Stacks.of([Request("u"), Request("v")], context.levels)
    nodal = StackTransform(context.harmonics, stacks)(modal_fields(state))[VALUE]
    eastward, northward = context.harmonics.cos_lat_velocity(state.vorticity, state.divergence)
    expected = context.harmonics.to_nodal(context.harmonics.clip(jnp.concatenate([eastward, northward], axis=1)))
    np.testing.assert_allclose(nodal, expected, atol=1e-6)


def test_channels_of_a_request_lie_where_the_stack_says(context: Context) -> None:
    stacks = Stacks.of([Request("specific_humidity"), Request("u"), Request("log_surface_pressure")], context.levels)
    assert stacks.fields(VALUE) == ("u", "log_surface_pressure", "specific_humidity")
    assert list(stacks.channels(Request("specific_humidity"))) == list(range(LAYERS + 1, 2 * LAYERS + 1))


def test_a_field_that_the_state_lacks_is_named(context: Context) -> None:
    with pytest.raises(ValueError, match="features ask for ozone"):
        Stacks.of([Request("ozone")], context.levels)


def test_rows_follow_the_names_in_order_whatever_the_blocks() -> None:
    rows = sorted_rows([(("u", 2), ("CNN1D_2", 1)), (("CNN1D_10", 1), ("a", 1))])
    assert [list(row) for row in rows] == [[3, 4, 1], [0, 2]]
    with pytest.raises(ValueError, match="'u' comes from two"):
        sorted_rows([(("u", 1),), (("u", 1),)])


def test_a_tower_gives_the_same_for_blocks_and_for_sorted_features(
    parameterization: Parameterization, state: State, surroundings: Surroundings
) -> None:
    features, tower = parameterization.features, parameterization.mapping.tower
    blocks = features(modal_fields(state), surroundings)
    ordered = jnp.concatenate(list(sorted_features(blocks, features.layouts).values()), axis=-1)
    expected = tower.of_blocks([ordered], [np.arange(ordered.shape[-1])])
    np.testing.assert_allclose(parameterization.mapping(blocks), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("levels", [4, 5])
def test_vertical_convolution_sees_only_its_neighbours_and_zero_beyond_the_ends(width: int, levels: int) -> None:
    context = context_for(
        f"VerticalConvTower.channels = ()\nVerticalConvTower.kernel_shape = {width}\n"
        "VerticalConvTower.activation = @gelu\n"
    )
    tower = VerticalConvTower(Site(context, "VerticalConvTower", "", "tower"), 2, 3)
    x = jax.random.normal(jax.random.key(0), (5, 2, levels))
    padded = np.pad(x, [(0, 0), (0, 0), ((width - 1) // 2, width // 2)])
    kernel, bias = np.asarray(tower.kernels[0][...]), np.asarray(tower.biases[0][...])
    expected = sum(kernel[k].T @ padded[..., k : k + levels] for k in range(width)) + bias[:, None]
    np.testing.assert_allclose(tower(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EpdTower", "epd_tower"),
        ("NodalLandSeaIceEmbedding", "nodal_land_sea_ice_embedding"),
        ("ABCTower", "abc_tower"),
    ],
)
def test_default_names_are_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected
