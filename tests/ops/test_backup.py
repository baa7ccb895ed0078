"""The history is backed up, restored and taken back to older tables with the commands that docs/deploy.md gives."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from db import migrate
from ops import cli
from ops.errors import ExitCode


def documented(repository: Path, language: str, beginning: str) -> str:
    """The block of docs/deploy.md that begins so."""
    page = (repository / "docs" / "deploy.md").read_text()
    blocks = [block.split("```")[0] for block in page.split(f"```{language}\n")[1:]]
    return next(block for block in blocks if block.startswith(beginning))


def shell(script: str, cwd: Path, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-euc", script], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_backup_of_sqlite_taken_in_the_middle_of_a_write_is_whole_and_can_be_put_back(repository, tmp_path):
    live, kept = tmp_path / "sigmacast.db", tmp_path / "backup"
    kept.mkdir()
    migrate.upgrade(f"sqlite:///{live}")
    places = {"DATABASE": str(live), "BACKUP": str(kept / "sigmacast.db"), "PYTHON": sys.executable}
    writer = sqlite3.connect(live)
    writer.execute("INSERT INTO arrivals (source, init_time) VALUES ('kept', '2026-01-01')")
    writer.commit()
    writer.execute("INSERT INTO arrivals (source, init_time) VALUES ('not yet', '2026-01-01')")
    shell(documented(repository, "sh", "# back up SQLite"), tmp_path, **places)
    writer.commit()
    writer.close()
    shell(documented(repository, "sh", "# restore SQLite"), tmp_path, **places)
    with sqlite3.connect(live) as restored:
        assert restored.execute("SELECT source FROM arrivals").fetchall() == [("kept",)]
        assert restored.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert migrate.upgrade(f"sqlite:///{live}") == migrate.head()


def test_a_backup_of_postgresql_can_be_put_back(repository, tmp_path, postgresql_url):
    server = make_url(postgresql_url)
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS sigmacast WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE sigmacast"))
    url = server.set(database="sigmacast").render_as_string(hide_password=False)
    migrate.upgrade(url)
    bound = create_engine(url)
    with bound.begin() as connection:
        connection.execute(text("INSERT INTO arrivals (source, init_time) VALUES ('kept', '2026-01-01')"))
    bound.dispose()
    places = {"PGHOST": str(server.host), "PGPORT": str(server.port), "PGUSER": str(server.username)}
    places |= {"BACKUP": str(tmp_path / "sigmacast.dump")}
    shell(documented(repository, "sh", "# back up PostgreSQL"), tmp_path, **places)
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE sigmacast"))
    shell(documented(repository, "sh", "# restore PostgreSQL"), tmp_path, **places)
    with bound.connect() as connection:
        assert connection.scalar(text("SELECT source FROM arrivals")) == "kept"
    bound.dispose()
    admin.dispose()
    assert migrate.upgrade(url) == migrate.head()


def test_tables_are_taken_back_by_command_and_only_when_it_is_meant(tmp_path, monkeypatch, capsys):
    url = f"sqlite:///{tmp_path}/history.db"
    monkeypatch.setenv("SIGMACAST_DATABASE__URL", url)
    head, older = migrate.upgrade(url), migrate.revisions()[-2]

    def downgrade(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["db", "downgrade", *arguments])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    bound = create_engine(url)
    assert downgrade("--to", older) == (
        0,
        f"{url} would go from revision {head} to {older}; take a backup, then add --yes.\n",
    )
    assert migrate.revision(bound) == head
    code, told = downgrade("--to", head, "--yes")
    assert code == ExitCode.USAGE and f"expected a revision before {head}: 0001, " in told
    assert downgrade("--to", older, "--yes") == (0, f"{url} is at revision {older}, from {head}\n")
    assert migrate.revision(bound) == older
    bound.dispose()
