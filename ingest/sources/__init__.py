"""The places that analyses come from, by name."""

from pathlib import Path

from ingest.errors import Gone
from ingest.source import Source
from ingest.sources.demo import DemoSource
from ingest.sources.files import FilesSource

NAMES = ("demo", "files")

__all__ = ["NAMES", "DemoSource", "FilesSource", "open_source"]


def open_source(name: str, path: Path | None = None) -> Source:
    """The source of that name; `path` is the file or directory of `files`.

    Raises ValueError when the name is unknown or the path is missing or not wanted, Gone when there is
    nothing at the path.
    """
    if name not in NAMES:
        raise ValueError(f"expected a source out of {', '.join(NAMES)}, got {name!r}")
    if (name == "files") != (path is not None):
        raise ValueError("source files needs a path, the demo takes none")
    if path is None:
        return DemoSource()
    if not path.exists():
        raise Gone(f"{path}: expected a file or directory with an analysis, found nothing there; give another path")
    return FilesSource(path)
