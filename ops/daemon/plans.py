"""The plans of runs that a daemon is to make: of cycles that are due, and of cycles that were ordered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from db.schema import Order
from forecast.checkpoint import registry
from forecast.checkpoint.native import Checkpoint
from ops.config import Settings, load
from ops.errors import ConfigurationError
from ops.plan import Plan, plan

REMEMBERED = 400
"""So many plans of cycles are kept."""


@dataclass(frozen=True)
class Wanted:
    """A run to be: its plan, and the address of the store that it is published in."""

    plan: Plan
    store_url: str


class Plans:
    """Plans by the daemon's configuration, each made once.

    `config` and `options` are those that the settings come from: a worker reads them again, and an order adds to them.
    Raises ConfigurationError, UnknownModel or CheckpointError when nothing can be forecast with them.
    """

    def __init__(
        self, settings: Settings, config: Path | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        self.settings = settings
        self.config = config
        self.options = dict(options or {})
        self._checkpoints: dict[tuple[Path, str], Checkpoint] = {}
        self._made: dict[datetime, Plan] = {}
        self._store_url = _store_url(settings)
        self.model_hash = self._checkpoint(settings).sha256

    def of(self, cycle: datetime) -> Wanted:
        """The run of a cycle, as configured. Raises OperationError."""
        if cycle not in self._made:
            if len(self._made) >= REMEMBERED:
                self._made.clear()
            self._made[cycle] = plan(self.settings, self._checkpoint(self.settings), cycle)
        return Wanted(self._made[cycle], self._store_url)

    def of_order(self, order: Order) -> Wanted:
        """The run that was ordered. Raises OperationError, UnknownModel or CheckpointError."""
        if not order.options:
            return self.of(order.init_time)
        settings = load(self.config, self.with_options(order))
        made = plan(settings, self._checkpoint(settings), order.init_time)
        return Wanted(made, _store_url(settings))

    def with_options(self, order: Order) -> dict[str, Any]:
        """The options of the daemon, and those of the order before them."""
        return self.options | order.options

    def _checkpoint(self, settings: Settings) -> Checkpoint:
        key = settings.paths.models, settings.forecast.model
        if key not in self._checkpoints:
            self._checkpoints[key] = registry.find_model(*key)
        return self._checkpoints[key]


def _store_url(settings: Settings) -> str:
    try:
        return settings.store.open().url
    except ValueError as error:
        raise ConfigurationError(f"the store cannot be opened: {error}") from error
