"""`sigmacast runs cancel|retry|replay`: what can be done about a run."""

from typing import Annotated, Any

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, say
from ops.errors import RunFailed

Name = Annotated[str, typer.Argument(help="A run, by its name or the beginning of it, or `latest`.")]
Reason = Annotated[str, typer.Option(help="Why, for the run's history.")]


def cancel(run: Name, reason: Reason = "", json: AsJson = False, config: ConfigFile = None) -> None:
    """Cancel a run: whoever works on it is stopped, and nothing of it is published."""
    import db
    from db import leases, runs
    from ops import history
    from ops.clock import utc_now

    with history.opened(settings_from(config).database) as engine, db.writing(engine) as session:
        name = runs.find(session, run).id
        leases.revoke(session, name, utc_now(), _because("cancelled by an operator", reason))
    as_json({"run": name, "state": "cancelled"}) if json else say(f"Run {name} is cancelled.")


def _because(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what


def retry(
    run: Name,
    now: Annotated[
        bool, typer.Option("--now", help="Go on with it here, at once, instead of leaving it to a daemon.")
    ] = False,
    reason: Reason = "",
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Try a failed run again, from what it has saved, however often it failed."""
    import db
    from db import runs
    from ops import history
    from ops.clock import utc_now

    settings = settings_from(config)
    with history.opened(settings.database) as engine, db.writing(engine) as session:
        found = runs.find(session, run)
        runs.try_again(session, found.id, utc_now(), _because("to be tried again, by an operator", reason))
    if now:
        _carry_on(found, settings, json)
    elif json:
        as_json({"run": found.id, "state": found.state})
    else:
        say(f"Run {found.id} is due: a daemon that is configured as the run was goes on with it, if it was ordered or")
        say(f"its cycle is not too old (daemon.catch_up_hours). Otherwise: sigmacast runs retry {found.id} --now")


def _carry_on(found: Any, settings: Any, json: bool) -> None:
    """Go on with a run in this process, as it is on record."""
    from ops.commands.run import forecast, tell
    from ops.recorded import require_same_identity, settings_of

    own = settings_of(found, settings)
    require_same_identity(found, own)
    ended = forecast(own, found.init_time)
    as_json(ended) if json else tell(ended)


def replay(run: Name, json: AsJson = False, config: ConfigFile = None) -> None:
    """Make a published run again from what is on record, apart, and compare each product by its hash."""
    from ops.clock import utc_now
    from ops.forecaster import ModelForecaster
    from ops.progress import for_this_output
    from ops.replay import replay as replayed

    found = replayed(settings_from(config), run, ModelForecaster(), for_this_output(), utc_now)
    as_json({"identical": found.identical, **vars(found)}) if json else _tell(found)
    if not found.identical:
        raise RunFailed(f"run {found.run_id} is not what it was: {found.verdict.removeprefix('replayed: ')}")


def _tell(found: Any) -> None:
    say(f"Run        {found.run_id}")
    say(f"Analysis   {found.analysis}")
    for name, (recorded, now) in found.changed.items():
        say(f"Changed    {name}: {recorded or '-'} on record, {now or '-'} now")
    for one in found.differences:
        say(f"Differs    {one.key}: {one.how}")
    say(f"Outcome    {found.same} of {found.same + len(found.differences)} products are the same, byte for byte")
