"""Several places with the same files: in which order to ask them, and who failed lately."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Mirror(NamedTuple):
    """A place with a copy of the files."""

    name: str
    url: str


@dataclass(frozen=True)
class Mirrors:
    """Addresses by name, best first; those that failed within `rest_seconds` are asked last.

    Who failed is kept in the JSON file `memory`, so that all processes know. It is advice: writers may
    overwrite each other, and a damaged file is an empty one.
    """

    urls: Mapping[str, str]
    memory: Path
    rest_seconds: float = 1800.0
    clock: Callable[[], float] = time.time

    def in_order(self) -> list[Mirror]:
        """The mirrors in the order in which to ask them; of those that failed, the longest ago first."""
        failures = self._failures()
        since = self.clock() - self.rest_seconds
        recent = {name: moment for name, moment in failures.items() if moment > since}
        return [Mirror(name, self.urls[name]) for name in sorted(self.urls, key=lambda name: recent.get(name, 0.0))]

    def failed(self, mirror: Mirror) -> None:
        """Note that it failed now."""
        self._write(self._failures() | {mirror.name: self.clock()})

    def worked(self, mirror: Mirror) -> None:
        """Note that it works."""
        failures = self._failures()
        if failures.pop(mirror.name, None) is not None:
            self._write(failures)

    def _failures(self) -> dict[str, float]:
        """Seconds since 1970 by name."""
        try:
            stored = json.loads(self.memory.read_text(encoding="utf-8"))
            return {name: float(stored[name]) for name in self.urls if name in stored}
        except (OSError, ValueError, TypeError):
            return {}

    def _write(self, failures: Mapping[str, float]) -> None:
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.memory.with_name(f"{self.memory.name}.{os.getpid()}.new")
        fresh.write_text(json.dumps(failures), encoding="utf-8")
        fresh.replace(self.memory)
