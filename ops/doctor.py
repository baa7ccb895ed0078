"""Checks of everything that a run needs, each with what was found and how to mend it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import db
from db import migrate
from forecast.checkpoint import registry
from ops import history
from ops.config import Settings
from ops.errors import OperationError
from ops.failures import explained
from ops.forecaster import ModelForecaster
from ops.plan import software
from publish.stores import ObjectExists

PYTHON = (3, 11)
LEAST_FREE_BYTES = 2 * 2**30
"""Analysis, restart windows and products of a small ensemble, with room to spare."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` says what to do when it is not `ok`."""

    subject: str
    ok: bool
    found: str
    mend: str = ""


Check = Callable[[Settings], Finding]


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything; a check that breaks is a finding too."""
    for check in CHECKS:
        try:
            yield check(settings)
        except Exception as error:
            known = explained(error)
            found = str(known) if known else f"unexpected {type(error).__name__}: {error}"
            yield Finding(
                subject(check), False, db.masked_url(found), "read the message above; see docs/cli.md, doctor"
            )


def subject(check: Check) -> str:
    """What a check looks at."""
    return check.__name__.strip("_")


def python(_settings: Settings) -> Finding:
    """The interpreter."""
    here = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= PYTHON, here, "install Python 3.11 or newer")


def packages(_settings: Settings) -> Finding:
    """The packages whose versions a run records."""
    versions = software()
    missing = [name for name, version in versions.items() if version is None]
    found = ", ".join(f"{name} {version}" for name, version in versions.items() if name not in ("python", "platform"))
    return Finding("packages", not missing, found, f"install {', '.join(missing)}: `pip install .` does it")


def device(_settings: Settings) -> Finding:
    """What JAX computes on, and that it can."""
    import jax.numpy as jnp

    name = ModelForecaster().device()
    total = float(jnp.arange(8.0).sum())
    return Finding("device", total == 28.0, name, "the device computes wrongly: check its driver, or use another one")


def database(settings: Settings) -> Finding:
    """That the run history answers and has the tables that this version needs."""
    url = db.masked_url(settings.database.url.get_secret_value())
    try:
        with history.opened(settings.database) as engine:
            found = f"{url}, {engine.dialect.name}, revision {migrate.revision(engine)}"
    except OperationError as error:
        return Finding("database", False, str(error), "start the database, then `sigmacast db upgrade`")
    return Finding("database", True, found)


def store(settings: Settings) -> Finding:
    """That the store takes, gives and deletes an object, and does not replace one that is only to be put if absent."""
    opened = settings.store.open()
    key, content = f"doctor/probe-{uuid4().hex}", os.urandom(64)
    opened.put(key, content, if_absent=True)
    with suppress(ObjectExists):
        opened.put(key, b"another", if_absent=True)
    same = opened.get(key) == content
    opened.delete(key)
    gone = opened.head(key) is None
    mend = "the store loses or changes objects, or ignores conditions (If-None-Match): use another one"
    return Finding("store", same and gone, opened.url, mend)


def models(settings: Settings) -> Finding:
    """That there are models, the configured one among them, whose every value is as it was imported."""
    directory, wanted = settings.paths.models, settings.forecast.model
    names = registry.model_names(directory)
    if wanted not in names:
        found = f"no model {wanted!r} in {directory}; there are: {', '.join(names) or 'none'}"
        return Finding("models", False, found, "`sigmacast models import FILE.pkl --name NAME`, or `sigmacast demo`")
    loaded = [registry.find_model(directory, name) for name in names]
    return Finding("models", True, ", ".join(f"{one.name} ({one.sha256[:12]})" for one in loaded))


def disk(settings: Settings) -> Finding:
    """That there is room for the work of a run, and that it can be written."""
    directory = settings.paths.work
    directory.mkdir(parents=True, exist_ok=True)
    probe = directory / f".probe-{uuid4().hex}"
    probe.write_bytes(b"probe")
    probe.unlink()
    free = shutil.disk_usage(directory).free
    found = f"{free / 2**30:.1f} GiB free in {Path(directory).absolute()}"
    need = f"{LEAST_FREE_BYTES / 2**30:.0f} GiB are needed"
    return Finding("disk", free >= LEAST_FREE_BYTES, found, f"{need}: make room, or set paths.work to a larger disk")


CHECKS: tuple[Check, ...] = (python, packages, device, database, store, models, disk)
