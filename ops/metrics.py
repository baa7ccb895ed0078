"""What Prometheus is told: read from the run history when it asks, so that any process can answer, and counted here.

Labels take few values whatever happens: hours of cycles, stages, states, kinds. docs/monitoring.md lists all metrics.
"""

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

import db
from db import alerts
from ops import disk, metric_groups
from ops.alerting.scene import Scene
from ops.clock import Clock
from ops.config import Settings
from ops.counters import REGISTRY, SCRAPE_ERRORS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(engine: Engine, clock: Clock, settings: Settings) -> bytes:
    """All metrics in Prometheus' text format. What cannot be read is left out and counted; nothing is raised."""
    registry = CollectorRegistry()
    registry.register(_Collector(engine, clock, settings))
    read = generate_latest(registry)
    return read + generate_latest(REGISTRY)


class _Collector(Collector):
    """The groups of metrics, each read by itself, so that one that fails takes no other with it."""

    def __init__(self, engine: Engine, clock: Clock, settings: Settings) -> None:
        self._engine = engine
        self._clock = clock
        self._settings = settings

    def describe(self) -> Iterable[Metric]:
        """Nothing: the database is asked when Prometheus asks, and not before."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric that can be read now."""
        begun = time.perf_counter()
        yield from _build()
        yield from self._read("disk", lambda: list(_disk(self._settings)))
        is_up = self._is_up()
        yield GaugeMetricFamily("sigmacast_database_up", "1 when the run history answers, else 0.", float(is_up))
        if is_up:
            for name, group in metric_groups.GROUPS.items():
                yield from self._read(name, lambda group=group: self._group(group))
        yield GaugeMetricFamily(
            "sigmacast_scrape_duration_seconds", "Time that reading these metrics took.", time.perf_counter() - begun
        )

    def _read(self, name: str, read: Callable[[], list[Metric]]) -> list[Metric]:
        errors = SCRAPE_ERRORS.labels(name)
        try:
            return read()
        except (SQLAlchemyError, OSError, ValueError, KeyError, TypeError):
            errors.inc()
            return []

    def _is_up(self) -> bool:
        """Asked once, so that a database that is away is waited for once."""
        try:
            with db.reading(self._engine) as session:
                session.execute(select(1))
        except SQLAlchemyError:
            SCRAPE_ERRORS.labels("database").inc()
            return False
        return True

    def _group(self, group: metric_groups.Group) -> list[Metric]:
        with db.reading(self._engine) as session:
            return list(group(Scene(session, self._settings, self._clock(), alerts.standing(session))))


def _build() -> Iterator[Metric]:
    labels = {"version": version("sigmacast"), "python": platform.python_version()}
    family = GaugeMetricFamily(
        "sigmacast_build_info", "Always 1; the labels say which program this is.", labels=list(labels)
    )
    family.add_metric(list(labels.values()), 1)
    yield family


def _disk(settings: Settings) -> Iterator[Metric]:
    free = GaugeMetricFamily("sigmacast_disk_free_bytes", "Free space where files are kept.", labels=["place"])
    size = GaugeMetricFamily("sigmacast_disk_size_bytes", "Size of the file system there.", labels=["place"])
    for space in disk.spaces(settings):
        free.add_metric([space.place], space.free)
        size.add_metric([space.place], space.size)
    yield from (free, size)
