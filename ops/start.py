"""The start of the program: how memory is had and given back, which only a new process can ask of the C library.

A forecast goes through some 100 MiB of working memory every hour that it computes; in pages of 4 KiB that costs a
tenth of its time. Threads with arenas of their own keep what others could use: two arenas hold 120 MiB less. Arrays of
256 KiB and more are given back when they are freed, and leave no holes among what stays: 60 to 80 MiB less.
"""

import os
import sys
from typing import NoReturn

TUNABLES = "GLIBC_TUNABLES"
MEMORY = "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=2:glibc.malloc.mmap_threshold=262144"


def manage_memory() -> None:
    """Begin the process anew with its memory managed so, once and where the system is able to."""
    if sys.platform == "linux" and TUNABLES not in os.environ:
        os.execve(sys.executable, sys.orig_argv, os.environ | {TUNABLES: MEMORY})  # noqa: S606


def main() -> NoReturn:
    """The command line."""
    manage_memory()
    from ops.cli import main as command_line

    command_line()
