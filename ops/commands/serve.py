"""`sigmacast serve`: the HTTP API and the dashboard, without a daemon."""

from typing import Annotated

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, say


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="TCP port to listen on.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes that answer requests.")] = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Serve the API and the dashboard until SIGTERM or Ctrl-C; requests under way are answered first."""
    from ops import history
    from ops.web import server

    settings = settings_from(config, web__host=host, web__port=port, web__processes=processes)
    with history.opened(settings.database):
        listener = server.listening(settings.web)
    address = server.url(settings.web)
    as_json({"url": address}) if json else say(f"Serving on {address}")
    server.run(settings, listener)
