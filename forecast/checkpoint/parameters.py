"""Parameters handed out leaf by leaf, so that none is missed and none is left over."""

from collections.abc import Mapping

import numpy as np

from forecast.checkpoint.errors import ParameterMismatch


class Parameters:
    """The leaves of a checkpoint by name ("module/path|leaf"), each taken once by the module that owns it.

    A module asks for its leaves with the shapes that the configuration implies; `check_all_taken`
    closes the account.
    """

    def __init__(self, leaves: Mapping[str, np.ndarray]):
        self._leaves = leaves
        self._taken: set[str] = set()

    def take(self, module: str, leaf: str, shape: tuple[int, ...]) -> np.ndarray:
        """The float32 array of one leaf; ParameterMismatch when it is absent, misshapen or taken already."""
        name = f"{module}|{leaf}"
        if name not in self._leaves:
            raise ParameterMismatch(
                f"the configuration needs parameter {name!r} of shape {shape}, the checkpoint has none"
            )
        array = np.asarray(self._leaves[name], np.float32)
        if array.shape != tuple(shape):
            raise ParameterMismatch(f"parameter {name!r}: expected shape {tuple(shape)}, got {array.shape}")
        if name in self._taken:
            raise ParameterMismatch(f"parameter {name!r} is asked for by two modules")
        self._taken.add(name)
        return array

    def check_all_taken(self) -> None:
        """ParameterMismatch that names the leaves which no module has asked for."""
        unused = sorted(set(self._leaves) - self._taken)
        if unused:
            raise ParameterMismatch(f"{len(unused)} parameters fit no module of the configuration: {', '.join(unused)}")
