"""`sigmacast config check` and `sigmacast config show`: what the configuration says, and whether it can be meant."""

import json as json_text
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.commands.options import AsJson, ConfigFile
from ops.commands.output import as_json, say, table
from ops.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from ops.config import Resolved
    from ops.configured import Value

app = typer.Typer(help="The configuration: whether it is right, and where its values come from.", no_args_is_help=True)


@app.command("check")
def check(json: AsJson = False, config: ConfigFile = None) -> None:
    """Read the configuration as every command does and look whether its parts fit; exit with 2 when they do not."""
    from ops import config as configuration
    from ops.configured import problems

    resolved = None
    try:
        resolved = configuration.resolve(config)
        found = list(problems(resolved.settings))
    except ConfigurationError as error:
        found = [str(error)]
    _tell_checked(resolved, found, json)
    if found:
        raise typer.Exit(ExitCode.USAGE)


def _tell_checked(resolved: "Resolved | None", found: list[str], json: bool) -> None:
    file = resolved.file if resolved else None
    if json:
        as_json({"ok": not found, "file": file, "problems": found})
        return
    for problem in found:
        say(f"WRONG  {problem}")
    if resolved and not found:
        kinds = ", ".join(sorted({origin.kind for origin in resolved.origins.values()}))
        say(f"The configuration is right: {f'{file}, ' if file else ''}{len(resolved.origins)} settings set ({kinds}).")


@app.command("show")
def show(
    changed: Annotated[bool, typer.Option("--changed", help="Leave out settings that have their default.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print settings, their values and where each comes from; secrets are masked."""
    from ops import config as configuration
    from ops.configured import values

    resolved = configuration.resolve(config)
    shown = [value for value in values(resolved) if not (changed and value.origin.kind == "default")]
    if json:
        settings = [_document(value) for value in shown]
        as_json({"file": resolved.file, "settings": settings})
    else:
        table(("SETTING", "VALUE", "FROM"), [(one.key, _plain(one.value), one.origin) for one in shown])


def _document(value: "Value") -> dict[str, Any]:
    origin = asdict(value.origin)
    return {"key": value.key, "value": value.value, "from": origin.pop("kind"), **origin}


def _plain(value: Any) -> str:
    if value is None:
        return "unset"
    return value if isinstance(value, str) else json_text.dumps(value, ensure_ascii=False)
