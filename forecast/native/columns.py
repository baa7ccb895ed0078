"""Tables and the call of the kernel in columns.cc."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import Constant, constant
from forecast.native.kernel import Plain, Tables, apply, kernel

_ROWS = 8
"""kRows of kernels.h."""


class Columns(nnx.Module):
    """Convolutions along the levels with a `towers.gelu` between each two of them, in float32.

    `kernels` are [tap, input, output], `biases` [output].
    """

    def __init__(self, kernels: Sequence[np.ndarray], biases: Sequence[np.ndarray]):
        self.width: int = kernels[0].shape[0]
        self.channels: tuple[int, ...] = (kernels[0].shape[1], *(each.shape[2] for each in kernels))
        self.weights = _joined(
            [_in_rows(each).reshape(*each.shape[:2], -1, _ROWS).transpose(2, 1, 0, 3) for each in kernels]
        )
        self.biases = _joined([_in_rows(each) for each in biases])

    def __call__(self, x: jax.Array, plain: Plain, plain_tables: Tables) -> jax.Array:
        """[column, input, level] to [column, output, level]; `plain` is the same function in JAX."""
        shape = (x.shape[0], self.channels[-1], x.shape[2])
        attributes = {"channels": np.array(self.channels, np.int64), "width": np.int64(self.width)}
        call = kernel("sigmacast_columns", shape, **attributes)
        return apply(call, plain, (self.weights[...], self.biases[...]), plain_tables, x)


def _in_rows(values: np.ndarray) -> np.ndarray:
    """With zeros behind, so that the outputs, the last axis, are whole rows."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % _ROWS)])


def _joined(parts: Sequence[np.ndarray]) -> Constant:
    return constant(np.concatenate([part.ravel() for part in parts]), jnp.float32)
