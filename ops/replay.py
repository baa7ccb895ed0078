"""A run made once more from what is on record, in a place of its own, and its products compared with those recorded.

Start, seeds and specification are those recorded. Only the machine and the versions of the software are those of now,
and where these are others it is told.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine

import db
from db import products, runs, workers
from db.runs import NewRun
from db.schema import Input, Product, Run
from db.states import RunState
from forecast import program_cache
from forecast.grids import weight_cache
from ingest.source import Source
from ops import history, replay_start, stages, worker
from ops.claim import claim
from ops.clock import Clock
from ops.config import DatabaseSettings, Settings
from ops.errors import RunFailed
from ops.forecaster import Forecaster
from ops.plan import Plan, software
from ops.progress import Progress
from ops.quality_settings import QualitySettings
from ops.recorded import plan_of, settings_of
from ops.recorder import Recorder
from ops.store_settings import SigningSettings, StoreSettings
from publish.compare import difference
from publish.stores import LocalStore, Store
from publish.stores.base import StoreError

MANIFEST = "manifest"
"""Kind of the one product that tells when it was made, and so is never the same twice."""


@dataclass(frozen=True)
class Difference:
    """A product that is not what it was. `sha256` is None where there is none now, `recorded` where there was none."""

    key: str
    recorded: str | None
    sha256: str | None
    how: str


@dataclass(frozen=True)
class Replay:
    """What came of a replay. `changed` maps what the run was made with to its recorded and its present version."""

    run_id: str
    same: int
    differences: tuple[Difference, ...]
    changed: dict[str, tuple[Any, Any]]
    analysis: str

    @property
    def identical(self) -> bool:
        """Whether every product is the same, byte for byte."""
        return not self.differences

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        total = self.same + len(self.differences)
        if self.identical:
            return f"replayed: all {total} products are the same, byte for byte"
        named = ", ".join(one.key for one in self.differences[:3])
        more = ", …" if len(self.differences) > 3 else ""
        return f"replayed: {len(self.differences)} of {total} products differ: {named}{more}"


@dataclass(frozen=True)
class Record:
    """What is on record of a run: its row, its inputs by address, its products by key."""

    run: Run
    inputs: dict[str, Input]
    products: dict[str, Product]
    batch_size: int | None


def replay(settings: Settings, name: str, forecaster: Forecaster, progress: Progress, clock: Clock) -> Replay:
    """Make a published run again and compare every product; the outcome becomes an event of the run.

    Raises UnknownRun; RunFailed for a run that is not published or that this version cannot make; NotFound for a
    model that is gone; InputRefused, naming it, for an input that is gone or is another now.
    """
    with history.opened(settings.database) as engine:
        record = _recorded(engine, name)
        own = settings_of(record.run, settings, record.batch_size)
        weight_cache.keep_in(settings.paths.work / "weights")
        program_cache.keep_in(settings.paths.work / "programs")
        settings.paths.work.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f"replay-{record.run.id}-", dir=settings.paths.work) as scratch:
            found = _Scratch(Path(scratch), record, own, engine, clock).replayed(forecaster, progress)
        with db.writing(engine) as session:
            runs.tell(session, record.run.id, clock(), "replay", found.verdict)
        return found


def _recorded(engine: Engine, name: str) -> Record:
    with db.reading(engine) as session:
        run = runs.find(session, name, with_products=True)
        if run.state != RunState.PUBLISHED:
            raise RunFailed(f"run {run.id} is {run.state}: only a published run has products to compare with")
        sizes = [one.batch_size for one in workers.of_run(session, run.id) if one.batch_size]
        return Record(
            run,
            {one.uri: one for one in products.inputs(session, run.id)},
            _products(engine, run.id),
            sizes[-1] if sizes else None,
        )


def _products(engine: Engine, run_id: str) -> dict[str, Product]:
    """The products that a replay must make again, by key."""
    with db.reading(engine) as session:
        return {one.key: one for one in products.of_run(session, run_id) if one.kind != MANIFEST}


@dataclass(frozen=True)
class _Scratch:
    """The place of a replay: a directory with a history, a store and a work directory, which nobody else sees."""

    directory: Path
    record: Record
    own: Settings
    engine: Engine
    clock: Clock

    def replayed(self, forecaster: Forecaster, progress: Progress) -> Replay:
        """Make the run here and compare its products."""
        run = self.record.run
        kept = replay_start.keep(run, self.own.paths.work / run.id, self.directory / "work" / run.id)
        settings = self._settings(kept)
        plan = plan_of(run, settings)
        source = replay_start.source(kept, settings, self.engine, self.clock, progress)
        with history.opened(settings.database) as again:
            work = self._work(again, plan, source, forecaster, progress)
            with worker.held(work):
                start = stages.fetch(work)
                told = replay_start.same(self.record.run, self.record.inputs, start, work.directory, kept)
                stages.all_stages(work)
            made = _products(again, run.id)
            with db.reading(again) as session:
                changed = _changed(run, runs.get(session, run.id).device)
        differences = tuple(self._differences(made))
        same = len(self.record.products.keys() | made.keys()) - len(differences)
        return Replay(run.id, same, differences, changed, told)

    @property
    def _store(self) -> LocalStore:
        return LocalStore(self.directory / "products")

    def _settings(self, kept: bool) -> Settings:
        """The run's own settings, with nothing that reaches outside; a kept analysis needs no climatology any more."""
        url = SecretStr(f"sqlite:///{self.directory}/history.db")
        ingest = self.own.ingest.model_copy(update={"climatology": None}) if kept else self.own.ingest
        return self.own.model_copy(
            update={
                "database": DatabaseSettings(url=url),
                "store": StoreSettings(url=str(self.directory / "products")),
                "paths": self.own.paths.model_copy(update={"work": self.directory / "work"}),
                "ingest": ingest,
                "quality": QualitySettings(mode="off"),
                "signing": SigningSettings(),
            }
        )

    def _work(
        self, again: Engine, plan: Plan, source: Source, forecaster: Forecaster, progress: Progress
    ) -> stages.Work:
        """The run's row in the history of the replay, taken by this process, with all that its stages need."""
        run, store = self.record.run, self._store
        new = NewRun(
            run.id,
            plan.identity,
            run.model_name,
            run.source,
            store.url,
            run.members_requested,
            run.spec,
            run.seeds,
            run.software,
        )
        with db.writing(again) as session:
            runs.create(session, new, self.clock())
        taken = claim(again, plan, store.url, False, self.clock)
        if taken.lease is None:
            raise RunFailed(f"the replay of run {run.id} has been published before it began")
        recorder = Recorder(again, taken.lease, self.clock)
        return worker.at_work(recorder, taken.lease, plan, taken.product, source, store, forecaster, progress)

    def _differences(self, made: dict[str, Product]) -> Iterator[Difference]:
        for key in sorted(self.record.products.keys() | made.keys()):
            before, after = self.record.products.get(key), made.get(key)
            if before is None or after is None:
                how = "was not made" if after is None else "was not made before"
                yield Difference(key, before and before.sha256, after and after.sha256, how)
            elif before.sha256 != after.sha256:
                yield Difference(key, before.sha256, after.sha256, self._how(before))

    def _how(self, before: Product) -> str:
        """By how much a product differs, where the recorded one is still there."""
        made = self._store.path(before.key)
        kept = self.directory / f"recorded{made.suffix}"
        try:
            self._original.download(before.key, kept)
        except (StoreError, ValueError):
            return "by how much is not known: the recorded one is not in the store any more"
        return difference(kept, made)

    @property
    def _original(self) -> Store:
        return self.own.store.open()


def _changed(run: Run, device: str | None) -> dict[str, tuple[Any, Any]]:
    """What the run was made with, and what of it is another now."""
    recorded = {**(run.software or {}), "device": run.device}
    now = {**software(), "device": device}
    return {name: (before, now.get(name)) for name, before in recorded.items() if before != now.get(name)}
