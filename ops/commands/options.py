"""Options that several commands have, and the settings they lead to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ops.config import Settings

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file (TOML); default: $SIGMACAST_CONFIG, then ./sigmacast.toml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings_from(config: Path | None, **options: Any) -> "Settings":
    """The configuration, with options that were given; "__" in a name stands for a dot. Logging follows it."""
    from ops import log
    from ops.config import load

    settings = load(config, {name.replace("__", "."): value for name, value in options.items()})
    log.configure(settings.log, log.secrets_of(settings))
    return settings
