"""A run history with something of everything, its products in a store."""

import hashlib
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy import Engine

import db
from db import api_keys
from db.schema import Alert, Attempt, Daemon, Event, Input, MemberLoss, Product, Run, Stage, Worker
from ops.web.api import models
from publish.stores import LocalStore

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
STATES = ("published", "running", "failed", "interrupted", "created", "cancelled")
CONTENT = bytes(range(256)) * 40
HOUR = timedelta(hours=1)


def fill(engine: Engine, store: Path, count: int = 12) -> list[str]:
    """So many runs, the first of them published and the newest; their names."""
    names = [models.A_RUN] + [f"{NOW - index * 6 * HOUR:%Y%m%dT%H}-demo-{index:06x}" for index in range(1, count)]
    with db.writing(engine) as session:
        for index, name in enumerate(names):
            session.add(run(index, name, store))
        session.flush()
        for index, name in enumerate(names):
            session.add_all(parts(index, name, store))
        session.add(Daemon(id="one", host="here", pid=7, version="0.1.0", started_at=NOW, seen_at=NOW))
        session.add(Alert(kind="late", subject=names[0], run_id=names[0], message="4 minutes late", raised_at=NOW))
        session.add(Alert(kind="feed", subject="gfs", message="no answer", raised_at=NOW - HOUR, resolved_at=NOW))
    LocalStore(store).put(key_of(names[0], 24), CONTENT)
    return names


def run(index: int, name: str, store: Path) -> Run:
    state = STATES[index % len(STATES)]
    return Run(
        id=name,
        model_name="demo" if index % 3 else "other",
        model_hash="a" * 64,
        init_time=NOW - index * 6 * HOUR,
        config_hash="b" * 64,
        state=state,
        source="gfs",
        store_url=store.as_uri(),
        members_requested=4,
        members_published=4 if state == "published" else None,
        spec={"members": 4, "product": "demo"},
        seeds={"members": [0, 1, 2, 3]},
        software={"python": "3.11"},
        created_at=NOW - index * 6 * HOUR,
        error="ran out of ink" if state == "failed" else None,
        purpose="hindcast" if index % 4 == 3 else "forecast",
        progress={"stage": "integrate", "lead_hours": 24} if state == "running" else None,
    )


def parts(index: int, name: str, store: Path) -> list[object]:
    digest = hashlib.sha256(CONTENT).hexdigest()
    details = {"media_type": "application/wmo-GRIB2", "members": [0, 1, 2, 3]}
    log = store.parent / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(f"line {number}\n" for number in range(50)))
    return [
        Stage(run_id=name, name="fetch", state="done", started_at=NOW, ended_at=NOW + HOUR),
        Attempt(run_id=name, stage="fetch", number=1, state="done", host="here", pid=1, started_at=NOW, ended_at=NOW),
        Worker(
            run_id=name,
            host=socket.gethostname(),
            pid=index + 1,
            started_at=NOW,
            peak_memory_bytes=1 << 30,
            log_path=str(log),
        ),
        Input(run_id=name, uri="https://example.org/a", source="gfs", sha256=digest, bytes=1, valid_time=NOW),
        MemberLoss(run_id=name, member=3, lead_time_hours=48, reason="wind", recorded_at=NOW),
        *(Event(run_id=name, at=NOW, kind="stage", message=f"event {number}") for number in range(5)),
        *(
            Product(
                run_id=name,
                key=key_of(name, lead),
                kind="members" if lead % 12 else "control",
                lead_time_hours=lead or None,
                bytes=len(CONTENT),
                sha256=digest,
                details=details,
                published_at=NOW,
                deleted_at=NOW if lead == 36 else None,
            )
            for lead in range(0, 48, 6)
        ),
    ]


def key_of(name: str, lead: int) -> str:
    of_example = name == models.A_RUN and lead == 24
    return models.A_KEY if of_example else f"{name[:8]}/{name}-{lead:03d}h.grib2"


def key(engine: Engine, *scopes: str) -> dict[str, str]:
    """Headers with a key of these scopes."""
    with db.writing(engine) as session:
        return {"Authorization": f"Bearer {api_keys.create(session, 'test', scopes, NOW)[1]}"}


def walked(client: TestClient, path: str, name: str) -> list[dict]:
    """All rows of a list, page by page."""
    found, after = [], None
    while True:
        page = client.get(path, params={"limit": 2} | ({"after": after} if after else {})).json()
        found += page[name]
        if (after := page["next"]) is None:
            return found
