"""What commands print: aligned tables and paragraphs for people, JSON for machines."""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def say(text: str = "") -> None:
    """A line on the standard output."""
    print(text)


def as_json(document: Any) -> None:
    """A JSON document on the standard output; times in ISO 8601, UTC."""
    print(json.dumps(document, indent=2, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def moment(value: datetime | None) -> str:
    """2026-11-21T06:00:00Z; a dash for none."""
    return "-" if value is None else value.isoformat(timespec="seconds").replace("+00:00", "Z")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns as wide as their contents, two spaces apart."""
    cells = [tuple(columns), *(tuple("-" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def size(count: int) -> str:
    """12.3 MiB."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 else f"{value:.1f} {UNITS[unit]}"


def duration(start: datetime | None, end: datetime | None) -> str:
    """1 h 02 min 03 s between two moments; a dash when one is missing."""
    if start is None or end is None:
        return "-"
    seconds = (end - start).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def program() -> str:
    """How the user would call this program again."""
    found = shutil.which("sigmacast")
    beside = Path(sys.executable).with_name("sigmacast")
    if found is None and beside.is_file():
        return _short(beside)
    return "sigmacast"


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
