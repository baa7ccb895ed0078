"""The doctor's look at the machine that sigmacast runs on: disks, clock, ports, permissions."""

import ctypes
import os
import shutil
import socket
import stat
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import requests
from sqlalchemy.engine import make_url

from ops.config import Resolved, Settings
from ops.finding import Finding

LEAST_FREE_BYTES = 2 * 2**30
"""Analysis, restart windows and products of a small ensemble, with room to spare."""
LEAST_FREE_INODES = 20_000
"""A run of 15 days has some 2 000 objects, its parts and windows included some 10 000 files."""
GREATEST_CLOCK_ERROR = 2.0
"""Seconds; leases are told to be over, and requests to S3 to be signed, by the clock."""
CLOCK_ERROR = 5
"""What adjtimex(2) returns when the kernel's clock is synchronised with nobody."""
ASK_SECONDS = 5.0
CONTAINER_SECRETS = Path("/run/secrets")


def disk(settings: Settings) -> Finding:
    """That files can be made and kept where the configuration has them, and that there is room."""
    found, wrong = [], []
    for name, directory in directories(settings).items():
        told, complaint = _room(name, directory)
        found.append(told)
        wrong += [complaint] if complaint else []
    return Finding("disk", not wrong, "; ".join(found), "; ".join(wrong))


def directories(settings: Settings) -> dict[str, Path]:
    """Every local directory that runs write to, by the key that names it."""
    found = {"paths.work": settings.paths.work}
    store = urlsplit(settings.store.url)
    if store.scheme in ("", "file"):
        found["store.url"] = Path(store.path)
    found["ingest.cache"] = settings.ingest.cache
    url = make_url(settings.database.url.get_secret_value())
    if url.get_backend_name() == "sqlite" and url.database:
        found["database.url"] = Path(url.database).parent
    return found


def _room(key: str, directory: Path) -> tuple[str, str]:
    """What there is, and what is wrong with it, if anything."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        seconds = _synchronised_write(directory)
        free, inodes = shutil.disk_usage(directory).free, os.statvfs(directory)
    except OSError as error:
        refused = f"{key}: {directory.absolute()} cannot be written: {error.strerror}"
        mend = f"{key}: make {directory.absolute()} a directory that this user may write, or name another"
        return refused, mend
    told = f"{key} {free / 2**30:.1f} GiB free, synchronised in {1000 * seconds:.0f} ms, at {directory.absolute()}"
    if free < LEAST_FREE_BYTES:
        return told, f"{key}: {LEAST_FREE_BYTES / 2**30:.0f} GiB are needed: make room, or name a larger disk"
    if inodes.f_files and inodes.f_favail < LEAST_FREE_INODES:
        told = f"{told}, {inodes.f_favail} inodes free"
        return told, f"{key}: {LEAST_FREE_INODES} inodes are needed: remove small files, or name another disk"
    return told, ""


def _synchronised_write(directory: Path) -> float:
    """How long a small file takes until it is on the disk [s]. Raises OSError."""
    probe = directory / f".probe-{uuid4().hex}"
    begun = time.monotonic()
    try:
        with probe.open("wb") as file:
            file.write(b"probe")
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)
    return time.monotonic() - begun


def clock(settings: Settings) -> Finding:
    """That this machine's clock agrees with servers', and that something keeps it so."""
    kept = _synchronised()
    told = {True: "kept by NTP", False: "kept by nobody", None: "kept by somebody unknown"}[kept]
    advice = "" if kept is not False else "let an NTP client keep the clock (systemd-timesyncd or chrony)"
    asked = _asked_difference(_addresses(settings))
    if asked is None:
        return Finding("clock", True, f"{told}; no server was there to compare it with", advice=advice)
    host, difference = asked
    found = f"{told}; {difference:+.1f} s beside {host}"
    mend = "set the clock and let an NTP client keep it (systemd-timesyncd or chrony)"
    return Finding("clock", abs(difference) <= GREATEST_CLOCK_ERROR, found, mend, advice)


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2): `modes` 0 asks and changes nothing; the rest is room for the answer."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 508))


def _synchronised() -> bool | None:
    """Whether the kernel knows its clock to be synchronised; None where nobody can tell."""
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(_Timex()))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != CLOCK_ERROR


def _addresses(settings: Settings) -> Iterator[str]:
    """Servers that are asked anyway, which tell the time in the header Date."""
    if settings.store.endpoint_url:
        yield settings.store.endpoint_url
    if settings.source.name == "ecmwf":
        from ingest.sources.ecmwf_client import MIRRORS

        yield from (MIRRORS.get(mirror, mirror) for mirror in settings.ecmwf.mirrors)
    if settings.source.name == "gfs":
        yield settings.gfs.endpoint_url or f"https://{settings.gfs.bucket}.s3.amazonaws.com/"


def _asked_difference(addresses: Iterable[str]) -> tuple[str, float] | None:
    """The first server that answers, and this clock's time less its own [s]; its own is in whole seconds."""
    for address in addresses:
        before = datetime.now(UTC)
        try:
            answer = requests.head(address, timeout=ASK_SECONDS, allow_redirects=False)
            told = parsedate_to_datetime(answer.headers["Date"])
        except (requests.RequestException, KeyError, ValueError):
            continue
        middle = before + (datetime.now(UTC) - before) / 2
        return urlsplit(address).hostname or address, (middle - told).total_seconds() - 0.5
    return None


