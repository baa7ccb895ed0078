"""`sigmacast models import|list|show`: the checkpoints on this machine."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, say, table

if TYPE_CHECKING:
    from forecast.checkpoint.registry import ModelSummary

app = typer.Typer(help="The models on this machine.", no_args_is_help=True)


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A published NeuralGCM archive (.pkl). It is read as data, never run.")],
    name: Annotated[str, typer.Option(help="Name to keep the model under.")],
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Convert a published archive and keep it as a model."""
    from forecast.checkpoint import registry
    from ops.demo import import_archive

    models = settings_from(config).paths.models
    import_archive(file, name, models)
    summary = registry.describe_model(models, name)
    if json:
        as_json(_document(summary))
    else:
        say(f"Model {name}: {summary.parameter_count} parameters, SHA-256 {summary.sha256[:12]}, in {summary.path}")
        say(f"Its weights are under {summary.provenance.licence}: {summary.provenance.attribution}")


@app.command("list")
def list_models(json: AsJson = False, config: ConfigFile = None) -> None:
    """List the models; a damaged one is listed as such."""
    from forecast.checkpoint import registry
    from forecast.checkpoint.errors import CheckpointError

    models, rows = settings_from(config).paths.models, []
    for name in registry.model_names(models):
        try:
            one = registry.describe_model(models, name)
        except CheckpointError as error:
            rows.append({"name": name, "damaged": str(error)})
        else:
            rows.append(
                {"name": name, "parameters": one.parameter_count, "sha256": one.sha256, **asdict(one.provenance)}
            )
    if json:
        as_json(rows)
    elif rows:
        cells = [(r["name"], r.get("parameters", "damaged"), r.get("sha256", "")[:12], r.get("licence")) for r in rows]
        table(("MODEL", "PARAMETERS", "SHA-256", "LICENCE OF THE WEIGHTS"), cells)
    else:
        say(f"No models in {models}: import one with `sigmacast models import FILE.pkl --name NAME`.")


@app.command("show")
def show(name: str, json: AsJson = False, config: ConfigFile = None) -> None:
    """Show a model: provenance, licence, parameters and configuration."""
    from forecast.checkpoint import registry

    summary = registry.describe_model(settings_from(config).paths.models, name)
    if json:
        as_json(_document(summary))
        return
    provenance = summary.provenance
    say(f"Model        {summary.name} in {summary.path}")
    say(f"SHA-256      {summary.sha256}")
    say(f"Parameters   {summary.parameter_count} in {len(summary.parameter_shapes)} arrays")
    say(f"Imported     {provenance.imported_at} by sigmacast {provenance.tool_version}")
    say(f"From         {provenance.original_file}, SHA-256 {provenance.original_sha256}")
    say(f"Licence      {provenance.licence}")
    say(f"Attribution  {provenance.attribution}")
    say()
    say(summary.config_text)


def _document(summary: "ModelSummary") -> dict[str, Any]:
    return {
        "name": summary.name,
        "path": summary.path,
        "sha256": summary.sha256,
        "parameters": summary.parameter_count,
        "parameter_shapes": summary.parameter_shapes,
        "provenance": asdict(summary.provenance),
        "config_text": summary.config_text,
    }
