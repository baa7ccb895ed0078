"""The shared library of kernels: compiled once for this processor, kept in the user's cache, registered with XLA."""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

import jax

_LOG = logging.getLogger(__name__)
_HERE = Path(__file__).parent
_SOURCES = [_HERE / "transforms.cc", _HERE / "columns.cc"]
_HEADERS = [_HERE / "kernels.h"]
_FLAGS = ("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC")
_TARGETS = {
    "sigmacast_to_nodal": "SigmacastToNodal",
    "sigmacast_to_modal": "SigmacastToModal",
    "sigmacast_columns": "SigmacastColumns",
}
_COMPILE_SECONDS = 300
_forbidden = False


def forbid(kernels: bool = True) -> None:
    """Make models of this process do without kernels, from now on, or let them have kernels again."""
    global _forbidden
    _forbidden = kernels


def available() -> bool:
    """Whether models use the kernels: on a CPU, with a compiler, and not forbidden."""
    return not _forbidden and jax.default_backend() == "cpu" and _registered()


@cache
def _registered() -> bool:
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        _LOG.info("no C++ compiler: forecasts run without native kernels, which are faster")
        return False
    try:
        library = ctypes.CDLL(str(compiled(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        _LOG.warning("forecasts run without native kernels, which are faster: %s", _told(error))
        return False
    for target, symbol in _TARGETS.items():
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(getattr(library, symbol)), platform="cpu")
    return True


def compiled(compiler: str) -> Path:
    """The library for these sources, compiler, processor and version of XLA; compiled when it is not there yet."""
    directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sigmacast" / "native"
    path = directory / f"{_key(compiler)}.so"
    if not path.is_file():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as partial:
            fresh = Path(partial) / path.name
            command = [compiler, *_FLAGS, "-isystem", jax.ffi.include_dir(), *map(str, _SOURCES), "-o", str(fresh)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_COMPILE_SECONDS)
            fresh.replace(path)
    return path


def _key(compiler: str) -> str:
    made_by = subprocess.run([compiler, "--version"], check=True, capture_output=True, timeout=60).stdout
    digest = hashlib.sha256()
    for part in (
        *(path.read_bytes() for path in _SOURCES + _HEADERS),
        made_by,
        " ".join(_FLAGS).encode(),
        version("jaxlib").encode(),
        _processor(),
    ):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:32]


def _processor() -> bytes:
    """What the compiler may use of this processor."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return platform.processor().encode()
    return next((line for line in lines if line.startswith((b"flags", b"Features"))), b"")


def _told(error: Exception) -> str:
    output = getattr(error, "stderr", None) or ""
    return f"{error}; {output.strip().splitlines()[0]}" if output.strip() else str(error)
