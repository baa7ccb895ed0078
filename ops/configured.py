"""What can be said of a configuration without asking anybody: whether its parts fit, and where its values come from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

import db
from ops import sources
from ops.config import Resolved, Settings, known_keys
from ops.errors import ConfigurationError, OperationError
from ops.layers import Origin
from ops.plan import specification

ANY_CYCLE = datetime(2026, 1, 1, tzinfo=UTC)
HIDDEN = "***"


@dataclass(frozen=True)
class Value:
    """A setting as it may be shown: no secret, no password."""

    key: str
    value: Any
    origin: Origin


def values(resolved: Resolved) -> Iterator[Value]:
    """Every setting with its value and where that comes from; secrets are masked."""
    for key in known_keys():
        section, _, name = key.partition(".")
        yield Value(key, _shown(getattr(getattr(resolved.settings, section), name)), resolved.origin(key))


def _shown(value: Any) -> Any:
    """The value in JSON's terms, without secrets; of a secret that is a database's address, all but the password."""
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return db.masked_url(text) if text.startswith(("sqlite:", "postgresql")) else HIDDEN
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    if hasattr(value, "model_dump"):
        return _shown(value.model_dump(mode="json"))
    return value if value is None or isinstance(value, bool | int | float) else db.masked_url(str(value))


def problems(settings: Settings) -> Iterator[str]:
    """What does not fit together or is not there, each with what was expected; asks no server and writes nothing."""
    for check in CHECKS:
        try:
            check(settings)
        except (OperationError, db.DatabaseError, ValueError) as error:
            yield f"{check.__name__.strip('_')}: {db.masked_url(str(error))}"


def _database(settings: Settings) -> None:
    db.require_url(settings.database.url.get_secret_value())


def _store(settings: Settings) -> None:
    settings.store.open()


def _source(settings: Settings) -> None:
    if sources.is_chain(settings):
        sources.feed_names(settings)
    else:
        sources.without_feeds(settings)
    climatology = settings.ingest.climatology
    if climatology is not None and not climatology.is_file():
        raise ConfigurationError(f"ingest.climatology: expected a file at {climatology}, there is none")


def _forecast(settings: Settings) -> None:
    specification(settings, "", ANY_CYCLE)


def _signing(settings: Settings) -> None:
    settings.signing.signer()


def _notify(settings: Settings) -> None:
    settings.notify.webhook()


CHECKS: tuple[Callable[[Settings], None], ...] = (_database, _store, _source, _forecast, _signing, _notify)
