"""The logs of workers: one file each, of a bounded size, and a bounded number of them."""

import os
import shutil
from datetime import datetime
from pathlib import Path

FOLDER = "logs"
FORMER = ".1"
"""Appended to the name of the log before the one that is written to."""
LINE_BYTES = 400
"""As many octets of a log are read for each line asked for."""


def new_log(work: Path, run_id: str, now: datetime) -> Path:
    """A name that no log has, in `work`/logs/RUN."""
    folder = work.absolute() / FOLDER / run_id
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{now:%Y%m%dT%H%M%S}"
    names = (f"{stem}{'' if number == 1 else f'-{number}'}.log" for number in range(1, 10_000))
    return next(folder / name for name in names if not (folder / name).exists())


def bound(log: Path, limit: int) -> None:
    """Begin a log again that has grown beyond the limit [bytes], keeping its content beside it as the former one.

    The process goes on writing to the same file, at its new end, since it appends.
    """
    try:
        if log.stat().st_size <= limit:
            return
        shutil.copyfile(log, log.with_name(log.name + FORMER))
        os.truncate(log, 0)
    except OSError:
        return


def prune(work: Path, keep: int) -> None:
    """Remove all but the newest logs, with their former parts, and the folders that are empty then."""
    folder = work / FOLDER
    newest = sorted(folder.glob("*/*.log"), key=lambda path: path.name, reverse=True)
    for log in newest[keep:]:
        for path in (log, log.with_name(log.name + FORMER)):
            path.unlink(missing_ok=True)
    for run in folder.glob("*"):
        if run.is_dir() and not any(run.iterdir()):
            run.rmdir()


def tail(log: Path, count: int) -> list[str]:
    """The last whole lines of a log, `count` at most; none of one that is no more."""
    try:
        with log.open("rb") as file:
            begin = file.seek(max(0, file.seek(0, os.SEEK_END) - LINE_BYTES * count))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[1 if begin else 0 :][-count:]
