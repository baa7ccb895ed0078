"""The forecast of an earlier cycle for the time of an analysis, from the products of a published run."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import xarray as xr
from sqlalchemy.orm import Session

from db import products, runs
from db.runs import Filters
from db.schema import Product
from db.states import RunState
from ingest.errors import SourceError
from ingest.quality import read_forecast
from ops import log
from ops.plan import Plan
from ops.recorder import Recorder
from publish.stores import Store
from publish.stores.base import StoreError

_LONGEST = timedelta(hours=24)
_KINDS = ("control", "members")
"""The products that hold the control, the smallest first."""


def forecast_for(valid_time: datetime, plan: Plan, recorder: Recorder, store: Store) -> xr.Dataset | None:
    """The control of the newest cycle before this one, of the same model, that has a product for a time; None for none.

    A product that cannot be read is told in the log and counts as none.
    """
    keys = recorder.read(lambda session: [product.key for product in _products(session, valid_time, plan, store)])
    for key in keys:
        try:
            with TemporaryDirectory() as directory:
                path = Path(directory) / Path(key).name
                store.download(key, path)
                forecast = read_forecast(path, valid_time)
        except (SourceError, StoreError) as error:
            log.get().warning("no comparison with an earlier forecast", product=key, reason=str(error))
            continue
        if forecast is not None:
            log.get().info("the analysis is compared with an earlier forecast", product=key)
            return forecast
    return None


def _products(session: Session, valid_time: datetime, plan: Plan, store: Store) -> Iterator[Product]:
    """Products of earlier runs valid at a time, the newest run's first."""
    earlier = Filters(
        state=RunState.PUBLISHED,
        model=plan.checkpoint.name,
        since=valid_time - _LONGEST,
        until=plan.cycle - timedelta(hours=1),
    )
    found = [run for run in runs.search(session, earlier) if run.retracted_at is None and run.store_url == store.url]
    for run in sorted(found, key=lambda run: run.init_time, reverse=True):
        hours, rest = divmod(valid_time - run.init_time, timedelta(hours=1))
        if run.model_hash != plan.checkpoint.sha256 or hours < 1 or rest:
            continue
        held = products.of_run(session, run.id, [hours], _KINDS)
        yield from sorted((one for one in held if _has_control(one)), key=lambda one: _KINDS.index(one.kind))


def _has_control(product: Product) -> bool:
    return product.deleted_at is None and 0 in (product.details or {}).get("members", ())
