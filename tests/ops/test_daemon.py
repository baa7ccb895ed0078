"""The daemon as a process, with workers that are processes, and a service manager that listens."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

import db
from db import daemons, migrate, orders, runs, workers
from db.schema import Run
from ops.daemon.service import AWAY
from tests.failure.worker import MISHAP
from tests.failure.workers import until
from tests.ops.fakes import choices, save_model
from tests.ops.managers import Manager
from tests.servers import (
    PostgresServer,
    free_port,
    postgresql_program,
    require_server,
    started,
    temporary_directory,
)

CYCLE = datetime(1959, 1, 2, tzinfo=UTC)
PATIENCE = 240.0


class Site:
    """A configuration file, what it names, and the daemons that go by it."""

    def __init__(self, directory: Path, **options: Any) -> None:
        chosen = choices(directory, **{"daemon__tick_seconds": 0.2, "lease__seconds": 4, "worker__nice": 0} | options)
        self.directory = directory
        self.config = directory / "sigmacast.toml"
        self.config.write_text("".join(f"{key} = {json.dumps(value, default=str)}\n" for key, value in chosen.items()))
        self.engine = db.engine(str(chosen["database.url"]))
        self.port = chosen.get("web.port")
        self.daemons: list[subprocess.Popen[bytes]] = []
        migrate.upgrade_engine(self.engine)
        save_model(Path(str(chosen["paths.models"])))
        self.manager = Manager(directory)

    def daemon(self, **mishap: Any) -> subprocess.Popen[bytes]:
        environment = os.environ | {"NOTIFY_SOCKET": self.manager.address, MISHAP: json.dumps(mishap)}
        command = [sys.executable, "-m", "tests.ops.daemon_program", str(self.config)]
        log = (self.directory / f"daemon-{len(self.daemons)}.log").open("wb")
        started = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.daemons.append(started)
        return started

    def order(self, **options: Any) -> None:
        chosen = {name.replace("__", "."): value for name, value in options.items()}
        with db.writing(self.engine) as session:
            orders.place(session, [CYCLE], "forecast", chosen, datetime.now(UTC))

    def run(self) -> Run | None:
        with db.reading(self.engine) as session:
            return next(iter(runs.search(session)), None)

    def wait_for(self, state: str) -> Run:
        """The run, once it is in this state."""

        def look() -> Run | None:
            self.manager.listen()
            run = self.run()
            return run if run is not None and run.state == state else None

        return until(look, PATIENCE, self.complaint)

    def complaint(self) -> str:
        run = self.run()
        return f"the run is {run and run.state}\n{self.logs()}"

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.directory.rglob("*.log"))

    def end(self, daemon: subprocess.Popen[bytes]) -> int:
        """SIGTERM, and the exit code; a manager that does not listen all the while would hold the daemon up."""
        daemon.send_signal(signal.SIGTERM)

        def look() -> bool:
            self.manager.listen()
            return daemon.poll() is not None

        until(look, PATIENCE, self.complaint)
        self.manager.listen()
        return daemon.returncode

    def close(self) -> None:
        for daemon in self.daemons:
            daemon.kill()
            daemon.wait()
        self.manager.close()
        self.engine.dispose()


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, by the operating system's account (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def attempts(site: Site, run: Run) -> int:
    with db.reading(site.engine) as session:
        return len(workers.of_run(session, run.id))


def test_a_daemon_carries_orders_out_drains_on_sigterm_and_the_next_one_goes_on(site):
    site.order()
    first = site.daemon(seconds=1.0)
    site.wait_for("running")
    time.sleep(1.0)
    assert site.end(first) == 0
    left = site.run()
    assert (left.state, left.lease_pid, left.failures) == ("interrupted", None, 0), site.complaint()
    assert left.next_try_at is not None
    second = site.daemon()
    done = site.wait_for("published")
    assert (done.id, done.failures, attempts(site, done)) == (left.id, 0, 2)
    until(lambda: _all_published(site), PATIENCE, site.complaint)
    assert site.end(second) == 0
    assert site.manager.told.count("READY=1") == site.manager.told.count("STOPPING=1") == 2
    assert "WATCHDOG=1" in site.manager.told
    assert any(line.startswith("STATUS=1 of 1 workers busy") and done.id in line for line in site.manager.told)
    with db.reading(site.engine) as session:
        assert [one.stopped_at is not None for one in daemons.search(session)] == [True, True]


def _all_published(site: Site) -> bool:
    site.manager.listen()
    with db.reading(site.engine) as session:
        return all(one.order.outcome == "published" for one in orders.search(session, only_open=False))


@pytest.fixture
def shared_site(tmp_path, postgresql_url) -> Iterator[Site]:
    server, name = make_url(postgresql_url).set(drivername="postgresql+psycopg"), f"daemons_{uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    made = Site(tmp_path, database__url=server.set(database=name).render_as_string(hide_password=False))
    yield made
    made.close()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.mark.slow
def test_of_two_daemons_one_runs_and_when_it_is_killed_the_other_goes_on(shared_site):
    site = shared_site
    site.order()
    pair = [site.daemon(seconds=1.5) for _ in range(2)]
    running = site.wait_for("running")
    time.sleep(1.5)
    with db.reading(site.engine) as session:
        (worker,) = workers.of_run(session, running.id)
    parent = int(Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[1])
    victim = next(one for one in pair if one.pid == parent)
    victim.kill()
    done = site.wait_for("published")
    assert (done.id, attempts(site, done)) == (running.id, 2), site.complaint()
    (survivor,) = [one for one in pair if one is not victim]
    assert site.end(survivor) == 0


@pytest.fixture
def fallible(tmp_path) -> Iterator[tuple[Site, PostgresServer]]:
    """A site that serves pages, with a PostgreSQL of its own."""
    require_server(postgresql_program("initdb"), "PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with temporary_directory() as directory:
        server = PostgresServer(Path(directory))
        started(server, server.initialise)
        made = Site(tmp_path, database__url=server.url, web__serve=True, web__port=free_port())
        yield made, server
        made.close()
        shut(server)


def shut(server: PostgresServer) -> None:
    """Stop it at once, whoever is connected."""
    assert server.process is not None
    server.process.send_signal(signal.SIGINT)
    server.process.wait(PATIENCE)


def readiness(site: Site) -> int | None:
    """What the daemon's page for load balancers says, None while there is none."""
    try:
        return httpx.get(f"http://127.0.0.1:{site.port}/readyz", timeout=PATIENCE).status_code
    except httpx.TransportError:
        return None


