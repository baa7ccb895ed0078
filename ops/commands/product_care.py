"""`sigmacast products retract`, `pin`, `unpin` and `prune`: what becomes of published runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, moment, say, size, table
from ops.errors import ConfigurationError, RunFailed

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from db.schema import Run
    from ops.config import Settings
    from publish.stores import Store

RunName = Annotated[str, typer.Argument(help="A run, by its name or the beginning of it, or `latest`.")]


@contextmanager
def _found(settings: "Settings", run: str) -> Iterator[tuple["Engine", "Run", "Store"]]:
    """The history, a run of it, and the store that has its products."""
    import db
    from db import runs
    from ops import history

    with history.opened(settings.database) as engine:
        with db.reading(engine) as session:
            row = runs.find(session, run, with_products=True)
        yield engine, row, settings.store.open(row.store_url)


def retract(
    run: RunName,
    reason: Annotated[str, typer.Option(help="Why, for readers and for the record.")],
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Withdraw a published run: its status says so, and latest.json goes back to the last run that stands."""
    from ops import publications
    from ops.clock import utc_now

    if not reason.strip():
        raise ConfigurationError("--reason: expected a text, got nothing")
    with _found(settings_from(config), run) as (engine, row, store):
        done = publications.retract(engine, store, row.id, reason.strip(), utc_now)
    if json:
        as_json(done)
        return
    say(f"Run {done.run_id} is retracted in {store.url}.")
    for other in done.restored:
        say(f"Run {other} stands again.")
    say(f"latest.json points to run {done.latest}." if done.latest else "latest.json is gone: no run stands.")


def pin(run: RunName, json: AsJson = False, config: ConfigFile = None) -> None:
    """Keep the products of a run for ever."""
    _pin(run, True, json, settings_from(config))


def unpin(run: RunName, json: AsJson = False, config: ConfigFile = None) -> None:
    """Let the products of a run expire as those of others."""
    _pin(run, False, json, settings_from(config))


def _pin(run: str, pinned: bool, json: bool, settings: "Settings") -> None:
    import db
    from db import publications
    from ops.clock import utc_now

    with _found(settings, run) as (engine, row, _), db.writing(engine) as session:
        publications.pin(session, row.id, pinned, utc_now())
    if json:
        as_json({"run": row.id, "pinned": pinned})
    else:
        say(f"Run {row.id} is pinned." if pinned else f"Run {row.id} is no longer pinned.")


def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--yes", help="Only tell what would go, which is the default, or do it.")
    ] = True,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Remove the products of runs that were kept long enough from the store."""
    from ops import history, publications
    from ops.clock import utc_now
    from publish.removal import StillLatest

    settings = settings_from(config)
    store = settings.store.open()
    with history.opened(settings.database) as engine:
        planned = publications.plan_removal(engine, store, settings.retention.policy(), utc_now)
        if not dry_run:
            try:
                publications.carry_out(engine, store, planned, utc_now)
            except StillLatest as error:
                raise RunFailed(str(error)) from error
    if json:
        as_json({"dry_run": dry_run, "store": store.url, "runs": planned})
        return
    cells = [(one.run_id, one.standing, moment(one.ended_at), one.objects, size(one.bytes)) for one in planned]
    if cells:
        table(("RUN", "STANDING", "ENDED", "OBJECTS", "SIZE"), cells)
    told = "would be removed; --yes removes them" if dry_run else "removed"
    say(f"{len(planned)} runs, {size(sum(one.bytes for one in planned))}: {told}.")
