"""What a time integrator needs to know of an equation, and nothing more."""

from typing import Protocol, TypeVar

X = TypeVar("X")


class ImExEquation(Protocol[X]):
    """dx/dt = explicit(x) + implicit(x), where the stiff linear part is solved implicitly; x is any pytree."""

    def explicit(self, state: X) -> X:
        """Tendency of the terms that are stepped explicitly."""
        ...

    def implicit(self, state: X) -> X:
        """Tendency of the linear terms that are stepped implicitly."""
        ...

    def solve(self, state: X, step: float) -> X:
        """The x of x - step * implicit(x) = state."""
        ...
