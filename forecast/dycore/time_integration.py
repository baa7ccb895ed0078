"""Implicit-explicit Runge-Kutta time integration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import jax

from forecast.dycore.equations import ImExEquation

X = TypeVar("X")


@dataclass(frozen=True)
class ImExScheme:
    """A stiffly accurate scheme with an explicit first stage, as rows of coefficients.

    `explicit[i]` and `implicit[i]` weigh the tendencies of the stages before i + 1 (and, as the last
    entry of an implicit row, of that stage itself). The last stage is the step.
    """

    explicit: Sequence[Sequence[float]]
    implicit: Sequence[Sequence[float]]


SIL3 = ImExScheme(
    explicit=((1 / 3,), (1 / 6, 1 / 2), (1 / 2, -1 / 2, 1.0)),
    implicit=((1 / 6, 1 / 6), (1 / 3, 0.0, 1 / 3), (3 / 8, 0.0, 3 / 8, 1 / 4)),
)
"""Second order; third for explicit terms that are linear (Whitaker and Kar 2013, Mon. Wea. Rev. 141)."""


def imex_step(equation: ImExEquation[X], time_step: float, scheme: ImExScheme = SIL3) -> Callable[[X], X]:
    """The map that advances a state by `time_step` (nondimensional).

    A stage Y = Y* + h G(Y) takes its implicit tendency from the equation: told from the difference of Y and Y*,
    it would lack the digits that the two have in common. Explicit terms are added before implicit ones, as in the
    published models: the global mean of surface pressure follows theirs to the last digit for hours.
    """

    def step(start: X) -> X:
        stage = start
        explicit = []
        implicit = [equation.implicit(start)]
        for explicit_row, implicit_row in zip(scheme.explicit, scheme.implicit, strict=True):
            explicit.append(equation.explicit(stage))
            moved = _moved(start, time_step, explicit_row, explicit)
            guess = _moved(moved, time_step, implicit_row[:-1], implicit)
            implicit.append(equation.implicit_ahead(guess, time_step * implicit_row[-1]))
            stage = _moved(moved, time_step, implicit_row, implicit)
        return stage

    return step


def repeated(step: Callable[[X], X], count: int) -> Callable[[X], X]:
    """`step` applied `count` times."""
    if count == 1:
        return step
    return lambda state: jax.lax.fori_loop(0, count, lambda _, x: step(x), state)


def _moved(start: X, time_step: float, weights: Sequence[float], tendencies: Sequence[X]) -> X:
    """start + time_step * sum(weights * tendencies), without the terms of zero weight."""
    used = [(time_step * weight, tendency) for weight, tendency in zip(weights, tendencies, strict=True) if weight]

    def move(x: jax.Array, *parts: jax.Array) -> jax.Array:
        return x + sum(weight * part for (weight, _), part in zip(used, parts, strict=True))

    return jax.tree.map(move, start, *(tendency for _, tendency in used))
