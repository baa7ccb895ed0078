"""`sigmacast runs`: the history of runs, listed."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from forecast.times import format_cycle, parse_cycle
from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, duration, moment, say, table
from ops.errors import ConfigurationError

app = typer.Typer(help="The history of runs.", invoke_without_command=True, no_args_is_help=False)


@app.callback()
def list_runs(
    context: typer.Context,
    state: Annotated[
        str | None,
        typer.Option(help="Only runs that are created, running, interrupted, published, failed or cancelled."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only runs of this model.")] = None,
    source: Annotated[str | None, typer.Option(help="Only runs from this source.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Only runs made as forecast, or as hindcast.")] = None,
    cycle: Annotated[str | None, typer.Option(help="Only this cycle.")] = None,
    since: Annotated[str | None, typer.Option(help="Only this cycle and later ones.")] = None,
    until: Annotated[str | None, typer.Option(help="Only this cycle and earlier ones.")] = None,
    created_since: Annotated[str | None, typer.Option(help="Only runs made at this time or later.")] = None,
    created_until: Annotated[str | None, typer.Option(help="Only runs made at this time or earlier.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    after: Annotated[str | None, typer.Option(help="Go on after this run, the last of the page before.")] = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List runs, the last created first."""
    if context.invoked_subcommand is not None:
        return
    import db
    from db import runs
    from ops import history

    if cycle and (since or until):
        raise ConfigurationError("--cycle: expected it alone, got --since or --until beside it")
    filters = runs.Filters(
        state=_state(state),
        model=model,
        since=_cycle("--since", since) or _cycle("--cycle", cycle),
        until=_cycle("--until", until) or _cycle("--cycle", cycle),
        source=source,
        purpose=_purpose(purpose),
        created_since=_time("--created-since", created_since),
        created_until=_time("--created-until", created_until),
    )
    with history.opened(settings_from(config).database) as engine, db.reading(engine) as session:
        last = runs.find(session, after) if after else None
        found = runs.search(session, filters, limit, last)
    as_json([row(run) for run in found]) if json else _tell(found, limit)


def _tell(found: Any, limit: int) -> None:
    if not found:
        say("No runs.")
        return
    table(("RUN", "CYCLE", "STATE", "MEMBERS", "CREATED", "TOOK"), [_cells(run) for run in found])
    if len(found) == limit:
        say(f"There may be more: --after {found[-1].id}")


def _state(text: str | None) -> Any:
    from db.states import RunState

    try:
        return RunState(text) if text else None
    except ValueError:
        raise ConfigurationError(f"--state: expected one of {', '.join(RunState)}, got {text!r}") from None


def _purpose(text: str | None) -> str | None:
    if text not in (None, "forecast", "hindcast"):
        raise ConfigurationError(f"--purpose: expected forecast or hindcast, got {text!r}")
    return text


def _cycle(option: str, text: str | None) -> datetime | None:
    try:
        return parse_cycle(text) if text else None
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from error


def _time(option: str, text: str | None) -> datetime | None:
    """A moment in ISO 8601; UTC where it has no offset."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise ConfigurationError(f"{option}: expected a time such as 2026-11-21T06:30, got {text!r}") from None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def _cells(run: Any) -> tuple[Any, ...]:
    members = f"{'-' if run.members_published is None else run.members_published}/{run.members_requested}"
    took = duration(run.started_at, run.ended_at)
    return run.id, format_cycle(run.init_time), run.state, members, moment(run.created_at), took


def row(run: Any) -> dict[str, Any]:
    """All columns of a run, or of another row."""
    return {column.name: getattr(run, column.name) for column in run.__table__.columns}
