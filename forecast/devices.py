"""What programs run on."""

from typing import Any

Device = Any
"""One of `jax.devices()`; JAX exports its class under a name that type checkers do not follow."""
