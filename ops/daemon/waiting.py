"""A run history that is away when the daemon starts is waited for, and that is told."""

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

import db
from db import migrate
from ops import history, log
from ops.daemon.service import AWAY, StopRequest
from ops.errors import HistoryUnavailable
from ops.systemd import Systemd

PAUSE_SECONDS = 2.0


def wait_for(engine: Engine, stop: StopRequest) -> bool:
    """Return when the run history can be used; False when the stop was asked for before that.

    Raises HistoryUnavailable for tables of another version, which no waiting mends.
    """
    systemd, told = Systemd(), False
    while complaint := _complaint(engine):
        if not told:
            log.get().error("the run history does not answer; the daemon waits for it", reason=complaint)
            systemd.ready()
        told = True
        systemd.status(AWAY)
        systemd.alive()
        if stop.wait(PAUSE_SECONDS):
            return False
    if told:
        log.get().info("the run history answers again")
    return True


def _complaint(engine: Engine) -> str | None:
    """Why the history cannot be used now, and may be later; None when it can."""
    if complaint := migrate.reachable(engine):
        return db.masked_url(complaint)
    try:
        history.ready(engine)
    except HistoryUnavailable as error:
        cause = error.__cause__
        if isinstance(cause, SQLAlchemyError) and db.is_away(cause):
            return db.masked_url(" ".join(str(error).split()))
        raise
    return None
