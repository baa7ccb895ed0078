"""Engines: what is set on SQLite, what is refused, and that no password is ever shown."""

import subprocess
import sys

import pytest
from sqlalchemy import text

import db
from db import migrate


@pytest.fixture
def sqlite(tmp_path):
    bound = db.engine(f"sqlite:///{tmp_path}/deep/down/history.db")
    yield bound
    bound.dispose()


def test_sqlite_makes_its_directory_and_is_durable(sqlite):
    with sqlite.connect() as connection:
        settings = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_a_reader_is_not_kept_waiting_by_a_writer(sqlite):
    migrate.upgrade_engine(sqlite)
    with db.writing(sqlite) as writer:
        writer.execute(text("UPDATE alembic_version SET version_num = 'other'"))
        with db.reading(sqlite) as reader:
            assert reader.scalar(text("SELECT version_num FROM alembic_version")) == migrate.head()


@pytest.mark.parametrize("url", ["mysql://host/name", "oracle://host"])
def test_another_kind_of_database_is_refused(url):
    with pytest.raises(db.DatabaseError, match="sqlite or postgresql"):
        db.engine(url)


@pytest.mark.parametrize("url", ["", "var/sigmacast.db", "://"])
def test_what_is_no_url_is_refused_with_an_example(url):
    with pytest.raises(db.DatabaseError, match="expected a database URL such as sqlite:///"):
        db.engine(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url):
    with pytest.raises(db.DatabaseError, match="needs a file"):
        db.engine(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@host/name", "postgresql://me:***@host/name"),
        ("postgresql://me:a/b@c:d@host:5432/name", "postgresql://me:***@host:5432/name"),
        ("postgresql://host/name?user=me&password=s3cret&x=1", "postgresql://host/name?user=me&password=***&x=1"),
        ("no answer from postgresql://me:s3cret@host/name now", "no answer from postgresql://me:***@host/name now"),
        ("sqlite:///var/sigmacast.db", "sqlite:///var/sigmacast.db"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
    ],
)
def test_passwords_are_masked_wherever_a_url_is_shown(url, shown):
    assert db.masked_url(url) == shown


def test_a_server_that_is_not_there_is_told_in_one_line():
    bound = db.engine("postgresql://nobody@127.0.0.1:1/none")
    complaint = migrate.reachable(bound)
    assert complaint is not None and "\n" not in complaint and "refused" in complaint


def test_a_migration_for_each_revision_and_head_is_the_last_one():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.head()]


def test_the_run_history_needs_no_other_room():
    """Importing every module of db loads neither another room nor JAX, xarray or numpy."""
    code = (
        "import sys, db.leases, db.migrate, db.products, db.runs, db.stages\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}"
        " & {'forecast', 'ingest', 'publish', 'ops', 'jax', 'xarray', 'numpy', 'alembic'}))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
