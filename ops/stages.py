"""The stages of a run: fetch the analysis, integrate and publish lead time by lead time, finish.

Each can be begun again at any moment and goes on from what is there: the analysis from the run's work
directory, the ensemble from its last saved window, the products from what the store has. So a run that
was killed, run again, ends with the same products.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db import products, runs, workers
from db.products import NewInput, NewLoss, NewProduct
from forecast import memory
from forecast.frame import Frame
from forecast.times import lead_hours
from ingest.analysis import Analysis, InputFile
from ingest.outlook import read_climatology
from ingest.quality import Report
from ingest.source import ModelNeeds, Source
from ops import gate, log, publications
from ops.course import Course
from ops.errors import RunFailed
from ops.forecaster import Forecast, Forecaster
from ops.heartbeat import Heartbeat
from ops.plan import Plan
from ops.previous import forecast_for
from ops.progress import Progress
from ops.recorder import Recorder
from ops.signals import Watch
from ops.spans import span
from ops.starts import Start, Starter, forget_members
from ops.tries import Batch, through
from publish.accumulate import WindowMemory
from publish.manifest import Manifest, PublishedObject, RunInfo
from publish.places import Place
from publish.product import ProductError, ProductSettings
from publish.publisher import Publisher
from publish.stores import Store

FETCH, INTEGRATE, FINISH = "fetch", "integrate", "finish"


@dataclass(frozen=True)
class Work:
    """Everything that the stages of one run work with."""

    plan: Plan
    product: str
    source: Source
    store: Store
    forecaster: Forecaster
    recorder: Recorder
    heartbeat: Heartbeat
    progress: Progress
    watch: Watch
    directory: Path = field(init=False)
    batch: Batch = field(init=False)

    def __post_init__(self) -> None:
        settings, run_id = self.plan.settings, self.recorder.run_id
        did_not_fit = self.recorder.read(lambda session: workers.batch_that_did_not_fit(session, run_id))
        object.__setattr__(self, "directory", settings.paths.work / run_id)
        object.__setattr__(self, "batch", Batch(settings.forecast.batch_size, did_not_fit))

    @property
    def restart_directory(self) -> Path:
        """Where the ensemble saves its windows."""
        return self.directory / "restart"

    @property
    def window_directory(self) -> Path:
        """Where fields over intervals remember earlier lead times."""
        return self.directory / "windows"

    @contextmanager
    def attempt(self, stage: str) -> Iterator[None]:
        """An attempt at a stage, recorded and shown."""
        self.heartbeat.check()
        with log.bound(stage=stage), span(stage):
            self.progress.stage(stage)
            with self.recorder.attempt(stage):
                yield


def all_stages(work: Work) -> Manifest:
    """Take the run from where it is to its manifest. Errors are those of the rooms, LeaseLost and QuorumFailed."""
    work.directory.mkdir(parents=True, exist_ok=True)
    start = fetch(work)
    integrate(work, start, open_publisher(work, start))
    return finish(work, start)


def fetch(work: Work) -> Start:
    """What the members start from: from the source at first and from the work directory ever after."""
    starter = _starter(work)
    if work.recorder.is_done(FETCH) and (saved := starter.saved()) is not None:
        return saved

    def fetched(_tries: int) -> Start:
        start = starter.fetched()
        _record_members(work, start)
        return start

    return through(work, FETCH, fetched)


def _starter(work: Work) -> Starter:
    static, spec, wanted = work.plan.checkpoint.static, work.plan.spec, work.plan.settings.ingest
    needs = ModelNeeds(static.sizes["longitude"], static.sizes["latitude"])
    return Starter(
        source=work.source,
        cycle=work.plan.cycle,
        needs=needs,
        members=spec.members if wanted.initial_conditions == "ens" else 1,
        directory=work.directory,
        climatology=read_climatology(wanted.climatology, needs.grid) if wanted.climatology else None,
        days=-(-spec.duration // timedelta(days=1)),
        accept=partial(_accept, work),
    )


def _accept(work: Work, analysis: Analysis) -> None:
    """Record an analysis and what the quality gate says of it. Raises Implausible."""
    work.heartbeat.check()
    quality = work.plan.settings.quality
    is_control = analysis.plan is None or analysis.plan["member"] == 0
    compared = is_control and quality.mode != "off"
    earlier = forecast_for(analysis.valid_time, work.plan, work.recorder, work.store) if compared else None
    report = gate.examined(analysis, quality, earlier)
    if is_control:
        _record_analysis(work, analysis, report)
    if report is not None:
        report.require(quality.mode)


def _record_analysis(work: Work, analysis: Analysis, report: Report | None) -> None:
    inputs = [_input(one, analysis.valid_time) for one in analysis.inputs]
    provenance: dict[str, Any] = {"analysis_sha256": analysis.sha256, "variables": analysis.provenance}
    if analysis.plan is not None:
        provenance["plan"] = analysis.plan
    if report is not None:
        provenance["quality"] = report.document

    def change(session: Session) -> None:
        products.record_inputs(session, work.recorder.run_id, inputs)
        runs.amend(session, work.recorder.run_id, provenance=provenance)
        if report is not None:
            gate.record(session, work.recorder.run_id, report, work.recorder.clock())

    work.recorder.write(change)


def _record_members(work: Work, start: Start) -> None:
    if not start.members:
        return
    inputs = [_input(one, start.analysis.valid_time) for one in start.inputs]

    def change(session: Session) -> None:
        known = runs.get(session, work.recorder.run_id).provenance or {}
        products.record_inputs(session, work.recorder.run_id, inputs)
        runs.amend(session, work.recorder.run_id, provenance=known | {"members": _member_hashes(start)})

    work.recorder.write(change)


def _member_hashes(start: Start) -> dict[str, str]:
    """SHA-256 of the values of each perturbed member's analysis."""
    return {str(one.member): one.values_sha256 for one in start.members}


