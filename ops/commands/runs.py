"""`sigmacast runs` and `sigmacast runs show`: the history of runs."""

from datetime import datetime
from typing import Annotated, Any

import typer

from forecast.times import format_cycle, parse_cycle
from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, duration, moment, say, size, table
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
    since: Annotated[str | None, typer.Option(help="Only this cycle and later ones.")] = None,
    until: Annotated[str | None, typer.Option(help="Only this cycle and earlier ones.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List runs, the last created first."""
    if context.invoked_subcommand is not None:
        return
    import db
    from db import runs
    from ops import history

    filters = runs.Filters(_state(state), model, _cycle("--since", since), _cycle("--until", until))
    with history.opened(settings_from(config).database) as engine, db.reading(engine) as session:
        found = runs.search(session, filters, limit)
    if json:
        as_json([_row(run) for run in found])
    elif found:
        columns = ("RUN", "CYCLE", "STATE", "MEMBERS", "CREATED", "TOOK")
        table(columns, [_cells(run) for run in found])
    else:
        say("No runs.")


def _state(text: str | None) -> Any:
    from db.states import RunState

    try:
        return RunState(text) if text else None
    except ValueError:
        raise ConfigurationError(f"--state: expected one of {', '.join(RunState)}, got {text!r}") from None


def _cycle(option: str, text: str | None) -> datetime | None:
    try:
        return parse_cycle(text) if text else None
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from error


def _cells(run: Any) -> tuple[Any, ...]:
    members = f"{'-' if run.members_published is None else run.members_published}/{run.members_requested}"
    took = duration(run.started_at, run.ended_at)
    return run.id, format_cycle(run.init_time), run.state, members, moment(run.created_at), took


def _row(run: Any) -> dict[str, Any]:
    """All columns of a run."""
    return {column.name: getattr(run, column.name) for column in run.__table__.columns}


def _others(row: Any) -> dict[str, Any]:
    """All columns of a row that belongs to a run, but for the keys that tie it to the run."""
    return {name: value for name, value in _row(row).items() if name not in ("id", "run_id")}


@app.command("show")
def show(
    run: Annotated[str, typer.Argument(help="A run, by its name or the beginning of it, or `latest`.")],
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show one run: its stages and attempts, inputs, members lost, products and events."""
    import db
    from db import products, runs, stages
    from ops import history

    with history.opened(settings_from(config).database) as engine, db.reading(engine) as session:
        found = runs.find(session, run)
        count, total = products.count_and_bytes(session, found.id)
        document = _row(found) | {
            "stages": [_others(one) for one in stages.of_run(session, found.id)],
            "attempts": [_others(one) for one in stages.attempts(session, found.id)],
            "inputs": [_others(one) for one in products.inputs(session, found.id)],
            "member_losses": [_others(one) for one in products.losses(session, found.id)],
            "products": {
                "count": count,
                "bytes": total,
                "lead_times_hours": products.published_lead_times(session, found.id),
            },
            "events": [_others(one) for one in runs.events(session, found.id)],
        }
    as_json(document) if json else _tell(document)


def _tell(run: dict[str, Any]) -> None:
    say(f"Run        {run['id']}")
    say(f"State      {run['state']}" + (f": {run['error']}" if run["error"] else ""))
    say(f"Cycle      {format_cycle(run['init_time'])}")
    say(f"Model      {run['model_name']} ({run['model_hash'][:12]})")
    published = "-" if run["members_published"] is None else run["members_published"]
    say(f"Members    {published} published of {run['members_requested']}")
    say(f"Device     {run['device'] or '-'}")
    say(f"Software   {', '.join(f'{name} {v}' for name, v in (run['software'] or {}).items() if v)}")
    say(f"Created    {moment(run['created_at'])}, took {duration(run['started_at'], run['ended_at'])}")
    say(f"Store      {run['store_url']}")
    products = run["products"]
    leads = products["lead_times_hours"]
    reach = f", lead times {leads[0]} to {leads[-1]} h" if leads else ""
    say(f"Products   {products['count']} objects, {size(products['bytes'])}{reach}")
    _tell_rows(run)


def _tell_rows(run: dict[str, Any]) -> None:
    for one in run["inputs"]:
        say(f"Input      {one['uri']} ({size(one['bytes'])}, SHA-256 {one['sha256'][:12]})")
    for one in run["member_losses"]:
        say(f"Lost       member {one['member']} at {one['lead_time_hours']} h: {one['reason']}")
    say()
    columns = ("STAGE", "ATTEMPT", "STATE", "STARTED", "TOOK", "ERROR")
    table(columns, [_attempt_cells(one) for one in run["attempts"]])
    say()
    table(("WHEN", "EVENT", "WHAT"), [(moment(e["at"]), e["kind"], e["message"]) for e in run["events"]])


def _attempt_cells(one: dict[str, Any]) -> tuple[Any, ...]:
    took = duration(one["started_at"], one["ended_at"])
    return one["stage"], one["number"], one["state"], moment(one["started_at"]), took, one["error"]


@app.command("cancel")
def cancel(
    run: Annotated[str, typer.Argument(help="A run that has not ended well, by its name or the beginning of it.")],
    reason: Annotated[str, typer.Option(help="Why, for the run's history.")] = "",
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Cancel a run: whoever works on it is stopped, and nothing of it is published."""
    import db
    from db import leases, runs
    from ops import history
    from ops.clock import utc_now

    with history.opened(settings_from(config).database) as engine, db.writing(engine) as session:
        found = runs.find(session, run)
        leases.revoke(session, found.id, utc_now(), f"cancelled by an operator{': ' if reason else ''}{reason}")
        document = {"run": found.id, "state": "cancelled"}
    as_json(document) if json else say(f"Run {document['run']} is cancelled.")
