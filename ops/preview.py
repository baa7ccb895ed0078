"""What a run would be and take, found out without making it: its plan, and what runs like it took."""

import shutil
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import db
from db import runs
from db.states import RunState
from forecast.checkpoint import registry
from forecast.times import lead_hours
from ops import history
from ops.clock import Clock
from ops.config import Settings
from ops.estimate import Estimate, Wanted, estimate
from ops.expectation import Spread
from ops.plan import Plan, plan
from ops.progress import Progress
from ops.sources import opened
from publish.product import ProductSettings, default_spacing
from publish.stores import LocalStore


@dataclass(frozen=True)
class Catalogue:
    """What is to be published: formats, fields, pressure levels [hPa], grid spacing [degrees], lead times [h]."""

    formats: tuple[str, ...]
    fields: tuple[str, ...]
    levels: tuple[int, ...]
    grid_spacing: float
    lead_hours: tuple[int, ...]


@dataclass(frozen=True)
class Preview:
    """A run that might be. `state` is that of the run if there is one already; free room [bytes] None where unknown.

    `estimate` is None when no run tells. `cost` is in `currency`, None without a price or an estimate.
    """

    run: str
    state: str | None
    cycle: datetime
    source: str
    model: str
    model_hash: str
    members: int
    days: float
    products: Catalogue
    estimate: Estimate | None
    work_free_bytes: int | None
    store_free_bytes: int | None
    cost: Spread | None
    currency: str


def preview(settings: Settings, progress: Progress, cycle: datetime | None, clock: Clock) -> Preview:
    """What `run` would do with the same settings. Raises what it would raise before any work."""
    with history.opened(settings.database) as engine:
        checkpoint = registry.find_model(settings.paths.models, settings.forecast.model)
        source = opened(settings, engine, clock, progress.download)
        wanted = plan(settings, checkpoint, cycle or source.cycles()[-1])
        with db.reading(engine) as session:
            there = runs.with_identity(session, wanted.identity)
            document = wanted.document(settings.products.product or checkpoint.name)
            expected = estimate(session, Wanted.of(checkpoint.sha256, document, host=socket.gethostname()))
    store = settings.store.open()
    return Preview(
        run=there.id if there else wanted.name,
        state=there.state if there else None,
        cycle=wanted.cycle,
        source=settings.source.name,
        model=checkpoint.name,
        model_hash=checkpoint.sha256,
        members=wanted.spec.members,
        days=settings.forecast.days,
        products=_catalogue(wanted),
        estimate=expected,
        work_free_bytes=_free(settings.paths.work),
        store_free_bytes=_free(store.path("latest.json")) if isinstance(store, LocalStore) else None,
        cost=_cost(settings, expected, there.state if there else None),
        currency=settings.cost.currency,
    )


def _catalogue(wanted: Plan) -> Catalogue:
    settings = wanted.settings.products
    chosen = {name: value for name, value in settings.chosen().items() if name not in ("institution", "licence")}
    made = ProductSettings(**chosen)
    spacing = made.grid_spacing or default_spacing(wanted.checkpoint.static.sizes["longitude"])
    hours = settings.lead_hours or tuple(lead_hours(one) for one in wanted.spec.lead_times)
    return Catalogue(made.formats, made.fields, made.levels, spacing, hours)


def _free(path: Path) -> int:
    """Free room where a file would be, whose directories need not exist yet [bytes]."""
    there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    return shutil.disk_usage(there).free


def _cost(settings: Settings, expected: Estimate | None, state: str | None) -> Spread | None:
    price = settings.cost.per_hour
    if price is None or expected is None or state == RunState.PUBLISHED:
        return None
    return expected.seconds.times(price / 3600)
