"""Where files are kept on this machine, and how much space is left there."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from ops.config import Settings


@dataclass(frozen=True)
class Space:
    """A place on this machine, and the file system under it [bytes]."""

    place: str
    path: Path
    free: int
    size: int


def places(settings: Settings) -> dict[str, Path]:
    """Directories that this machine keeps files in: work, models, cache; store and database where they are local."""
    found = {"work": settings.paths.work, "models": settings.paths.models, "cache": settings.ingest.cache}
    store = settings.store.url.removeprefix("file://")
    if "://" not in store:
        found["store"] = Path(store)
    database = make_url(settings.database.url.get_secret_value())
    if database.get_backend_name() == "sqlite" and database.database:
        found["database"] = Path(database.database).parent
    return found


def spaces(settings: Settings) -> list[Space]:
    """The space under each place; a directory that is not there yet counts as the nearest one above it."""
    found = []
    for place, path in places(settings).items():
        usage = shutil.disk_usage(_there(path.absolute()))
        found.append(Space(place, path, usage.free, usage.total))
    return found


def _there(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())
