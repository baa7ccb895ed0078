"""Names for stretches of work, which a profile shows; without a profile they cost nothing."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Name = Callable[[str], AbstractContextManager[object]]

_named: Name = nullcontext


def show(name: Name | None) -> None:
    """From now on, in this process, a stretch is what `name` gives for its name; None: nothing."""
    global _named
    _named = name or nullcontext


def span(name: str) -> AbstractContextManager[object]:
    """A stretch of work to be seen under this name."""
    return _named(name)
