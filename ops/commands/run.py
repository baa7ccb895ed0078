"""`sigmacast run` and `sigmacast demo`: forecast a cycle and publish it."""

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forecast.times import parse_cycle
from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, program, say, size
from ops.errors import ConfigurationError

if TYPE_CHECKING:
    from ops.config import Settings
    from ops.worker import Outcome


def run(
    cycle: Annotated[
        str | None, typer.Option(help="Cycle, such as 2026-11-21T06; default: the newest that the source has.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Source of the analysis: demo, files, gfs, ecmwf or era5.")] = None,
    path: Annotated[Path | None, typer.Option(help="File, or directory of files, for the source `files`.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of an imported model.")] = None,
    members: Annotated[int | None, typer.Option(help="Ensemble members, the control included.")] = None,
    days: Annotated[float | None, typer.Option(help="Length of the forecast [days].")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Cancel a run that did not end and begin again from nothing.")
    ] = False,
    profile: Annotated[
        Path | None, typer.Option(help="Directory for a profile of the run, for TensorBoard and Perfetto.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do nothing: tell the plan, and how long and how much it will take.")
    ] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Forecast one cycle and publish it; a run that was interrupted goes on from what it has saved."""
    settings = settings_from(
        config,
        source__name=source or ("files" if path else None),
        source__path=path,
        forecast__model=model,
        forecast__members=members,
        forecast__days=days,
    )
    if settings.source.name != "files" and path is None:
        settings = _with_source(settings, settings.source.name)
    if dry_run:
        _preview(settings, _cycle(cycle), json)
        return
    ended = forecast(settings, _cycle(cycle), fresh, profile)
    if fresh and ended.already:
        say("A published run is never begun afresh: the same configuration gives the same products.")
    as_json(ended) if json else tell(ended)


def _preview(settings: "Settings", cycle: datetime | None, json: bool) -> None:
    from ops.clock import utc_now
    from ops.commands import run_preview
    from ops.preview import preview
    from ops.progress import for_this_output

    found = preview(settings, for_this_output(), cycle, utc_now)
    as_json(found) if json else run_preview.tell(found)


def demo(config: ConfigFile = None) -> None:
    """Forecast 15 days with 4 members from the ERA5 analysis of 1959-01-02, with the demo model."""
    from ops.demo import MODEL, ensure_model

    settings = settings_from(
        config, forecast__model=MODEL, forecast__members=4, forecast__days=15.0, forecast__interval_hours=6
    )
    ensure_model(settings.paths.models)
    ended = forecast(_with_source(settings, "demo"), None)
    tell(ended)
    _next_commands(ended)


def _with_source(settings: "Settings", name: str) -> "Settings":
    """The settings with a source that takes no path."""
    from ops.config import SourceSettings

    return settings.model_copy(update={"source": SourceSettings(name=name)})


def _cycle(text: str | None) -> datetime | None:
    try:
        return parse_cycle(text) if text else None
    except ValueError as error:
        raise ConfigurationError(f"--cycle: {error}") from error


def forecast(
    settings: "Settings", cycle: datetime | None, fresh: bool = False, profile: Path | None = None
) -> "Outcome":
    """Run with the hybrid model, showing how far it is; with a profile of it in a directory."""
    from ops import worker
    from ops.forecaster import ModelForecaster
    from ops.progress import for_this_output

    forecaster = ModelForecaster(native_kernels=settings.forecast.native_kernels)
    with forecaster.profiled(profile) if profile else nullcontext():
        return worker.run(settings, forecaster, for_this_output(), cycle=cycle, fresh=fresh)


def tell(ended: "Outcome") -> None:
    """Say where a run and its products are."""
    from ops.worker import local_path

    done = "was published already; nothing was done again" if ended.already else "is published"
    say(f"Run {ended.run_id} {done}: {ended.members} members, {ended.products} objects, {size(ended.bytes)}.")
    manifest = local_path(ended.store_url, ended.manifest_key)
    say(f"Products:  {manifest.parent if manifest else f'{ended.store_url}/{ended.manifest_key}'}")
    for key in ended.chart_keys[:1]:
        say(f"Picture:   {local_path(ended.store_url, key) or f'{ended.store_url}/{key}'}")
    if len(ended.chart_keys) > 1:
        say(f"           and {len(ended.chart_keys) - 1} more beside it")


def _next_commands(ended: "Outcome") -> None:
    name = program()
    say()
    say("What next:")
    say(f"  {name} runs show {ended.run_id}")
    say(f"  {name} products download {ended.run_id} --lead 120 --to day5")
    say(f"  {name} run --source files --path ANALYSIS.grib2 --members 8 --days 10")
