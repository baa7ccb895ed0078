"""`sigmacast alerts`: what people were told is wrong, whether they can be told, and the end of an alert by hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, moment, say, table
from ops.errors import ConfigurationError, NotFound, RunFailed

if TYPE_CHECKING:
    from db.schema import Alert

app = typer.Typer(help="What is wrong, and who is told.", invoke_without_command=True, no_args_is_help=False)


@app.callback()
def list_alerts(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Those that are resolved, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the alerts that are open, the last raised first."""
    if context.invoked_subcommand is not None:
        return
    import db
    from db import alerts
    from ops import history

    settings = settings_from(config)
    with history.opened(settings.database) as engine, db.reading(engine) as session:
        found = alerts.latest(session, limit) if every else alerts.standing(session, limit=limit)
    if json:
        as_json([_row(alert) for alert in found])
    elif found:
        table(("ID", "KIND", "ABOUT", "RAISED", "RESOLVED", "TOLD"), [_cells(alert) for alert in found])
        for alert in found:
            say()
            say(f"{alert.id}  {alert.message}")
            say(f"{' ' * len(str(alert.id))}  What to do: {settings.alerts.runbook(alert.kind)}")
    else:
        say("No alerts." if every else "No alert is open.")


def _row(alert: "Alert") -> dict[str, Any]:
    return {column.name: getattr(alert, column.name) for column in alert.__table__.columns}


def _cells(alert: "Alert") -> tuple[Any, ...]:
    return (
        alert.id, alert.kind, alert.subject, moment(alert.raised_at), moment(alert.resolved_at), moment(alert.told_at),
    )  # fmt: skip


@app.command("test")
def try_channels(json: AsJson = False, config: ConfigFile = None) -> None:
    """Send a message that asks for nothing by each way that is configured, and say which arrived."""
    from ops.alerting.channels import channels
    from ops.alerting.messages import trial
    from ops.clock import utc_now
    from publish.notify import NotDelivered

    settings = settings_from(config).alerts
    ways = channels(settings)
    if not ways:
        raise ConfigurationError("nobody is told of alerts: set alerts.webhook_url, alerts.mail_to or alerts.command")
    answers = {}
    for way in ways:
        try:
            way.deliver(trial(settings, utc_now()))
        except NotDelivered as error:
            answers[way.name] = str(error)
        else:
            answers[way.name] = None
    if json:
        as_json([{"channel": name, "taken": error is None, "error": error} for name, error in answers.items()])
    else:
        table(("CHANNEL", "ANSWER"), [(name, error or "taken") for name, error in answers.items()])
    if any(answers.values()):
        raise RunFailed("not every way of telling people works")


@app.command("resolve")
def resolve(
    number: Annotated[int, typer.Argument(metavar="ID", help="Number of the alert, as `sigmacast alerts` lists it.")],
    reason: Annotated[str, typer.Option(help="Why it is right again, as people are told.")],
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Close an alert by hand; while what it is about is still wrong, the daemon raises it again."""
    import db
    from db import alerts
    from ops import history
    from ops.clock import utc_now

    with history.opened(settings_from(config).database) as engine, db.writing(engine) as session:
        alert = alerts.get(session, number)
        if alert is None:
            raise NotFound(f"there is no alert {number}: `sigmacast alerts` lists those that are open")
        is_open = alert.resolved_at is None
        closed = is_open and alerts.resolve(session, alert.kind, alert.subject, utc_now(), reason)
    if json:
        as_json({"id": number, "kind": alert.kind, "subject": alert.subject, "closed": closed})
    else:
        say(f"Alert {number} ({alert.kind}: {alert.subject}) {'is resolved' if closed else 'was resolved already'}.")
