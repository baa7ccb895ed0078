"""`sigmacast db upgrade` and `sigmacast db downgrade`: the tables of the run history."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import ConfigFile, settings_from
from ops.commands.output import say
from ops.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(help="The database of the run history.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(config: ConfigFile = None) -> None:
    """Create the tables, or bring them to the revision that this version needs."""
    from db import migrate

    with _opened(config) as (url, bound):
        before = migrate.revision(bound)
        reached = migrate.upgrade_engine(bound)
    say(f"{url} is at revision {reached}" + ("; it was there already" if before == reached else f", from {before}"))


@app.command("downgrade")
def downgrade(
    to: Annotated[str, typer.Option("--to", help="Revision that an older version needs, such as 0003.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this the command only tells.")] = False,
    config: ConfigFile = None,
) -> None:
    """Take the tables back for an older version; what that one has no place for is lost."""
    from db import migrate

    with _opened(config) as (url, bound):
        before = migrate.revision(bound)
        older = [revision for revision in migrate.revisions() if before is not None and revision < before]
        if to not in older:
            raise ConfigurationError(
                f"--to: expected a revision before {before}: {', '.join(older) or 'there is none'}"
            )
        if not yes:
            say(f"{url} would go from revision {before} to {to}; take a backup, then add --yes.")
            return
        reached = migrate.downgrade_engine(bound, to)
    say(f"{url} is at revision {reached}, from {before}")


@contextmanager
def _opened(config: Path | None) -> "Iterator[tuple[str, Engine]]":
    """The database that the configuration names, whatever its revision, and its address without the password."""
    import db
    from ops import history

    settings = settings_from(config).database
    bound = history.connected(settings)
    try:
        yield db.masked_url(settings.url.get_secret_value()), bound
    finally:
        bound.dispose()
