"""`sigmacast db upgrade`: the tables of the run history."""

import typer

from ops.commands.options import ConfigFile, settings_from
from ops.commands.output import say

app = typer.Typer(help="The database of the run history.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(config: ConfigFile = None) -> None:
    """Create the tables, or bring them to the revision that this version needs."""
    import db
    from db import migrate
    from ops import history

    settings = settings_from(config).database
    bound = history.connected(settings)
    try:
        before = migrate.revision(bound)
        reached = migrate.upgrade_engine(bound)
    finally:
        bound.dispose()
    url = db.masked_url(settings.url.get_secret_value())
    say(f"{url} is at revision {reached}" + ("; it was there already" if before == reached else f", from {before}"))