def _input(one: InputFile, valid_time: datetime) -> NewInput:
    """A file that was read as a row of the history."""
    own = one.get("valid_time")
    details: dict[str, Any] = dict(one.get("details", {}))
    if "retrieved_at" in one:
        details["retrieved_at"] = one["retrieved_at"]
    return NewInput(
        uri=one["uri"],
        source=one["source"],
        sha256=one["sha256"],
        bytes=one["bytes"],
        valid_time=datetime.fromisoformat(own) if own else valid_time,
        provenance=details or None,
    )


def open_publisher(work: Work, start: Start) -> Publisher:
    """The run's way into the store, fenced by its lease; cancelled runs of the same forecast give way to it."""
    given_up = work.recorder.read(lambda session: runs.cancelled_alike(session, work.plan.identity))
    return Publisher(
        work.store,
        run_info(work, start),
        product_settings(work),
        work.recorder.clock,
        token=work.recorder.token,
        given_up=given_up,
        signer=work.plan.settings.signing.signer(),
        seal=work.recorder.seal,
    )


def run_info(work: Work, start: Start) -> RunInfo:
    """What the products say of the run, taken from its row and in the order of names: a resumed run says the same."""
    row = work.recorder.read(lambda session: runs.get(session, work.recorder.run_id))
    checkpoint, spec, wanted = work.plan.checkpoint, work.plan.spec, work.plan.settings.products
    return RunInfo(
        run_id=row.id,
        model=checkpoint.name,
        model_hash=checkpoint.sha256,
        init_time=spec.init_time,
        lead_hours=_published_lead_hours(work),
        ensemble_size=spec.members,
        longitude_count=checkpoint.static.sizes["longitude"],
        quorum=spec.quorum,
        inputs=tuple(dict(sorted(one.items())) for one in start.inputs),
        seeds=dict(sorted((row.seeds or {}).items())),
        versions={name: str(version) for name, version in sorted((row.software or {}).items()) if version},
        institution=wanted.institution,
        licence=wanted.licence or checkpoint.provenance.licence,
        extra=_how_it_started(start),
    )


def _how_it_started(start: Start) -> dict[str, Any]:
    """What products say of the analysis: each variable's origin, the plan, and in what it was worse than planned."""
    analysis = start.analysis
    told: dict[str, Any] = {"analysis": analysis.provenance}
    if analysis.plan is not None:
        told |= {"plan": analysis.plan, "degraded": analysis.plan["degraded"]}
    if start.members:
        told["members"] = _member_hashes(start)
    return told


def _published_lead_hours(work: Work) -> tuple[int, ...]:
    """Those of the model's lead times that are published."""
    made = _model_lead_hours(work)
    wanted = work.plan.settings.products.lead_hours or made
    if unknown := sorted(set(wanted) - set(made)):
        raise ProductError(f"expected lead times out of {list(made)} h, got {unknown}")
    return wanted


def _model_lead_hours(work: Work) -> tuple[int, ...]:
    return tuple(lead_hours(lead) for lead in work.plan.spec.lead_times)


def product_settings(work: Work) -> ProductSettings:
    """The publisher's settings: what is configured, and its own choice for the rest."""
    chosen = work.plan.settings.products.chosen()
    of_the_run = {"institution", "licence"}
    known: dict[str, Any] = {name: value for name, value in chosen.items() if name not in of_the_run}
    known["product"] = work.product
    charts = work.plan.settings.charts
    known |= {f"chart_{name}": value for name, value in charts.chosen().items() if name != "places"}
    if charts.places is not None:
        known["places"] = tuple(Place(one.name, one.latitude, one.longitude) for one in charts.places)
    return ProductSettings(**known)


