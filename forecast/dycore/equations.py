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

    def implicit_ahead(self, state: X, step: float) -> X:
        """implicit(x) at the x that an implicit step leads to, x = state + step * implicit(x)."""
        ...
