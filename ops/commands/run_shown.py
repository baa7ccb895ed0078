"""`sigmacast runs show`: everything on record of one run."""

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from forecast.times import format_cycle
from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, duration, moment, say, size, table
from ops.commands.runs import row

SECONDS_BETWEEN_LOOKS = 1.0


def show(
    run: Annotated[str, typer.Argument(help="A run, by its name or the beginning of it, or `latest`.")],
    log: Annotated[int, typer.Option(min=0, help="So many last lines of the worker's log.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on printing the log until the worker ends.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show one run: what it did when, what it was made of, what came out, what it used, and its log."""
    from ops import history
    from ops.clock import utc_now

    with history.opened(settings_from(config).database) as engine:
        document = _document(engine, run, log)
        if json:
            as_json(document)
            return
        _tell(document, utc_now())
        if log or follow:
            _tell_log(document["log"])
        if follow:
            _follow(engine, document)


def _document(engine: Any, name: str, log: int) -> dict[str, Any]:
    import db
    from db import products, runs, stages, workers

    with db.reading(engine) as session:
        found = runs.find(session, name)
        noted = [_others(one) for one in workers.of_run(session, found.id)]
        return row(found) | {
            "stages": [_others(one) for one in stages.of_run(session, found.id)],
            "attempts": [_others(one) for one in stages.attempts(session, found.id)],
            "inputs": [_others(one) for one in products.inputs(session, found.id)],
            "member_losses": [_others(one) for one in products.losses(session, found.id)],
            "products": _products(session, found.id),
            "workers": noted,
            "estimate": _estimate(session, found),
            "events": [_others(one) for one in runs.events(session, found.id)],
            "log": _log(noted, log),
        }


def _others(one: Any) -> dict[str, Any]:
    """All columns of a row that belongs to a run, but for the keys that tie it to the run."""
    return {name: value for name, value in row(one).items() if name not in ("id", "run_id")}


def _products(session: Any, run_id: str) -> dict[str, Any]:
    from db import products

    count, total = products.count_and_bytes(session, run_id)
    return {
        "count": count,
        "bytes": total,
        "lead_times_hours": products.published_lead_times(session, run_id),
        "kinds": {kind: {"count": many, "bytes": big} for kind, many, big in products.by_kind(session, run_id)},
    }


def _estimate(session: Any, run: Any) -> Any:
    """What was to be expected of the run, by those that ended before it was made."""
    from ops.estimate import Wanted, estimate

    if run.device is None:
        return None
    return estimate(session, Wanted.of(run.model_hash, run.spec, run.device), before=run.created_at)


def _log(noted: list[dict[str, Any]], lines: int) -> dict[str, Any] | None:
    """The last lines of the last worker's log, where it is on this machine; None when no log is on record."""
    kept = [one for one in noted if one["log_path"]]
    if not kept:
        return None
    path = Path(kept[-1]["log_path"])
    there = path.is_file()
    last = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:] if there and lines else []
    return {"host": kept[-1]["host"], "path": str(path), "here": there, "lines": last}


def _tell(run: dict[str, Any], now: datetime) -> None:
    say(f"Run        {run['id']}" + (" (hindcast)" if run["purpose"] == "hindcast" else ""))
    say(f"State      {run['state']}" + (f": {run['error']}" if run["error"] else ""))
    if run["next_try_at"] and run["state"] != "published":
        say(f"Next try   {moment(run['next_try_at'])}, {run['failures']} failed before")
    say(f"Cycle      {format_cycle(run['init_time'])}")
    say(f"Model      {run['model_name']} ({run['model_hash'][:12]})")
    say(f"Plan       {_plan(run['spec'])}")
    published = "-" if run["members_published"] is None else run["members_published"]
    say(f"Members    {published} published of {run['members_requested']}")
    say(f"Device     {run['device'] or '-'}")
    say(f"Software   {', '.join(f'{name} {v}' for name, v in (run['software'] or {}).items() if v)}")
    say(f"Created    {moment(run['created_at'])}, took {duration(run['started_at'], run['ended_at'])}")
    if run["estimate"]:
        say(f"Expected   {_expected(run['estimate'])}")
    say(f"Store      {run['store_url']}")
    _tell_progress(run)
    _tell_parts(run)
    _tell_attempts(run, now)
    say()
    table(("WHEN", "EVENT", "WHAT"), [(moment(e["at"]), e["kind"], e["message"]) for e in run["events"]])


def _plan(spec: dict[str, Any]) -> str:
    """The specification in a line; a row made by hand may lack most of it."""
    if "duration_hours" not in spec:
        return "-"
    products = spec.get("products", {})
    formats = ", ".join(products.get("formats", ())) or "the usual formats"
    return (
        f"{spec['members']} members, {spec['duration_hours'] / 24:g} days every {spec['interval_hours']:g} h, "
        f"saved every {spec['window_hours']:g} h; source {spec['source']['name']}; product {spec['product']}, {formats}"
    )


def _expected(one: Any) -> str:
    from ops.commands.plain import seconds_in

    return f"{seconds_in(one.seconds)}, from {one.runs} earlier runs"


def _tell_progress(run: dict[str, Any]) -> None:
    progress = run["progress"] or {}
    if run["state"] == "running" and progress:
        reached = f", lead time {progress['lead_hours']:g} h" if "lead_hours" in progress else ""
        of = f" of {progress['of_lead_hours']:g} h" if "of_lead_hours" in progress else ""
        left = f", {progress['seconds_left'] / 60:.0f} min left" if progress.get("seconds_left") is not None else ""
        say(f"Now        {progress.get('stage', '-')}{reached}{of}{left}")


def _tell_parts(run: dict[str, Any]) -> None:
    products = run["products"]
    leads = products["lead_times_hours"]
    reach = f", lead times {leads[0]} to {leads[-1]} h" if leads else ""
    kinds = ", ".join(f"{one['count']} {kind}" for kind, one in products["kinds"].items())
    say(f"Products   {products['count']} objects, {size(products['bytes'])}{reach}{': ' if kinds else ''}{kinds}")
    for one in run["inputs"]:
        say(f"Input      {one['uri']} ({size(one['bytes'])}, SHA-256 {one['sha256'][:12]})")
    for one in run["member_losses"]:
        say(f"Lost       member {one['member']} at {one['lead_time_hours']} h: {one['reason']}")
    for one in run["workers"]:
        say(f"Worker     {_worker(one)}")
    if run["work_bytes"]:
        say(f"Disk       {size(run['work_bytes'])} in the work directory at the end")


def _worker(one: dict[str, Any]) -> str:
    used = [
        f"ended {one['exit_code']}" if one["exit_code"] is not None else None,
        one["reason"],
        f"peak memory {size(one['peak_memory_bytes'])}" if one["peak_memory_bytes"] else None,
        f"{one['cpu_seconds']:.0f} s of processor" if one["cpu_seconds"] is not None else None,
        f"{one['device_seconds']:.0f} s of device" if one["device_seconds"] is not None else None,
        f"batches of {one['batch_size']}" if one["batch_size"] else None,
        f"log {one['log_path']}" if one["log_path"] else None,
    ]
    span = f"{one['pid']} on {one['host']}, {duration(one['started_at'], one['ended_at'])}"
    return ", ".join([span, *(text for text in used if text)])


def _tell_attempts(run: dict[str, Any], now: datetime) -> None:
    from ops.timeline import drawn

    say()
    columns = ("STAGE", "ATTEMPT", "STATE", "STARTED", "TOOK", "ERROR")
    table(columns, [_attempt_cells(one) for one in run["attempts"]])
    say()
    for line in drawn(run["attempts"], now):
        say(line)


def _attempt_cells(one: dict[str, Any]) -> tuple[Any, ...]:
    took = duration(one["started_at"], one["ended_at"])
    return one["stage"], one["number"], one["state"], moment(one["started_at"]), took, one["error"]


def _tell_log(log: dict[str, Any] | None) -> None:
    say()
    if log is None:
        say("No log is on record: workers that a daemon starts keep one, a run by hand prints it.")
    elif not log["here"]:
        say(f"The log is on {log['host']}: {log['path']}")
    for line in log["lines"] if log else ():
        say(line)


def _follow(engine: Any, run: dict[str, Any]) -> None:
    """Print what the log gets, until no worker is at work on the run."""
    log = run["log"]
    if log is None or not log["here"]:
        return
    with Path(log["path"]).open(encoding="utf-8", errors="replace") as file:
        file.seek(0, 2)
        while True:
            at_work = _at_work(engine, run["id"])
            for line in file:
                say(line.rstrip("\n"))
            if not at_work:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _at_work(engine: Any, run_id: str) -> bool:
    import db
    from db import runs
    from db.states import RunState

    with db.reading(engine) as session:
        return runs.get(session, run_id).state == RunState.RUNNING
