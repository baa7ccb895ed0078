"""`sigmacast products` and `sigmacast products download`: what runs have published."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, say, size, table
from ops.errors import NotFound, RunFailed

if TYPE_CHECKING:
    from ops.config import Settings
    from publish.stores import Store

app = typer.Typer(help="What runs have published.", invoke_without_command=True, no_args_is_help=False)

Leads = Annotated[list[int] | None, typer.Option("--lead", help="Only this lead time [h]; may be repeated.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be repeated.")]


@app.callback()
def list_products(
    context: typer.Context,
    run: Annotated[
        str, typer.Option(help="A run, by its name or the beginning of it, or `latest`, the last published.")
    ] = "latest",
    lead: Leads = None,
    kind: Kinds = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the products of a run."""
    if context.invoked_subcommand is not None:
        return
    found, rows = _select(settings_from(config), run, lead, kind)
    if json:
        as_json({"run": found.id, "state": found.state, "store": found.store_url, "products": [_row(p) for p in rows]})
        return
    say(f"Run {found.id} ({found.state}) in {found.store_url}")
    cells = [(p.lead_time_hours, p.kind, size(p.bytes), p.sha256[:12], p.key) for p in rows]
    table(("LEAD [h]", "KIND", "SIZE", "SHA-256", "KEY"), cells)


def _row(product: Any) -> dict[str, Any]:
    names = ("key", "kind", "lead_time_hours", "bytes", "sha256", "details", "published_at")
    return {name: getattr(product, name) for name in names}


def _select(settings: "Settings", run: str, leads: list[int] | None, kinds: list[str] | None) -> tuple[Any, Any]:
    """The run and its products that pass. Raises NotFound when the filters leave nothing."""
    import db
    from db import products, runs
    from ops import history

    with history.opened(settings.database) as engine, db.reading(engine) as session:
        found = runs.find(session, run, with_products=True)
        rows = products.of_run(session, found.id, leads or None, kinds or None)
        if not rows and (leads or kinds):
            every = products.of_run(session, found.id)
            known = ", ".join(sorted({one.kind for one in every})) or "none"
            hours = sorted({one.lead_time_hours for one in every if one.lead_time_hours is not None})
            reach = f"{hours[0]} to {hours[-1]} h" if hours else "none"
            raise NotFound(f"run {found.id} has no such product; its kinds are: {known}; its lead times: {reach}")
    return found, rows


@app.command("download")
def download(
    run: Annotated[
        str, typer.Argument(help="A run, by its name or the beginning of it, or `latest`, the last published.")
    ] = "latest",
    lead: Leads = None,
    kind: Kinds = None,
    to: Annotated[Path, typer.Option(help="Directory to write to.")] = Path(),
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Fetch products from the store; each file is checked against its SHA-256 and appears complete or not at all."""
    from publish.stores import open_store

    settings = settings_from(config)
    found, rows = _select(settings, run, lead, kind)
    store = open_store(found.store_url, settings.store.endpoint_url)
    written = [_fetch(store, row, to) for row in rows]
    if json:
        as_json({"run": found.id, "files": written})
    else:
        say(f"{len(written)} files, {size(sum(row.bytes for row in rows))}, of run {found.id} in {to.absolute()}")


def _fetch(store: "Store", product: Any, directory: Path) -> Path:
    """One object as a file under the directory, by its key. Raises RunFailed when its bytes are not those published."""
    path = directory / product.key
    if path.is_file() and _sha256(path) == product.sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        store.download(product.key, part)
        if (digest := _sha256(part)) != product.sha256:
            raise RunFailed(
                f"{product.key} in {store.url} is damaged: expected SHA-256 {product.sha256}, got {digest}; "
                "nothing was written"
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