def status(site: Site) -> str:
    """What `systemctl status` shows last."""
    told = [line for line in site.manager.listen() if line.startswith("STATUS=")]
    return told[-1].removeprefix("STATUS=") if told else ""


def outcomes(site: Site) -> dict[int, tuple[str | None, int]]:
    """How each order ended, and how many workers it took."""
    site.manager.listen()
    with db.reading(site.engine) as session:
        found = [one.order for one in orders.search(session, only_open=False)]
        return {one.id: (one.outcome, len(workers.of_run(session, one.run_id)) if one.run_id else 0) for one in found}


@pytest.mark.slow
def test_a_database_that_is_away_at_the_start_is_waited_for(fallible):
    site, server = fallible
    site.order()
    shut(server)
    daemon = site.daemon()
    until(lambda: f"STATUS={AWAY}" in site.manager.listen(), PATIENCE, site.logs)
    assert (readiness(site), daemon.poll()) == (503, None)
    spent = cpu_seconds(daemon.pid)
    time.sleep(5.0)
    assert cpu_seconds(daemon.pid) - spent < 1.0
    assert site.manager.listen().count("WATCHDOG=1") >= 2
    assert site.logs().count("does not answer") == 1
    server.start()
    until(lambda: list(outcomes(site).values()) == [("published", 1)], PATIENCE, site.complaint)
    assert readiness(site) == 200
    assert site.end(daemon) == 0


@pytest.mark.slow
def test_a_daemon_that_waits_for_its_database_ends_at_once_when_it_is_told_to(fallible):
    site, server = fallible
    shut(server)
    daemon = site.daemon()
    until(lambda: f"STATUS={AWAY}" in site.manager.listen(), PATIENCE, site.logs)
    begun = time.monotonic()
    assert site.end(daemon) == 0
    assert time.monotonic() - begun < 10.0


@pytest.mark.slow
def test_a_database_that_goes_away_for_long_costs_an_order_nothing(fallible):
    site, server = fallible
    site.order()
    site.order(forecast__members=2)
    daemon = site.daemon(seconds=1.0)
    site.wait_for("running")
    (waiting,) = [number for number, (_, count) in outcomes(site).items() if count == 0]
    shut(server)
    until(lambda: f"STATUS={AWAY}" in site.manager.listen(), PATIENCE, site.logs)
    time.sleep(20.0)
    assert (readiness(site), daemon.poll()) == (503, None)
    server.start()
    until(lambda: all(outcome for outcome, _ in outcomes(site).values()), PATIENCE, site.complaint)
    assert outcomes(site)[waiting] == ("published", 1), site.complaint()
    with db.reading(site.engine) as session:
        assert [(run.state, run.failures) for run in runs.search(session)] == [("published", 0)] * 2
    until(lambda: status(site).startswith("0 of 1 workers busy"), PATIENCE, site.complaint)
    assert readiness(site) == 200
    shut(server)
    until(lambda: status(site) == AWAY, PATIENCE, site.logs)
    begun = time.monotonic()
    assert site.end(daemon) == 0
    assert time.monotonic() - begun < 10.0
