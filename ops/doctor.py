"""Checks of everything that a run needs, each with what was found and how to mend it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from sqlalchemy import make_url

import db
from db import migrate
from forecast.checkpoint import registry
from forecast.times import format_cycle
from ops import history, sources, surroundings
from ops.clock import utc_now
from ops.config import Resolved, Settings
from ops.errors import OperationError
from ops.failures import explained
from ops.finding import Finding
from ops.forecaster import ModelForecaster
from ops.plan import software
from publish.stores import ObjectExists

PYTHON = (3, 11)
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
MENDS = {
    "feeds": "look whether the provider is reached from here (`sigmacast ingest check` says more), or set source.name",
    "store": "see that the address, its credentials (AWS_…) and this user's rights are right, and that the server runs",
    "device": "check the driver, and whether another process has the device's memory",
}
"""What to do where a check breaks."""


Check = Callable[[Settings], Finding]


def examine(resolved: Resolved) -> Iterator[Finding]:
    """Look at everything; a check that breaks is a finding too."""
    for check in SETTINGS_CHECKS:
        try:
            yield check(resolved.settings)
        except Exception as error:
            known = explained(error)
            found = str(known) if known else f"unexpected {type(error).__name__}: {error}"
            mend = MENDS.get(subject(check), "read the message above; see docs/cli.md, doctor")
            yield Finding(subject(check), False, db.masked_url(found), mend)
    yield surroundings.permissions(resolved)


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
    """What JAX computes on, its memory, and that it can."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax
    import jax.numpy as jnp

    name = ModelForecaster().device()
    total = float(jnp.arange(8.0).sum())
    limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
    memory = f"{limit / 2**30:.1f} GiB each" if limit else f"{_machine_memory() / 2**30:.1f} GiB of the machine"
    idle = jax.devices()[0].platform == "cpu" and NVIDIA_DRIVER.exists()
    advice = "this machine has an NVIDIA GPU: install sigmacast with the extra gpu to use it" if idle else ""
    mend = "the device computes wrongly: check its driver, or use another one"
    return Finding("device", total == 28.0, f"{name}, {memory}", mend, advice)


def _machine_memory() -> int:
    """Physical memory [bytes]."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def database(settings: Settings) -> Finding:
    """That the run history answers soon, has the tables that this version needs, and tells the same time."""
    if (missing := _missing_file(settings)) is not None:
        return Finding("database", True, f"none yet at {missing}, where the first run makes it")
    url = db.masked_url(settings.database.url.get_secret_value())
    try:
        with history.opened(settings.database) as engine:
            revision, seconds, ahead = migrate.revision(engine), *migrate.latency_and_clock(engine, utc_now)
            found = f"{url}, {engine.dialect.name}, revision {revision}, answers in {1000 * seconds:.1f} ms"
    except OperationError as error:
        return Finding("database", False, str(error), "start the database, then `sigmacast db upgrade`")
    if ahead is None:
        return Finding("database", True, found)
    mend = "let an NTP client keep the clocks of both machines: leases between hosts are told to be over by the clock"
    ok = abs(ahead) <= surroundings.GREATEST_CLOCK_ERROR
    return Finding("database", ok, f"{found}, this clock {ahead:+.2f} s beside its own", mend)


def _missing_file(settings: Settings) -> Path | None:
    """Where the history will be, if it is a file and not there yet: whoever looks must not make it."""
    url = make_url(settings.database.url.get_secret_value())
    if url.get_backend_name() != "sqlite" or not url.database or Path(url.database).exists():
        return None
    return Path(url.database).absolute()


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


def feeds(settings: Settings) -> Finding:
    """That the source answers, and the newest cycle that it has."""
    newest = sources.opened(settings, None, utc_now, lambda feed, had, total: None).cycles()[-1]
    return Finding("feeds", True, f"{settings.source.name}, newest cycle {format_cycle(newest)}")


SETTINGS_CHECKS: tuple[Check, ...] = (
    python,
    packages,
    device,
    database,
    store,
    feeds,
    models,
    surroundings.disk,
    surroundings.clock,
    surroundings.port,
)
