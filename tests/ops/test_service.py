"""The daemon as it is put together: what goes wrong is told, what it does is counted, and it serves if it is to."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

import db
from db import alerts, migrate, orders
from ops import counters, log
from ops.clock import utc_now
from ops.commands.daemon import _company, _identity, _service
from ops.config import LogSettings, Settings, load
from ops.daemon.service import AWAY, Service, StopRequest
from ops.web.server import url
from tests.failure.workers import until
from tests.ops.fakes import choices, save_model
from tests.publish.receiver import Receiver
from tests.servers import free_port

CYCLE = datetime(1959, 1, 2, tzinfo=UTC)
DOOMED = (sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit(1)")
"""A worker that takes its job and fails."""
PATIENCE = 120.0


def configured(directory: Path, **options: object) -> Settings:
    save_model(directory / "models")
    return load(options=choices(directory, daemon__tick_seconds=0.1, alerts__disk_free_gib=0, **options))


@contextmanager
def at_work(settings: Settings) -> Iterator[Engine]:
    """A daemon in threads of this process, on a history that has an order."""
    engine, stop = db.engine(settings.database.url.get_secret_value()), StopRequest()
    migrate.upgrade_engine(engine)
    with db.writing(engine) as session:
        orders.place(session, [CYCLE], "forecast", {}, utc_now())
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        identity = _identity()
        stack.enter_context(log.bound(daemon=identity.id))
        _company(stack, settings, engine)
        service = _service(settings, None, engine, identity, DOOMED)
        thread = threading.Thread(target=service.run, args=(stop,))
        thread.start()
        try:
            yield engine
        finally:
            stop.ask()
            thread.join(PATIENCE)
            assert not thread.is_alive()


def counted(name: str) -> float:
    return counters.REGISTRY.get_sample_value(name) or 0.0


def test_a_run_that_is_given_up_is_an_alert_and_people_are_told(tmp_path, capsys):
    log.configure(LogSettings(format="json"))
    before = counted("sigmacast_daemon_tick_seconds_count")
    with Receiver() as receiver:
        settings = configured(tmp_path, worker__runs=1, alerts__webhook_url=receiver.url)
        with at_work(settings) as engine:
            until(lambda: receiver.got, PATIENCE)
            with db.reading(engine) as session:
                (alert,) = alerts.standing(session)
    assert (alert.kind, alert.subject) == ("poison", alert.run_id)
    assert "given up after 1 tries" in alert.message
    (notice,) = receiver.got
    assert alert.run_id.encode() in notice.body and b"runbook.md#poison" in notice.body
    assert counted("sigmacast_daemon_tick_seconds_count") > before
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len({line["daemon"] for line in lines}) == 1


def test_the_daemon_serves_the_api_when_it_is_to_and_as_long_as_it_works(tmp_path):
    settings = configured(tmp_path, web__serve=True, web__port=free_port())
    assert settings.web.host == "127.0.0.1"
    with at_work(settings):
        assert requests.get(f"{url(settings.web)}/healthz", timeout=PATIENCE).status_code == 200
        until(lambda: requests.get(f"{url(settings.web)}/readyz", timeout=PATIENCE).json()["daemon"]["ok"], PATIENCE)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url(settings.web)}/healthz", timeout=PATIENCE)


def test_without_being_told_to_the_daemon_serves_nothing(tmp_path):
    settings = configured(tmp_path, web__port=free_port())
    with at_work(settings), pytest.raises(requests.ConnectionError):
        requests.get(f"{url(settings.web)}/healthz", timeout=PATIENCE)


class Broken:
    """A scheduler with an error that nobody expected."""

    status = "broken"

    def tick(self) -> None:
        raise RuntimeError("nobody expected this")


class Away:
    """A scheduler whose run history is away, with a worker whose end is to be noted or none."""

    status = "away"
    has_workers = False

    def __init__(self, is_settled: bool) -> None:
        self.is_settled = is_settled
        self.tries = 0

    def tick(self) -> None:
        raise OperationalError("BEGIN", {}, ConnectionError("connection refused"))

    def drain(self) -> None:
        self.tries += 1
        self.tick()


def test_a_daemon_with_nothing_to_note_does_not_wait_for_a_history_that_is_away(monkeypatch):
    monkeypatch.setattr("ops.daemon.service.LAST_WORDS_SECONDS", 0.5)
    idle, owing = Away(is_settled=True), Away(is_settled=False)
    for scheduler in (idle, owing):
        stop = StopRequest()
        stop.ask()
        Service(scheduler, None, [], utc_now, 60.0).run(stop)  # type: ignore[arg-type]
    assert idle.tries == 1 < owing.tries


def test_while_the_history_is_away_a_tick_is_a_sign_of_life_and_nothing_else(monkeypatch):
    chores: list[str] = []
    service = Service(Away(is_settled=True), None, [lambda: chores.append("done")], utc_now, 1.0)  # type: ignore[arg-type]
    told: list[str] = []
    monkeypatch.setattr(service._systemd._notifier, "notify", told.append)
    service.tick()
    service.tick()
    assert (chores, told) == ([], [f"STATUS={AWAY}", "WATCHDOG=1", "WATCHDOG=1"])


def test_a_tick_that_fails_is_counted_and_no_sign_of_life(monkeypatch):
    chores: list[str] = []
    before = counted("sigmacast_daemon_tick_errors_total")
    service = Service(Broken(), None, [lambda: chores.append("done")], utc_now, 1.0)  # type: ignore[arg-type]
    told: list[str] = []
    monkeypatch.setattr(service._systemd._notifier, "notify", told.append)
    service.tick()
    assert counted("sigmacast_daemon_tick_errors_total") == before + 1
    assert chores == told == []
