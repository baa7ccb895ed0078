"""Every parameter of a checkpoint has its place in the model, and the model gets every parameter it needs."""

from collections.abc import Mapping

import numpy as np

from forecast.checkpoint.errors import ParameterMismatch

_SHOWN = 8


def account(expected: Mapping[str, tuple[int, ...]], params: Mapping[str, np.ndarray]) -> None:
    """Check `params` against the names and shapes that the model `expected`.

    Raises ParameterMismatch, listing missing and unused leaves and those of another shape.
    """
    shapes = {name: tuple(array.shape) for name, array in params.items()}
    missing = [f"{name} {tuple(shape)}" for name, shape in sorted(expected.items()) if name not in shapes]
    unused = [f"{name} {shape}" for name, shape in sorted(shapes.items()) if name not in expected]
    reshaped = [
        f"{name}: expected {tuple(expected[name])}, got {shape}"
        for name, shape in sorted(shapes.items())
        if name in expected and shape != tuple(expected[name])
    ]
    problems = [
        _listed(title, names)
        for title, names in (("missing", missing), ("unused", unused), ("of another shape", reshaped))
        if names
    ]
    if problems:
        raise ParameterMismatch(
            f"the parameters do not fit the model that their configuration describes. {' '.join(problems)} "
            "The archive is damaged, or its architecture is one that this version does not implement."
        )


def _listed(title: str, names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {title}: {'; '.join(names[:_SHOWN])}{more}."
