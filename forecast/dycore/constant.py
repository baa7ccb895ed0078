"""Arrays that never change, kept as leaves so that a compiled step takes them as arguments."""

from flax import nnx


class Constant(nnx.Variable):
    """A fixed array of a module: neither learned nor evolved, and not inlined into compiled code."""
