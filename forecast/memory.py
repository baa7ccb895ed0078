"""The memory of this process."""

import ctypes


def give_back() -> None:
    """Return what was freed to the system; where the C library is not glibc, it does so when it likes.

    What a compiler leaves behind otherwise stays with the process for good: a few hundred MiB.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
