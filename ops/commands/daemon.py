"""`sigmacast daemon`: forecast every cycle whose data comes, and everything that is ordered, until it is stopped."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ops.commands.options import ConfigFile, settings_from

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from db.daemons import Identity
    from ops.config import Settings
    from ops.daemon.service import Service


def daemon(config: ConfigFile = None) -> None:
    """Forecast each cycle as soon as its data is there, and what is ordered when nothing is due, until SIGTERM."""
    serve(config)


def serve(config: Path | None, program: Sequence[str] | None = None) -> None:
    """Work until SIGTERM or SIGINT; `program` is called for workers in place of the usual one.

    Raises HistoryUnavailable for a database that is none, and for tables of another version; one that does not answer
    is waited for, while pages and alerts tell of it.
    """
    from ops import log
    from ops.daemon.service import StopRequest
    from ops.daemon.waiting import wait_for

    settings, stop, identity = settings_from(config), StopRequest(), _identity()
    with stop.heard(), log.bound(daemon=identity.id), ExitStack() as stack:
        engine = stack.enter_context(_history(settings))
        _company(stack, settings, engine)
        if wait_for(engine, stop):
            _service(settings, config, engine, identity, program).run(stop)
        log.get().info("the daemon has stopped")


@contextmanager
def _history(settings: "Settings") -> "Iterator[Engine]":
    """The engine of a run history that need not answer yet. Raises HistoryUnavailable for an address that is none."""
    import db
    from ops.errors import HistoryUnavailable

    try:
        engine = db.engine(settings.database.url.get_secret_value())
    except (db.DatabaseError, OSError) as error:
        raise HistoryUnavailable(f"the run history cannot be opened: {error}") from error
    try:
        yield engine
    finally:
        engine.dispose()


def _company(stack: ExitStack, settings: "Settings", engine: "Engine") -> None:
    """What works beside the daemon, with a run history or without: pages, and the delivery of alerts."""
    from ops import alerting
    from ops.clock import utc_now

    _web(stack, settings, engine)
    stack.enter_context(alerting.telling(engine, settings.alerts, utc_now))


def _service(
    settings: "Settings",
    config: Path | None,
    engine: "Engine",
    identity: "Identity",
    program: Sequence[str] | None,
) -> "Service":
    from ops import alerting, log
    from ops.clock import utc_now
    from ops.daemon.lookout import Lookout, watched
    from ops.daemon.plans import Plans
    from ops.daemon.service import Service
    from ops.executors.local import PROGRAM, LocalLauncher
    from ops.scheduler import Scheduler

    plans = Plans(settings, config)
    launcher = LocalLauncher(engine, settings.worker, settings.paths, program=program or PROGRAM)
    scheduler = Scheduler(engine, plans, launcher, identity, utc_now, time.monotonic)
    source = watched(settings, engine, utc_now)
    if source is None:
        log.get().warning(
            "no cycles come from this source by themselves: only orders are run", name=settings.source.name
        )
    look = Lookout(engine, plans, source, utc_now, time.monotonic).look if source else None
    chores = [launcher.settle, partial(alerting.evaluate, engine, settings, utc_now)]
    return Service(scheduler, look, chores, utc_now, settings.daemon.tick_seconds)


def _identity() -> "Identity":
    import socket
    from importlib.metadata import version
    from uuid import uuid4

    from db.daemons import Identity

    return Identity(uuid4().hex, socket.gethostname(), os.getpid(), version("sigmacast"))


def _web(stack: ExitStack, settings: "Settings", engine: "Engine") -> None:
    """The API and the dashboard, if the daemon is to serve them. Raises RunFailed when the port is taken."""
    if not settings.web.serve:
        return
    from ops.clock import utc_now
    from ops.web.app import create
    from ops.web.server import ServerThread

    server = ServerThread(create(settings, engine, utc_now), settings.web)
    server.start()
    stack.callback(server.stop)
