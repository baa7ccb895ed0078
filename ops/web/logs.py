"""The end of a worker's log, for the API and for the page of its run."""

import os
from pathlib import Path

LINE_BYTES = 400
"""As many octets are read of a log for each line asked for."""


def tail(log: Path, count: int) -> list[str]:
    """The last whole lines of a log; none of one that is no more."""
    try:
        with log.open("rb") as file:
            begin = file.seek(max(0, file.seek(0, os.SEEK_END) - LINE_BYTES * count))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[1 if begin else 0 :][-count:]
