"""What kind of mishap an error is, as far as it matters to what is tried next."""

import sys
from collections.abc import Iterator
from enum import Enum, auto

import db

_OF_THE_COMPILER = frozenset({"XlaRuntimeError", "JaxRuntimeError"})
"""What JAX raises; known by name, since nothing here may load JAX."""

_OF_A_LOST_DEVICE = (
    "CUDA_ERROR_",
    "CUDNN_STATUS_",
    "CUBLAS_STATUS_",
    "NCCL",
    "hipError",
    "device is lost",
    "no supported devices",
    "Unable to initialize backend",
)
_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "CUDA_ERROR_OUT_OF_MEMORY", "Out of memory", "out of memory")

_PASSING: tuple[tuple[str, str], ...] = (
    ("ingest.errors", "Busy"),
    ("ingest.errors", "Broken"),
    ("publish.stores.base", "StoreUnavailable"),
    ("publish.stores.base", "ObjectDamaged"),
)
"""Errors of the rooms after which the same may go well a little later; a module that nobody loaded raised nothing."""


class Mishap(Enum):
    """What to do: take a smaller batch, another device, try again soon, or tell people."""

    MEMORY = auto()
    DEVICE = auto()
    PASSING = auto()
    LASTING = auto()


def of(error: BaseException) -> Mishap:
    """The kind of an error, or of what it was raised from."""
    kinds = [_of(one) for one in _chain(error)]
    return next((kind for kind in kinds if kind is not Mishap.LASTING), Mishap.LASTING)


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__


def _of(error: BaseException) -> Mishap:
    if isinstance(error, MemoryError):
        return Mishap.MEMORY
    if _OF_THE_COMPILER & {kind.__name__ for kind in type(error).__mro__}:
        return _of_the_compiler(str(error))
    if isinstance(error, ConnectionError | TimeoutError) or db.is_away(error):
        return Mishap.PASSING
    passing = (getattr(sys.modules.get(module), name, None) for module, name in _PASSING)
    return Mishap.PASSING if isinstance(error, tuple(kind for kind in passing if kind)) else Mishap.LASTING


def _of_the_compiler(text: str) -> Mishap:
    if any(mark in text for mark in _OUT_OF_MEMORY):
        return Mishap.MEMORY
    return Mishap.DEVICE if any(mark in text for mark in _OF_A_LOST_DEVICE) else Mishap.LASTING
