"""Arrays that never change, kept as leaves so that a compiled step takes them as arguments."""

from typing import Any

import jax
import numpy as np
from flax import nnx


class Constant(nnx.Variable):
    """A fixed array of a module: neither learned nor evolved, and not inlined into compiled code."""


def constant(values: Any, dtype: Any = float) -> Constant:
    """A constant from numbers, rounded to the precision of this process: see `rounded`."""
    return Constant(rounded(values, dtype))


def rounded(values: Any, dtype: Any = float) -> jax.Array:
    """Numbers on a device, rounded by NumPy: JAX would compile a program for every shape."""
    return jax.device_put(np.asarray(values, jax.dtypes.canonicalize_dtype(dtype)))
