"""An upgrade in the middle of a run, with real processes: drained, upgraded, gone on with, and back."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from db import migrate
from ops.errors import ExitCode
from tests.ops.fakes import save_model
from tests.ops.test_cli import TINY

RUN = ["run", "--days", "2", "--members", "2"]
PROGRAM = """
import signal, sys
import ops.forecaster
from ops.cli import main
from tests.ops.fakes import FakeForecaster

drained = int(sys.argv[1])
fake = FakeForecaster(signal_at=(drained, signal.SIGTERM) if drained else None)
ops.forecaster.ModelForecaster = lambda **_options: fake
try:
    main(sys.argv[2:])
finally:
    print("started from", fake.started_from, file=sys.stderr)
"""
MIGRATION = '''"""What a version to come adds."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{next}", "{head}", None, None

def upgrade():
    op.add_column("runs", sa.Column("colour", sa.Text))

def downgrade():
    op.drop_column("runs", "colour")
'''
NEXT = f"{int(migrate.head()) + 1:04d}"


class Version:
    """A version of the program, by the directory that its packages are in."""

    def __init__(self, code: Path, home: Path, url: str) -> None:
        self.home = home
        self.environment = os.environ | TINY | {"PYTHONPATH": str(code), "SIGMACAST_DATABASE__URL": url}

    def __call__(self, *arguments: str, drained_at: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PROGRAM, str(drained_at), *arguments]
        return subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )


def newer_code(repository: Path, directory: Path) -> Path:
    """This code with one more revision of the tables."""
    directory.mkdir()
    for package in ("forecast", "ingest", "ops", "publish", "tests"):
        (directory / package).symlink_to(repository / package)
    shutil.copytree(repository / "db", directory / "db", ignore=shutil.ignore_patterns("__pycache__"))
    revision = MIGRATION.format(next=NEXT, head=migrate.head())
    (directory / "db" / "migrations" / "versions" / f"{NEXT}_to_come.py").write_text(revision)
    return directory


def home(directory: Path) -> Path:
    directory.mkdir()
    save_model(directory / "var" / "models")
    return directory


def products(home: Path) -> dict[str, str]:
    """SHA-256 of every published field; documents tell when they were made."""
    root = home / "var" / "products"
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.nc")}


@pytest.fixture(scope="module")
def undisturbed(repository, tmp_path_factory) -> dict[str, str]:
    directory = home(tmp_path_factory.mktemp("undisturbed") / "home")
    done = Version(repository, directory, "sqlite:///var/history.db")(*RUN)
    assert done.returncode == 0, done.stderr
    return products(directory)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    server = make_url(request.getfixturevalue("postgresql_url"))
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS upgraded WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE upgraded"))
    engine.dispose()
    return server.set(database="upgraded").render_as_string(hide_password=False)


def test_a_run_that_was_drained_goes_on_from_its_window_after_the_upgrade(repository, tmp_path, url, undisturbed):
    directory = home(tmp_path / "home")
    old = Version(repository, directory, url)
    new = Version(newer_code(repository, tmp_path / "newer"), directory, url)
    assert old("db", "upgrade").returncode == 0

    drained = old(*RUN, drained_at=12)
    assert drained.returncode == ExitCode.TERMINATED == 128 + signal.SIGTERM, drained.stderr
    assert products(directory) != undisturbed

    upgraded = new("db", "upgrade")
    assert f"is at revision {NEXT}, from {migrate.head()}" in upgraded.stdout

    refused = old(*RUN)
    assert refused.returncode == ExitCode.HISTORY_UNAVAILABLE
    assert (
        f"revision {NEXT}, newer than {migrate.head()}" in refused.stderr and "install the sigmacast" in refused.stderr
    )
    assert "Traceback" not in refused.stderr

    gone_on = new(*RUN)
    assert gone_on.returncode == 0, gone_on.stderr
    (resumed_from,) = re.findall(r"started from \[(\d+)\]", gone_on.stderr)
    assert int(resumed_from) >= 12
    assert products(directory) == undisturbed

    back = new("db", "downgrade", "--to", migrate.head(), "--yes")
    assert back.returncode == 0, back.stderr
    again = old(*RUN)
    assert again.returncode == 0 and "was published already" in again.stdout
