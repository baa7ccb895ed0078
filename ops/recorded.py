"""A run as it was recorded, made into settings and a plan again: what is configured now does not count."""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from db.runs import Identity
from db.schema import Run
from forecast.checkpoint import registry
from forecast.checkpoint.errors import UnknownModel
from forecast.checkpoint.native import Checkpoint
from ops.config import ChartSettings, ForecastSettings, ProductsSettings, Settings, SourceSettings
from ops.errors import NotFound, RunFailed
from ops.ingest_settings import IngestSettings
from ops.plan import Plan, plan, specification


def settings_of(run: Run, present: Settings, batch_size: int | None = None) -> Settings:
    """The present settings, of where things are and how they are reached, with the run's own of what is forecast.

    Raises RunFailed for a specification that this version of the program does not understand.
    """
    spec: dict[str, Any] = run.spec
    try:
        forecast = ForecastSettings(
            model=run.model_name,
            members=spec["members"],
            days=spec["duration_hours"] / 24,
            interval_hours=spec["interval_hours"],
            window_hours=spec["window_hours"],
            quorum=spec["quorum"],
            reseed_limit=spec["reseed_limit"],
            batch_size=batch_size or present.forecast.batch_size,
        )
        kept = present.ingest.model_dump(include={"cache", "cache_gib"})
        sections = {
            "forecast": forecast,
            "source": SourceSettings(**spec["source"]),
            "ingest": IngestSettings(**spec["ingest"], **kept),
            "products": ProductsSettings(**spec["products"]),
            "charts": ChartSettings(**spec["charts"]),
        }
    except (KeyError, ValidationError, ValueError) as error:
        raise RunFailed(
            f"the specification of run {run.id} is not one that this version understands: {_told(error)}. "
            f"It was made with sigmacast {(run.software or {}).get('sigmacast', 'of an unknown version')}: use that"
        ) from error
    store = present.store.model_copy(update={"url": run.store_url})
    return present.model_copy(update={**sections, "store": store})


def _told(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def checkpoint_of(run: Run, settings: Settings) -> Checkpoint:
    """The model that the run was made with, found by its hash, under whatever name. Raises NotFound."""
    models = settings.paths.models
    try:
        names = [one.name for one in registry.list_models(models) if one.sha256 == run.model_hash]
        if names:
            return replace(registry.find_model(models, names[0]), name=run.model_name)
    except UnknownModel:
        pass
    raise NotFound(
        f"the model of run {run.id}, {run.model_name} with SHA-256 {run.model_hash}, is not in {models}: "
        f"import that very archive again (sigmacast models import FILE --name {run.model_name})"
    )


def plan_of(run: Run, settings: Settings) -> Plan:
    """The plan of a run, under the identity that is on record. Raises as `settings_of` and `checkpoint_of` do."""
    spec = specification(settings, run.model_hash, run.init_time)
    return Plan(settings, checkpoint_of(run, settings), spec, Identity(run.model_hash, run.init_time, run.config_hash))


def require_same_identity(run: Run, settings: Settings) -> None:
    """Raises RunFailed when the same settings would make another run now, because what it read has changed."""
    made = plan(settings, checkpoint_of(run, settings), run.init_time).identity
    if made.config_hash != run.config_hash:
        raise RunFailed(
            f"run {run.id} cannot be gone on with: its input files are not those that it began with, or this version "
            "reads its settings otherwise. Begin another one: sigmacast run --fresh"
        )
