"""What a time integrator needs to know of an equation, and nothing more."""

from typing import Protocol

from forecast.dycore.state import State


class ImExEquation(Protocol):
    """dx/dt = explicit(x) + implicit(x), where the stiff linear part is solved implicitly."""

    def explicit(self, state: State) -> State:
        """Tendency of the terms that are stepped explicitly."""
        ...

    def implicit(self, state: State) -> State:
        """Tendency of the linear terms that are stepped implicitly."""
        ...

    def solve(self, state: State, step: float) -> State:
        """The x of x - step * implicit(x) = state."""
        ...
