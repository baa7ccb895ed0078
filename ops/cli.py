"""The command line `sigmacast`. Modules that take long to load are imported by the commands that need them."""

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from ops.commands import (
    alerts,
    configuration,
    database,
    ingest,
    keys,
    models,
    orders,
    product_care,
    product_proof,
    products,
    run,
    run_care,
    run_shown,
    runs,
)
from ops.commands.daemon import daemon
from ops.commands.doctor import doctor
from ops.commands.serve import serve
from ops.ending import exit_with

app = typer.Typer(
    name="sigmacast",
    help="A hybrid weather forecast that runs itself: global analysis in, ensemble out, every run on record.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run.run)
app.command("demo")(run.demo)
app.command("daemon")(daemon)
app.command("backfill")(orders.backfill)
app.add_typer(orders.app, name="orders")
app.add_typer(ingest.app, name="ingest")
app.add_typer(runs.app, name="runs")
for _command in (run_shown.show, run_care.cancel, run_care.retry, run_care.replay):
    runs.app.command(_command.__name__)(_command)
app.add_typer(alerts.app, name="alerts")
app.add_typer(products.app, name="products")
for _command in (
    product_proof.verify,
    product_proof.link,
    product_proof.key,
    product_care.retract,
    product_care.pin,
    product_care.unpin,
    product_care.prune,
):
    products.app.command(_command.__name__)(_command)
app.add_typer(models.app, name="models")
app.add_typer(database.app, name="db")
app.add_typer(configuration.app, name="config")
app.command("serve")(serve)
app.add_typer(keys.app, name="keys")
app.command("doctor")(doctor)

DEBUG = "--debug"


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sigmacast {version('sigmacast')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]
Debug = Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error; may stand anywhere.")]


@app.callback()
def options(version: Version = False, debug: Debug = False) -> None:
    """A hybrid weather forecast that runs itself: global analysis in, ensemble out, every run on record."""
    del version, debug


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code; an error is one paragraph on the standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    without = [argument for argument in given if argument != DEBUG]
    exit_with(lambda: app(without, prog_name="sigmacast"), trace=DEBUG in given)
