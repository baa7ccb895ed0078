"""A call of a kernel from a JAX program, with derivatives taken of the same function in JAX."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

Tables = tuple[jax.Array, ...]
Plain = Callable[[Tables, jax.Array], jax.Array]
"""The function in JAX, from tables of its own and an array."""
Kernel = Callable[..., jax.Array]
"""The function as a kernel, from the array and the tables of the kernel."""


def kernel(target: str, shape: tuple[int, ...], **attributes: Any) -> Kernel:
    """The kernel registered as `target`, which gives float32 values of this shape."""
    call = jax.ffi.ffi_call(target, jax.ShapeDtypeStruct(shape, jnp.float32), vmap_method="sequential")
    return partial(call, **attributes)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def apply(kernel: Kernel, plain: Plain, tables: Tables, plain_tables: Tables, x: jax.Array) -> jax.Array:
    """What the kernel gives for its tables and `x`; derivatives by `plain_tables` and `x` are those of `plain`."""
    del plain, plain_tables
    return kernel(x, *tables)


@apply.defjvp
def _(
    kernel: Kernel,
    plain: Plain,
    primals: tuple[Tables, Tables, jax.Array],
    tangents: tuple[Tables, Tables, jax.Array],
) -> tuple[jax.Array, jax.Array]:
    tables, *arguments = primals
    return kernel(arguments[-1], *tables), jax.jvp(plain, tuple(arguments), tangents[1:])[1]
