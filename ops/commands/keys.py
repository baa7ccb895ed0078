"""`sigmacast keys`: who may change things through the API."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, moment, say, table
from ops.errors import ConfigurationError, NotFound

app = typer.Typer(help="Keys of the API.", invoke_without_command=True, no_args_is_help=False)


@app.callback()
def default(context: typer.Context, json: AsJson = False, config: ConfigFile = None) -> None:
    """List the keys, as `list` does."""
    if context.invoked_subcommand is None:
        list_keys(json, config)


@app.command("list")
def list_keys(json: AsJson = False, config: ConfigFile = None) -> None:
    """List keys: what each allows, and when it was last used; their secrets are known to nobody."""
    import db
    from db import api_keys
    from ops import history

    with history.opened(settings_from(config).database) as engine, db.reading(engine) as session:
        rows = [_row(key) for key in api_keys.search(session)]
    if json:
        as_json(rows)
    elif rows:
        columns = ("ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "REVOKED")
        table(columns, [_cells(row) for row in rows])
    else:
        say("No keys.")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    times = ("created_at", "expires_at", "last_used_at", "revoked_at")
    return row["id"], row["name"], ",".join(row["scopes"]), *(moment(row[name]) for name in times)


def _row(key: Any) -> dict[str, Any]:
    from db import api_keys

    names = ("id", "name", "created_at", "expires_at", "last_used_at", "revoked_at")
    return {name: getattr(key, name) for name in names} | {"scopes": api_keys.scopes(key)}


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, or what for.")],
    scope: Annotated[list[str], typer.Option(help="What it allows: cancel, retry or order; may be repeated.")],
    days: Annotated[float | None, typer.Option(min=0, help="How long it is good [days]; default: for ever.")] = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Make a key and print it, once: it is kept as a hash only."""
    import db
    from db import api_keys
    from ops import history
    from ops.clock import utc_now
    from ops.web.keys import Scope

    if unknown := sorted(set(scope) - set(Scope)):
        raise ConfigurationError(f"--scope: expected one of {', '.join(Scope)}, got {unknown[0]!r}")
    if not 1 <= len(name) <= 200:
        raise ConfigurationError(f"expected a name of 1 to 200 letters, got {len(name)}")
    now = utc_now()
    expires = None if days is None else now + timedelta(days=days)
    with history.opened(settings_from(config).database) as engine, db.writing(engine) as session:
        key, text = api_keys.create(session, name, scope, now, expires)
    as_json(_row(key) | {"key": text}) if json else say(text)


@app.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="A key's identifier, or a name: then all keys of this name.")],
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """End keys, at once and for good."""
    import db
    from db import api_keys
    from ops import history
    from ops.clock import utc_now

    with history.opened(settings_from(config).database) as engine, db.writing(engine) as session:
        try:
            ended = api_keys.revoke(session, key, utc_now())
        except api_keys.UnknownKey as error:
            raise NotFound(str(error)) from None
    as_json({"revoked": ended}) if json else say(f"Revoked: {', '.join(ended)}")
