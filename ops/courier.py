"""Delivers notices of what is published, from a thread of its own: a run neither waits for them nor fails with them.

What is owed is read from the run history, so a notice that a killed process, or a receiver that was away, left behind
goes out with a later run. A notice may come twice, then with the same id.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import db
from db import notices, products, runs
from db.notices import Owed
from db.publications import manifest_key
from ops import log
from ops.clock import Clock
from ops.notify_settings import NotifySettings
from publish.notify import NotDelivered, Notice, Webhook

FORGOTTEN_AFTER = timedelta(days=3)
"""A notice of an older run is no news any more."""
_ROUND_SECONDS = 2.0


class Courier:
    """Delivers in rounds, one notice after the other; the first that is not taken ends a round."""

    def __init__(self, engine: Engine, settings: NotifySettings, webhook: Webhook, clock: Clock) -> None:
        self._engine = engine
        self._topic = settings.topic
        self._webhook = webhook
        self._clock = clock
        self._patience = settings.seconds
        self._stop = threading.Event()
        self._done = False

    def deliver(self) -> int:
        """One round; how many notices were taken. Never raises for a receiver or a database that is away."""
        count = 0
        try:
            with db.reading(self._engine) as session:
                waiting = notices.owed(session, self._clock() - FORGOTTEN_AFTER)
            for each in waiting:
                with db.reading(self._engine) as session:
                    notice = written(session, each, self._topic)
                self._webhook.deliver(notice)
                with db.writing(self._engine) as session:
                    notices.told(session, each, self._clock())
                count += 1
        except NotDelivered as error:
            log.get().warning("notices wait for the next round", reason=str(error))
        except (SQLAlchemyError, db.DatabaseError) as error:
            log.get().warning("notices wait for the run history", reason=" ".join(str(error).split())[:200])
        return count

    def _deliver_until_stopped(self) -> None:
        while not self._stop.wait(_ROUND_SECONDS):
            self.deliver()
        if self._done:
            self.deliver()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Deliver while the block runs, and what is owed at its good end for as long as one delivery may take."""
        thread = threading.Thread(target=self._deliver_until_stopped, name="courier", daemon=True)
        thread.start()
        try:
            yield
            self._done = True
        finally:
            self._stop.set()
            thread.join(self._patience if self._done else 0.0)


@contextmanager
def notifying(engine: Engine, settings: NotifySettings, clock: Clock) -> Iterator[None]:
    """Deliver notices while the block runs, if a webhook is configured. Raises ConfigurationError for a wrong one."""
    webhook = settings.webhook()
    if webhook is None:
        yield
        return
    with Courier(engine, settings, webhook, clock).working():
        yield


def written(session: Session, each: Owed, topic: str) -> Notice:
    """The notice in words, from what the history says; the same whenever it is written."""
    run = runs.get(session, each.run_id)
    about = {
        "run_id": run.id,
        "model": run.model_name,
        "product": run.spec.get("product"),
        "init_time": run.init_time.isoformat().replace("+00:00", "Z"),
        "store": run.store_url,
    }
    cycle = f"{run.init_time:%Y-%m-%d %H} UTC"
    if each.lead_hours is None:
        what = {"event": "run", "manifest": manifest_key(session, run.id), "members": run.members_published}
        at = run.ended_at or run.created_at
        return Notice(topic, f"{run.id}/{each.name}", f"{run.model_name} {cycle} is complete", about | what, at)
    rows = products.of_run(session, run.id, [each.lead_hours])
    objects = [{"key": row.key, "kind": row.kind, "bytes": row.bytes, "sha256": row.sha256} for row in rows]
    what = {"event": "lead time", "lead_hours": each.lead_hours, "objects": objects}
    at = max(row.published_at for row in rows)
    return Notice(topic, f"{run.id}/{each.name}", f"{run.model_name} {cycle} {each.name}", about | what, at)