def integrate(work: Work, start: Start, publisher: Publisher) -> None:
    """Forecast what is not published yet, and publish each lead time as it comes."""
    _record_products(work, publisher.objects)
    if not publisher.missing_lead_hours and work.recorder.is_done(INTEGRATE):
        return

    def integrated(tries: int) -> None:
        with work.watch.draining():
            _integrate(work, start, publisher if tries == 1 else open_publisher(work, start))

    through(work, INTEGRATE, integrated)


def _integrate(work: Work, start: Start, publisher: Publisher) -> None:
    missing = publisher.missing_lead_hours
    if not missing:
        return
    work.recorder.amend(device=work.forecaster.device())
    windows = WindowMemory(work.window_directory, product_settings(work), _model_lead_hours(work))
    course = Course(work.progress, work.recorder, work.watch, work.batch)
    forecast = course.of(_start(work, start, course))
    with course.frames(timedelta(hours=windows.needed_from(missing[0]))) as frames:
        for frame in frames:
            work.heartbeat.check()
            with span(f"publish {lead_hours(frame.lead_time)} h"):
                windows.remember(frame)
                _publish(work, publisher, frame, windows)
            _record_losses(work, forecast)
            if not publisher.missing_lead_hours:
                break
            course.drain_if_asked()
            del frame  # what comes before the next one, an integration perhaps, needs the memory
    _record_losses(work, forecast)
    work.watch.point()
    if still := publisher.missing_lead_hours:
        raise RunFailed(f"the forecast ended without the lead times {list(still)} h")


def _start(work: Work, start: Start, course: Course) -> Forecast:
    if work.batch.wanted is not None:
        work.recorder.note(batch_size=work.batch.wanted)
    return work.forecaster.start(
        work.plan.checkpoint,
        work.plan.spec,
        start.initial,
        work.restart_directory,
        work.batch.wanted,
        course.reached,
    )


def _publish(work: Work, publisher: Publisher, frame: Frame, windows: WindowMemory) -> None:
    if lead_hours(frame.lead_time) not in publisher.missing_lead_hours:
        return
    published = publisher.publish(frame, windows)
    _record_products(work, published)
    log.get().debug("published", lead_time_hours=lead_hours(frame.lead_time), objects=len(published))


def _record_products(work: Work, objects: list[PublishedObject] | tuple[PublishedObject, ...]) -> None:
    rows = [
        NewProduct(
            key=one.key,
            kind=one.kind,
            lead_time_hours=one.lead_hours,
            bytes=one.bytes,
            sha256=one.sha256,
            details={"media_type": one.media_type, "members": list(one.members)},
        )
        for one in objects
    ]
    now = work.recorder.clock()
    work.recorder.later(lambda session: products.record(session, work.recorder.run_id, rows, now))


def _record_losses(work: Work, forecast: Forecast) -> None:
    losses = [NewLoss(one["member"], one["lead_time_hours"], one["reason"]) for one in forecast.lost]
    now = work.recorder.clock()

    def record(session: Session) -> None:
        for one in products.record_losses(session, work.recorder.run_id, losses, now):
            log.get().warning("member lost", member=one.member, lead_time_hours=one.lead_time_hours, reason=one.reason)

    if losses:
        work.recorder.later(record)


def finish(work: Work, start: Start) -> Manifest:
    """Charts, manifest, pointer; then the saved windows are no longer needed. What the forecast held is given back."""
    memory.give_back()

    def finished(_tries: int) -> Manifest:
        with work.watch.draining():
            return _finish(work, open_publisher(work, start))

    manifest = through(work, FINISH, finished)
    for directory in (work.restart_directory, work.window_directory):
        shutil.rmtree(directory, ignore_errors=True)
    forget_members(work.directory)
    return manifest


def _finish(work: Work, publisher: Publisher) -> Manifest:
    losses = work.recorder.read(lambda session: products.losses(session, work.recorder.run_id))
    lost = [{"member": one.member, "lead_hours": one.lead_time_hours, "reason": one.reason} for one in losses]
    work.heartbeat.check()
    manifest = publisher.close(lost)
    for failure in publisher.chart_failures:
        work.recorder.tell("chart", failure)
    _record_products(work, [*manifest.objects, _object_of(manifest, publisher, work.store)])
    publications.supersede_earlier(work.recorder.engine, work.store, work.recorder.run_id, work.recorder.clock)
    work.recorder.amend(work_bytes=_bytes_below(work.directory))
    return manifest


def _bytes_below(directory: Path) -> int:
    """Size of the files in a directory and below it."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _object_of(manifest: Manifest, publisher: Publisher, store: Store) -> PublishedObject:
    """The manifest itself as a published object."""
    there = store.head(publisher.manifest_key)
    if there is None or there.sha256 is None:
        raise RunFailed(f"{publisher.manifest_key} was published and is not in the store {store.url}")
    media_type = "application/json"
    return PublishedObject(there.key, there.bytes, there.sha256, "manifest", media_type, None, manifest.members)
