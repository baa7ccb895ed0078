"""`sigmacast ingest plan|check|fetch`: what an analysis would be made of, whether it is there, and fetching it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, moment, say, size, table
from ops.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from ingest.plan import Plan, Row
    from ingest.sources.chain import ChainSource
    from ops.config import Settings
    from ops.progress import Progress

app = typer.Typer(help="Analyses from feeds: the plan, what is published, the files.", no_args_is_help=True)

Cycle = Annotated[str | None, typer.Option(help="Cycle, such as 2026-11-21T06; default: the one that began last.")]
SourceName = Annotated[str | None, typer.Option("--source", help="gfs, ecmwf or era5; default: source.name.")]


@app.command("plan")
def plan(cycle: Cycle = None, source: SourceName = None, json: AsJson = False, config: ConfigFile = None) -> None:
    """Show what comes from where, what is derived, filled and refused, by what the feeds are declared to offer."""
    with _opened(config, source) as (_, chain, _progress):
        made = chain.plan(_moment(cycle))
    if json:
        as_json(made.document())
        return
    say(f"Analysis of {made.cycle:%Y-%m-%dT%H} from {', then '.join(made.chain)}; the sea surface is {made.forcing}")
    say()
    _tell_rows(made)
    say()
    for request in made.requests:
        say(f"{len(request.items | request.above)} fields of {request.feed} are fetched.")


def _tell_rows(made: "Plan") -> None:
    from ingest.plan import listed, merged

    def cells(row: "Row") -> tuple[Any, ...]:
        levels = f"{listed(row.levels)} hPa" if row.levels else "surface"
        source = row.source if row.cycle in (None, made.state_cycle) else f"{row.source} of {row.cycle:%Y-%m-%dT%H}"
        return row.variable, levels, row.action, source, row.method

    table(("VARIABLE", "LEVELS", "ACTION", "FROM", "HOW"), [cells(row) for row in merged(map(_shortened, made.rows))])


def _shortened(row: "Row") -> "Row":
    """The row without the neighbours that a level is filled from."""
    method, between, _ = row.method.partition(" between ")
    return replace(row, method=f"{method} between the levels given") if between and row.action == "fill" else row


@app.command("check")
def check(cycle: Cycle = None, source: SourceName = None, json: AsJson = False, config: ConfigFile = None) -> None:
    """Ask the feeds what of a cycle is published; exit code 3 unless all of it is, or a degraded start is allowed."""
    from ingest.errors import SourceError

    with _opened(config, source) as (_, chain, _progress):
        wanted = _moment(cycle)
        answers = [_answer(feed, answer) for feed, answer in chain.check(wanted)]
        verdict: dict[str, Any] = {"cycle": wanted, "feeds": answers}
        try:
            settled = chain.settled(wanted)
            verdict |= {"start": "degraded" if settled.degraded else "as planned", "degraded": settled.degraded}
        except SourceError as error:
            verdict |= {"start": "impossible", "reason": str(error)}
    as_json(verdict) if json else _tell_check(verdict)
    if verdict["start"] == "impossible":
        raise typer.Exit(ExitCode.INPUT_REFUSED)


def _answer(request: Any, answer: Any) -> dict[str, Any]:
    """What a feed said to a request, as JSON types."""
    from ingest.plan import Place, in_order, told

    said: dict[str, Any] = {"feed": request.feed, "wanted": len(request.items | request.above)}
    if isinstance(answer, Exception):
        return said | {"present": 0, "missing": None, "expected_at": None, "mirror": None, "error": str(answer)}
    missing = told(Place(*item) for item in in_order(answer.missing)) or None
    missing = missing if answer.present else "all"
    present = {"present": len(answer.present), "missing": missing, "error": None}
    return said | present | {"expected_at": answer.expected_at, "mirror": answer.mirror}


def _tell_check(verdict: dict[str, Any]) -> None:
    def cells(one: dict[str, Any]) -> tuple[Any, ...]:
        fields = f"{one['present']}/{one['wanted']}"
        return one["feed"], fields, one["mirror"], moment(one["expected_at"]), one["error"] or one["missing"]

    table(("FEED", "FIELDS", "MIRROR", "EXPECTED", "MISSING"), [cells(one) for one in verdict["feeds"]])
    say()
    say(f"A start from {verdict['cycle']:%Y-%m-%dT%H} is {verdict['start']}" + _why(verdict))


def _why(verdict: dict[str, Any]) -> str:
    reasons = [f"{one.mode}: {one.what} ({one.why})" for one in verdict.get("degraded", ())]
    return f": {verdict['reason']}" if "reason" in verdict else (": " + "; ".join(reasons) if reasons else ".")


@app.command("fetch")
def fetch(cycle: Cycle = None, source: SourceName = None, json: AsJson = False, config: ConfigFile = None) -> None:
    """Fetch a cycle's files into the cache of inputs, where a run then finds them."""
    with _opened(config, source) as (settings, chain, progress), progress:
        progress.stage("fetch")
        made = chain.settled(_moment(cycle))
        members = range(settings.forecast.members) if settings.ingest.initial_conditions == "ens" else range(1)
        files = [one for number in members for one in chain.fetch_inputs(replace(made, member=number)).described()]
    unique = list({(one["uri"], one["sha256"]): one for one in files}.values())
    if json:
        as_json({"plan": made.document(), "files": unique})
        return
    cells = [(one["source"], size(one["bytes"]), one["sha256"][:12], one["uri"]) for one in unique]
    table(("FEED", "SIZE", "SHA-256", "ADDRESS"), cells)
    say(f"\n{len(unique)} files, {size(sum(one['bytes'] for one in unique))}, in {settings.ingest.cache}")


@contextmanager
def _opened(config: Path | None, name: str | None) -> "Iterator[tuple[Settings, ChainSource, Progress]]":
    from ops import history, sources
    from ops.clock import utc_now
    from ops.progress import for_this_output

    settings = settings_from(config, source__name=name)
    progress = for_this_output()
    with history.opened(settings.database) as engine:
        yield settings, sources.chain(settings, engine, utc_now, progress.download), progress


def _moment(text: str | None) -> datetime:
    from forecast.times import parse_cycle

    if text is None:
        now = datetime.now(UTC)
        return now.replace(hour=now.hour // 6 * 6, minute=0, second=0, microsecond=0)
    try:
        return parse_cycle(text)
    except ValueError as error:
        raise ConfigurationError(f"--cycle: {error}") from error
