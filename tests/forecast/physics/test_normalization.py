"""The scaling of channels: each published transform, their composition and the soft clip."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.physics.configuration import Layout, Site
from forecast.physics.normalization import ColumnTransform, soft_clip
from tests.forecast.physics.conftest import LAYERS, context_for

LAYOUT: Layout = (("a", LAYERS), ("b", 1))
CONFIGURATION = """
ShiftAndNormalize.shifts = {'a': 1.0, 'b': 2.0}
ShiftAndNormalize.scales = {'a': 4.0, 'b': 5.0}
half/ShiftAndNormalize.global_scale = 0.5
InverseShiftAndNormalize.shifts = {'a': 1.0, 'tracers': {'b': 2.0}}
InverseShiftAndNormalize.scales = {'a': 4.0, 'tracers': {'b': 5.0}}
LevelScale.scales = [1.0, 2.0, 3.0, 4.0]
LevelScale.keys_to_scale = ['a']
InverseLevelScale.scales = [1.0, 2.0, 3.0, 4.0]
InverseLevelScale.keys_to_scale = ['a']
TruncateSigmaLevels.sigma_ranges = {'a': (0.3, 0.8)}
SoftClip.max_value = 16
SoftClip.hinge_softness = 1.0
both/SequentialTransform.transform_modules = (@ShiftAndNormalize, @InverseLevelScale, @LevelScale,
    @InverseShiftAndNormalize)
late/SequentialTransform.transform_modules = (@SoftClip, @ShiftAndNormalize)
"""


def transform(kind: str, scope: str = "", layout: Layout = LAYOUT) -> ColumnTransform:
    return ColumnTransform(Site(context_for(CONFIGURATION), kind, scope, ""), layout)


@pytest.fixture
def x() -> jax.Array:
    return jax.random.normal(jax.random.key(0), (3, 2, LAYERS + 1)) * 10


def test_shift_and_normalize_centres_and_scales_each_feature(x: jax.Array) -> None:
    y = transform("ShiftAndNormalize")(x)
    np.testing.assert_allclose(y[..., :LAYERS], (x[..., :LAYERS] - 1) / 4, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y[..., LAYERS:], (x[..., LAYERS:] - 2) / 5, rtol=1e-5, atol=1e-6)
    half = transform("ShiftAndNormalize", "half")(x)
    np.testing.assert_allclose(half, 2 * y, rtol=1e-5, atol=1e-6)


def test_level_scale_multiplies_each_level_of_the_named_features(x: jax.Array) -> None:
    y = transform("LevelScale")(x)
    np.testing.assert_allclose(y, x * np.array([1, 2, 3, 4, 1]), rtol=1e-6)


def test_each_transform_undoes_its_inverse(x: jax.Array) -> None:
    np.testing.assert_allclose(transform("SequentialTransform", "both")(x), x, rtol=1e-5, atol=1e-5)


def test_truncation_keeps_the_levels_in_range_and_says_so(x: jax.Array) -> None:
    truncation = transform("TruncateSigmaLevels")
    assert truncation.layout == (("a", 2), ("b", 1))
    np.testing.assert_array_equal(truncation(x), x[..., [1, 2, 4]])


def test_features_without_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="no shift or scale for c"):
        transform("ShiftAndNormalize", layout=(("a", 1), ("c", 1)))


def test_level_scales_must_fit_the_levels() -> None:
    with pytest.raises(ValueError, match="4 scales, 'a' 2 levels"):
        transform("LevelScale", layout=(("a", 2),))


def test_scaling_after_the_soft_clip_is_refused() -> None:
    with pytest.raises(ValueError, match="SoftClip to be the last"):
        transform("SequentialTransform", "late")


def composed_clip(x: np.ndarray, bound: float, hinge: float) -> np.ndarray:
    """The published form, in double precision."""
    softplus = lambda y: hinge * np.logaddexp(y / hinge, 0.0)  # noqa: E731
    return -softplus(2 * bound - softplus(x + bound)) * 2 * bound / softplus(2 * bound) + bound


@pytest.mark.parametrize(("bound", "hinge"), [(16.0, 1.0), (4.0, 0.5), (2.0, 1.0)])
def test_soft_clip_equals_the_published_composition(bound: float, hinge: float) -> None:
    x = np.linspace(-4 * bound, 4 * bound, 20_001)
    tolerance = 2e-6 if bound == 16 else 3e-3 if bound / hinge == 8 else 1e-6
    np.testing.assert_allclose(
        soft_clip(jnp.asarray(x, jnp.float32), bound, hinge), composed_clip(x, bound, hinge), atol=tolerance
    )


def test_soft_clip_is_smooth_at_zero_and_passes_nan() -> None:
    slope = jax.vmap(jax.grad(lambda x: soft_clip(x, 16.0)))(jnp.array([-1e-3, 0.0, 1e-3, 40.0]))
    np.testing.assert_allclose(slope, [1, 1, 1, 0], atol=1e-5)
    assert np.isnan(soft_clip(jnp.asarray(np.nan), 16.0))


def test_soft_clip_needs_positive_numbers() -> None:
    with pytest.raises(ValueError, match="positive max_value and hinge"):
        soft_clip(jnp.zeros(()), -1.0)
