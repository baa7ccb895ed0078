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

    from ops.config import Settings
    from ops.daemon.service import Service, StopRequest

DATABASE_PAUSE_SECONDS = 2.0


def daemon(config: ConfigFile = None) -> None:
    """Forecast each cycle as soon as its data is there, and what is ordered when nothing is due, until SIGTERM."""
    serve(config)


def serve(config: Path | None, program: Sequence[str] | None = None) -> None:
    """Work until SIGTERM or SIGINT; `program` is called for workers in place of the usual one."""
    from ops import log
    from ops.daemon.service import StopRequest

    settings, stop = settings_from(config), StopRequest()
    with stop.heard(), ExitStack() as stack:
        engine = stack.enter_context(_history(settings, stop))
        if engine is None:
            return
        service = _service(stack, settings, config, engine, program)
        service.run(stop)
        log.get().info("the daemon has stopped")


@contextmanager
def _history(settings: "Settings", stop: "StopRequest") -> "Iterator[Engine | None]":
    """The run history, waited for if it does not answer; None when the stop was asked for before it did.

    Raises HistoryUnavailable for an address that is none, and for tables of another version.
    """
    import db
    from db import migrate
    from ops import history, log
    from ops.errors import HistoryUnavailable
    from ops.systemd import Systemd

    try:
        engine = db.engine(settings.database.url.get_secret_value())
    except (db.DatabaseError, OSError) as error:
        raise HistoryUnavailable(f"the run history cannot be opened: {error}") from error
    systemd, told = Systemd(), False
    try:
        while complaint := migrate.reachable(engine):
            if not told:
                log.get().error("the run history does not answer; waiting for it", reason=db.masked_url(complaint))
                systemd.ready()
            told = True
            systemd.alive()
            if stop.wait(DATABASE_PAUSE_SECONDS):
                yield None
                return
        history.ready(engine)
        yield engine
    finally:
        engine.dispose()


def _service(
    stack: ExitStack, settings: "Settings", config: Path | None, engine: "Engine", program: Sequence[str] | None
) -> "Service":
    from ops import alerting, log
    from ops.clock import utc_now
    from ops.daemon.lookout import Lookout, watched
    from ops.daemon.plans import Plans
    from ops.daemon.service import Service
    from ops.executors.local import PROGRAM, LocalLauncher
    from ops.scheduler import Scheduler

    identity, plans = _identity(), Plans(settings, config)
    stack.enter_context(log.bound(daemon=identity.id))
    launcher = LocalLauncher(engine, settings.worker, settings.paths, program=program or PROGRAM)
    scheduler = Scheduler(engine, plans, launcher, identity, utc_now, time.monotonic)
    source = watched(settings, engine, utc_now)
    if source is None:
        log.get().warning(
            "no cycles come from this source by themselves: only orders are run", name=settings.source.name
        )
    look = Lookout(engine, plans, source, utc_now, time.monotonic).look if source else None
    _web(stack, settings, engine)
    stack.enter_context(alerting.telling(engine, settings.alerts, utc_now))
    chores = [launcher.settle, partial(alerting.evaluate, engine, settings, utc_now)]
    return Service(scheduler, look, chores, utc_now, settings.daemon.tick_seconds)


def _identity():
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
