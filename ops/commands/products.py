"""`sigmacast products`, `products list` and `products download`: what runs have published, and how to get it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, say, size, table
from ops.errors import ConfigurationError, NotFound

if TYPE_CHECKING:
    from ops.published import Published
    from publish.manifest import PublishedObject
    from publish.selection import Wanted

app = typer.Typer(help="What runs have published.", invoke_without_command=True, no_args_is_help=False)

RunName = "A run, by its name or the beginning of it, or `latest`, the last published."
Run = Annotated[str, typer.Option(help=RunName)]
From = Annotated[
    str | None,
    typer.Option("--from", help="A store or a manifest instead of a run: http(s)://, s3://, file:// or a path."),
]
Leads = Annotated[list[int] | None, typer.Option("--lead", help="Only this lead time [h]; may be repeated.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be repeated.")]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", help="Only this format: grib2, netcdf, zarr, json or png; may be repeated."),
]
Params = Annotated[
    list[str] | None, typer.Option("--param", help="Only GRIB messages of this parameter, such as t; may be repeated.")
]
Levels = Annotated[
    list[int] | None, typer.Option("--level", help="Only GRIB messages of this level [hPa]; may be repeated.")
]
Members = Annotated[
    list[int] | None,
    typer.Option("--member", help="Only GRIB messages of this member, 0 the control; may be repeated."),
]


@app.callback()
def default(
    context: typer.Context,
    run: Run = "latest",
    source: From = None,
    lead: Leads = None,
    kind: Kinds = None,
    format_: Formats = None,
    param: Params = None,
    level: Levels = None,
    member: Members = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the products of a run, as `list` does."""
    if context.invoked_subcommand is None:
        list_products(run, source, lead, kind, format_, param, level, member, json, config)


@app.command("list")
def list_products(
    run: Run = "latest",
    source: From = None,
    lead: Leads = None,
    kind: Kinds = None,
    format_: Formats = None,
    param: Params = None,
    level: Levels = None,
    member: Members = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the products of a run, or of a store that anybody can read."""
    from ops import published

    wanted = _wanted(lead, kind, format_, param, level, member)
    found = published.found(settings_from(config), run, source)
    objects = _chosen(found, wanted)
    if json:
        rows = [asdict(each) | {"lead_time_hours": each.lead_hours} for each in objects]
        as_json({"run": found.run_id, "state": found.state, "store": found.store_url, "products": rows})
        return
    say(f"Run {found.run_id} ({found.state}) in {found.store_url}")
    cells = [(each.lead_hours, each.kind, size(each.bytes), each.sha256[:12], each.key) for each in objects]
    table(("LEAD [h]", "KIND", "SIZE", "SHA-256", "KEY"), cells)


@app.command("download")
def download(
    run: Annotated[str, typer.Argument(help=RunName)] = "latest",
    source: From = None,
    lead: Leads = None,
    kind: Kinds = None,
    format_: Formats = None,
    param: Params = None,
    level: Levels = None,
    member: Members = None,
    to: Annotated[Path, typer.Option(help="Directory to write to.")] = Path(),
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Fetch products, whole files or single GRIB messages; each is checked, and goes on where it was cut off."""
    from ops import published

    wanted = _wanted(lead, kind, format_, param, level, member)
    settings = settings_from(config)
    found = published.found(settings, run, source)
    written = published.fetch(found, _chosen(found, wanted), wanted, to)
    if not written:
        raise NotFound(f"no message of run {found.run_id} is of the parameters, levels and members asked for")
    if json:
        as_json({"run": found.run_id, "files": written})
    else:
        total = sum(path.stat().st_size for path in written)
        say(f"{len(written)} files, {size(total)}, of run {found.run_id} in {to.absolute()}")


def _wanted(
    lead: list[int] | None,
    kind: list[str] | None,
    format_: list[str] | None,
    param: list[str] | None,
    level: list[int] | None,
    member: list[int] | None,
) -> "Wanted":
    from publish.selection import FORMATS, Wanted

    if unknown := [name for name in format_ or () if name not in FORMATS]:
        raise ConfigurationError(f"--format: expected one of {', '.join(FORMATS)}, got {unknown[0]}")
    given: tuple[Any, ...] = (lead, kind, format_, param, level, member)
    return Wanted(*(tuple(each or ()) for each in given))


def _chosen(found: "Published", wanted: "Wanted") -> list["PublishedObject"]:
    """The objects that are wanted. Raises NotFound, telling what there is, when none is."""
    objects = wanted.objects(found.objects)
    if objects or not found.objects:
        return objects
    kinds = ", ".join(sorted({each.kind for each in found.objects})) or "none"
    hours = sorted({each.lead_hours for each in found.objects if each.lead_hours is not None})
    reach = f"{hours[0]} to {hours[-1]} h" if hours else "none"
    raise NotFound(f"run {found.run_id} has no such product; its kinds are: {kinds}; its lead times: {reach}")