def port(settings: Settings) -> Finding:
    """That the dashboard and the API can listen where they are to, or do so already."""
    host, number = settings.web.host, settings.web.port
    place = f"{host}:{number}"
    mend = f"stop what listens on {place}, or set web.port (or web.host) to another"
    try:
        answered = _health(host, number)
    except requests.RequestException:
        return Finding("port", False, f"{place} is taken by another program", mend)
    if answered is not None:
        return Finding("port", answered, f"{place} is served by {'sigmacast' if answered else 'another program'}", mend)
    try:
        family = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, number))
    except OSError as error:
        return Finding("port", False, f"{place} cannot be listened on: {error.strerror}", mend)
    return Finding("port", True, f"{place} is free")


def _health(host: str, number: int) -> bool | None:
    """Whether it is sigmacast that answers; None when nobody does. Raises RequestException for no HTTP."""
    there = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not bound to
    bracketed = f"[{there}]" if ":" in there else there
    try:
        answer = requests.get(f"http://{bracketed}:{number}/openapi.json", timeout=ASK_SECONDS)
    except requests.ConnectionError as error:
        if "refused" in str(error):
            return None
        raise
    return "sigmacast" in answer.text[:500].lower()


def permissions(resolved: Resolved) -> Finding:
    """That no file with a secret can be read by everybody, and that the process has no more rights than it needs."""
    open_files = [str(path) for path in _secret_files(resolved) if _readable_by_all(path)]
    user = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    found = f"runs as {user}"
    if open_files:
        found += f"; everybody may read {', '.join(open_files)}"
    mend = f"take that right away: chmod o-rwx {' '.join(open_files)}"
    advice = "" if os.geteuid() else "run it as a user of its own, as the units in ops/deploy/systemd do"
    return Finding("permissions", not open_files, found, mend, advice)


def _secret_files(resolved: Resolved) -> Iterator[Path]:
    """Files that hold secrets: those named as such, the signing key, and the configuration where it has one."""
    for origin in resolved.origins.values():
        if origin.secret_file is not None:
            yield origin.secret_file
    if resolved.settings.signing.key is not None:
        yield resolved.settings.signing.key
    if resolved.file is not None and resolved.has_secrets_in_its_file():
        yield resolved.file


def _readable_by_all(path: Path) -> bool:
    """Whether other users of this machine may read it; a container has none, its secrets are as they were mounted."""
    try:
        return not path.is_relative_to(CONTAINER_SECRETS) and bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
