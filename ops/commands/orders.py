"""`sigmacast backfill` and `sigmacast orders`: cycles that are forecast when nothing that is due waits."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, moment, say, table
from ops.errors import ConfigurationError

MOST = 20_000
"""Cycles of one command: more than thirteen years of four a day."""

app = typer.Typer(help="Cycles that were ordered.", invoke_without_command=True, no_args_is_help=False)


def backfill(
    since: Annotated[str, typer.Option("--from", help="First cycle, such as 2026-11-01T00.")],
    until: Annotated[str, typer.Option("--to", help="Last cycle, itself included.")],
    hindcast: Annotated[
        bool, typer.Option("--hindcast", help="These are hindcasts: no forecasts that anybody waited for.")
    ] = False,
    hours: Annotated[
        str | None, typer.Option(help="Only cycles at these hours, such as 0,12; default: those of daemon.cycles.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Source of the analyses, in place of the daemon's.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of an imported model, in place of the daemon's.")] = None,
    members: Annotated[int | None, typer.Option(help="Ensemble members, the control included.")] = None,
    days: Annotated[float | None, typer.Option(help="Length of the forecasts [days].")] = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Order the forecasts of past cycles: a daemon makes them when nothing that is due waits, the newest first."""
    import db
    from db import orders
    from ops import history
    from ops.clock import utc_now

    chosen = {"source.name": source, "forecast.model": model, "forecast.members": members, "forecast.days": days}
    options = {name: value for name, value in chosen.items() if value is not None}
    settings = _checked(config, options)
    cycles = _cycles(since, until, _hours(hours) or settings.daemon.cycles, utc_now())
    with history.opened(settings.database) as engine, db.writing(engine) as session:
        placed = orders.place(session, cycles, "hindcast" if hindcast else "forecast", options, utc_now())
        rows = [_row(order, None) for order in placed]
    if json:
        as_json({"placed": rows, "there_already": len(cycles) - len(rows)})
        return
    there = f"; {len(cycles) - len(rows)} were ordered before" if len(rows) < len(cycles) else ""
    say(f"{len(rows)} cycles are ordered{there}. A daemon makes them: `sigmacast orders` shows how far it is.")


def _checked(config: Path | None, options: dict[str, Any]) -> Any:
    """The settings with the order's options, which must be possible. Raises ConfigurationError."""
    return settings_from(config, **{name.replace(".", "__"): value for name, value in options.items()})


def _hours(text: str | None) -> tuple[int, ...]:
    from forecast.times import CYCLE_HOURS

    try:
        found = tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        found = (-1,)
    if not set(found) <= set(CYCLE_HOURS):
        raise ConfigurationError(f"--hours: expected some of {','.join(map(str, CYCLE_HOURS))}, got {text!r}")
    return found


def _cycles(since: str, until: str, hours: tuple[int, ...], now: datetime) -> list[datetime]:
    from ops import timetable

    first, last = _moment("--from", since), _moment("--to", until)
    if last < first:
        raise ConfigurationError(f"expected --to at or after --from, got {since} to {until}")
    if last > now:
        raise ConfigurationError(f"--to: expected a cycle that is over, got {until}; cycles to come need no order")
    cycles = timetable.cycles(hours, first - timedelta(seconds=1), last)
    if not 0 < len(cycles) <= MOST:
        raise ConfigurationError(f"expected between 1 and {MOST} cycles, {since} to {until} are {len(cycles)}")
    return cycles


def _moment(option: str, text: str) -> datetime:
    from forecast.times import parse_cycle

    try:
        return parse_cycle(text)
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from error


@app.callback()
def list_orders(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the orders that are open, the newest cycle first, with the states of their runs."""
    if context.invoked_subcommand is not None:
        return
    import db
    from db import orders
    from ops import history

    with history.opened(settings_from(config).database) as engine, db.reading(engine) as session:
        found = orders.search(session, only_open=not everything, limit=limit)
        count = orders.count_open(session)
    rows = [_row(one.order, one.state) for one in found]
    if json:
        as_json({"open": count, "orders": rows})
        return
    if rows:
        columns = ("ORDER", "CYCLE", "PURPOSE", "OPTIONS", "RUN", "STATE", "OUTCOME")
        table(columns, [_cells(row) for row in rows])
    say(f"{count} orders are open.")


def _row(order: Any, state: str | None) -> dict[str, Any]:
    names = ("id", "init_time", "purpose", "options", "ordered_at", "run_id", "ended_at", "outcome")
    return {name: getattr(order, name) for name in names} | {"run_state": state}


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    options = " ".join(f"{name}={value}" for name, value in row["options"].items())
    return (
        row["id"],
        moment(row["init_time"]),
        row["purpose"],
        options,
        row["run_id"],
        row["run_state"],
        row["outcome"],
    )


@app.command("cancel")
def cancel(
    order: Annotated[list[int] | None, typer.Argument(help="Orders, by their numbers.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Cancel orders that are open, and their runs, unless these are forecasts of cycles that came by themselves."""
    import db
    from db import orders
    from ops import history
    from ops.clock import utc_now

    if bool(order) == everything:
        raise ConfigurationError("expected the numbers of orders, or --all")
    with history.opened(settings_from(config).database) as engine, db.writing(engine) as session:
        wanted = orders.open_ids(session) if everything else order or []
        for number in wanted:
            orders.cancel(session, number, utc_now())
    as_json({"cancelled": wanted}) if json else say(f"{len(wanted)} orders are cancelled.")
