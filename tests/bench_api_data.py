"""A database with many runs, for the benchmark of the API."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Engine, func, insert, select, text

import db
from db import migrate
from db.schema import Attempt, Event, Input, Product, Run, Stage, Worker

NEWEST = datetime(2026, 11, 21, 18, tzinfo=UTC)
MODELS = ("stochastic-1.4", "stochastic-2.8", "demo", "wam-0.25")
STATES = ("published", "failed", "cancelled", "interrupted")
STAGES = ("fetch", "encode", "integrate", "publish")
LARGE = 200
"""So many runs, the newest, have as many products as an operational run; the others have a few."""
LEADS = range(0, 366, 6)
KINDS = ("control", "members", "mean", "spread", "statistics", "index", "chart", "places", "zarr", "status")
FEW = 4
BATCH = 5000


def cycle_of(index: int) -> datetime:
    """Four runs a cycle, one of each model."""
    return NEWEST - timedelta(hours=6 * (index // len(MODELS)))


def model_of(index: int) -> str:
    """Its model's name."""
    return MODELS[index % len(MODELS)]


def name_of(index: int) -> str:
    """Its name, as operational runs have."""
    return f"{cycle_of(index):%Y%m%dT%H}-{model_of(index)}-{index:06x}"


def state_of(index: int) -> str:
    """Nine of ten are published."""
    return STATES[0] if index % 10 else STATES[1 + index // 10 % 3]


def key_of(index: int, number: int) -> str:
    """The key of one of its products."""
    cycle, lead = cycle_of(index), LEADS[number // len(KINDS)]
    kind = KINDS[number % len(KINDS)]
    return f"{cycle:%Y%m%d/%Hz}/{model_of(index)}/0p25/enfo/{cycle:%Y%m%d%H}0000-{lead}h-enfo-{kind}-{index:06x}.grib2"


def run_row(index: int) -> dict[str, Any]:
    """A run's own row; documents are as large as real ones."""
    cycle = cycle_of(index)
    failed = state_of(index) == "failed"
    spec = {"members": 50, "quorum": 0.9, "product": model_of(index), "levels": list(range(50, 1001, 50))}
    return {
        "id": name_of(index),
        "model_name": model_of(index),
        "model_hash": f"{index % 4:064x}",
        "init_time": cycle,
        "config_hash": f"{index:064x}",
        "state": state_of(index),
        "source": "gfs",
        "store_url": "s3://forecasts/global",
        "members_requested": 50,
        "members_published": None if failed else 50,
        "spec": spec,
        "seeds": {"rule": "folded from cycle and member", "members": list(range(50))},
        "software": {f"package-{number}": "1.2.3" for number in range(10)},
        "device": "NVIDIA H100 80GB HBM3",
        "provenance": {f"variable-{number}": {"from": "gfs", "how": "decoded"} for number in range(12)},
        "created_at": cycle + timedelta(hours=3, minutes=40),
        "started_at": cycle + timedelta(hours=3, minutes=41),
        "ended_at": cycle + timedelta(hours=4, minutes=2),
        "error": "the process was killed: out of memory" if failed else None,
        "purpose": "hindcast" if index % 7 == 0 else "forecast",
        "failures": int(failed),
        "lease_token": 3,
    }


def rows(index: int) -> Iterator[tuple[type, dict[str, Any]]]:
    """A run and all that belongs to it."""
    run, begun = run_row(index), cycle_of(index) + timedelta(hours=3, minutes=41)
    of = {"run_id": run["id"]}
    process = {"host": "gpu-1", "pid": 4000 + index % 1000, "started_at": begun, "ended_at": begun}
    yield Run, run
    yield Worker, of | process | {"exit_code": 0, "reason": "published", "peak_memory_bytes": 1 << 33}
    yield (
        Input,
        of
        | {"uri": f"https://example.org/gfs/{index}.grib2", "source": "gfs"}
        | {
            "sha256": f"{index:064x}",
            "bytes": 500_000_000,
            "valid_time": run["init_time"],
        },
    )
    for stage in STAGES:
        yield Stage, of | {"name": stage, "state": "done", "started_at": begun, "ended_at": begun}
        yield Attempt, of | process | {"stage": stage, "number": 1, "state": "done"}
        yield Event, of | {"at": begun, "kind": "stage", "message": f"{stage} is done"}
    for number in range(len(LEADS) * len(KINDS) if index < LARGE else FEW):
        yield Product, of | product_row(index, number)


def product_row(index: int, number: int) -> dict[str, Any]:
    """One product of a run."""
    return {
        "key": key_of(index, number),
        "kind": KINDS[number % len(KINDS)],
        "lead_time_hours": LEADS[number // len(KINDS)],
        "bytes": 12_345_678,
        "sha256": f"{index * 1000 + number:064x}",
        "details": {"media_type": "application/wmo-GRIB2", "members": list(range(50)) if number % 10 == 1 else []},
        "published_at": cycle_of(index) + timedelta(hours=4),
    }


def fill(url: str, runs: int) -> float:
    """Bring a database to so many runs; the seconds that took."""
    begin, engine = time.monotonic(), db.engine(url)
    migrate.upgrade_engine(engine)
    with engine.connect() as connection:
        there = connection.scalar(select(func.count()).select_from(Run)) or 0
    if there != runs:
        _fill(engine, iter(range(there, runs)))
    engine.dispose()
    return time.monotonic() - begin


def _fill(engine: Engine, indices: Iterator[int]) -> None:
    while some := list(islice(indices, BATCH)):
        batches: dict[type, list[dict[str, Any]]] = {}
        for index in some:
            for kind, row in rows(index):
                batches.setdefault(kind, []).append(row)
        with engine.execution_options(writes=True).begin() as connection:
            for kind, batch in batches.items():
                connection.execute(insert(kind), batch)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))
