"""The dynamical core driven by the tendencies of the physics."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.constant import constant
from forecast.dycore.equations import ImExEquation
from forecast.dycore.primitive_equations import ExpandedHumidity, PrimitiveEquations
from forecast.dycore.spectral_grid import SpectralGrid
from forecast.dycore.spherical_harmonics import change_truncation
from forecast.dycore.state import State
from forecast.dycore.time_integration import imex_step, repeated


class DrivenCore(nnx.Module):
    """Steps of the primitive equations under a constant physics tendency, on a truncation of their own.

    `filter_factor` [total] damps the coefficients after each of the `substeps` of `time_step`.
    """

    def __init__(
        self,
        equations: PrimitiveEquations,
        outer_grid: SpectralGrid,
        filter_factor: np.ndarray,
        time_step: float,
        substeps: int,
    ):
        self.equations = equations
        self.outer_grid = outer_grid
        self.filter_factor = constant(filter_factor)
        self.time_step = time_step
        self.substeps = substeps

    def __call__(self, state: State, tendency: State, *, expand_humidity: bool = False) -> State:
        """The state after all substeps; state and tendency on the truncation of `outer_grid`.

        `expand_humidity` selects `ExpandedHumidity`, for states fresh from an encoder.
        """
        grid = self.equations.harmonics.grid
        inner = jax.tree.map(lambda x: change_truncation(x, self.outer_grid, grid), state)
        drive = jax.tree.map(lambda x: change_truncation(x, self.outer_grid, grid), tendency)
        equations = ExpandedHumidity(self.equations) if expand_humidity else self.equations
        advance = imex_step(_Driven(equations, drive), self.time_step)

        def substep(x: State) -> State:
            return jax.tree.map(lambda y: y * self.filter_factor[...], advance(x))

        inner = repeated(substep, self.substeps)(inner)
        return jax.tree.map(lambda x: change_truncation(x, grid, self.outer_grid), inner)


@dataclasses.dataclass(frozen=True)
class _Driven:
    """An equation with a constant tendency added to its explicit terms."""

    equation: ImExEquation[State]
    tendency: State

    def explicit(self, state: State) -> State:
        return jax.tree.map(jnp.add, self.equation.explicit(state), self.tendency)

    def implicit(self, state: State) -> State:
        return self.equation.implicit(state)

    def implicit_ahead(self, state: State, step: float) -> State:
        return self.equation.implicit_ahead(state, step)
