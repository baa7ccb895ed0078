"""The start of the program: memory in huge pages, which only a new process can ask the C library for.

A forecast goes through some 100 MiB of working memory every hour that it computes; in pages of 4 KiB that costs a
tenth of its time.
"""

import os
import sys
from typing import NoReturn

TUNABLES = "GLIBC_TUNABLES"
HUGE_PAGES = "glibc.malloc.hugetlb=1"


def main() -> NoReturn:
    """The command line, in a process that has huge pages where the system is able to give them."""
    if sys.platform == "linux" and TUNABLES not in os.environ:
        os.execve(sys.executable, sys.orig_argv, os.environ | {TUNABLES: HUGE_PAGES})  # noqa: S606
    from ops.cli import main as command_line

    command_line()
