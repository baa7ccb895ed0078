"""Tables of kernels in C++: laid out as they are read."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from forecast.dycore.constant import Constant, constant

LANES = 16
ROWS = 8
"""kLanes and kRows of kernels.h."""


def packed(parts: Sequence[np.ndarray]) -> Constant:
    """The parts one behind another, in float32, as a kernel reads them."""
    return constant(np.concatenate([part.ravel() for part in parts]), jnp.float32)


def padded(table: np.ndarray, axis: int, multiple: int) -> np.ndarray:
    """The table with zeros behind, so that the axis is a multiple."""
    widths = [(0, 0)] * table.ndim
    widths[axis] = (0, -table.shape[axis] % multiple)
    return np.pad(table, widths)
