"""Tables and the call of the kernel in columns.cc."""

from collections.abc import Sequence

import jax
import numpy as np
from flax import nnx

from forecast.native.kernel import Plain, Tables, apply, kernel
from forecast.native.tables import ROWS, packed, padded


class Columns(nnx.Module):
    """Convolutions along the levels with a `towers.gelu` between each two of them, in float32.

    `kernels` are [tap, input, output], `biases` [output].
    """

    def __init__(self, kernels: Sequence[np.ndarray], biases: Sequence[np.ndarray]):
        self.width: int = kernels[0].shape[0]
        self.channels: tuple[int, ...] = (kernels[0].shape[1], *(each.shape[2] for each in kernels))
        rows = [padded(each, -1, ROWS).reshape(*each.shape[:2], -1, ROWS) for each in kernels]
        self.weights = packed([each.transpose(2, 1, 0, 3) for each in rows])
        self.biases = packed([padded(each, -1, ROWS) for each in biases])

    def __call__(self, x: jax.Array, plain: Plain, plain_tables: Tables) -> jax.Array:
        """[column, input, level] to [column, output, level]; `plain` is the same function in JAX."""
        shape = (x.shape[0], self.channels[-1], x.shape[2])
        attributes = {"channels": np.array(self.channels, np.int64), "width": np.int64(self.width)}
        call = kernel("sigmacast_columns", shape, **attributes)
        return apply(call, plain, (self.weights[...], self.biases[...]), plain_tables, x)
