"""One small object of GRIB messages, and downloads of it, for the tests of downloads."""

from ingest.download import Promise, Transfer
from ingest.feed import Part
from ingest.http import HttpRemote, new_session
from ingest.patience import Deadline
from tests.ingest.feeds.grib_maker import Field, message

PATH = "/bucket/file.grib2"
MESSAGES = [message(Field(name, level)) for name in ("t", "u", "v") for level in (500, 850, 1000)]
CONTENT = b"".join(MESSAGES)
STARTS = [sum(map(len, MESSAGES[:n])) for n in range(len(MESSAGES))]
PARTS = [Part(start, len(message)) for start, message in zip(STARTS, MESSAGES, strict=True)]
CHOSEN = [PARTS[n] for n in (0, 1, 4, 8)]
CHOSEN_CONTENT = b"".join(MESSAGES[n] for n in (0, 1, 4, 8))


def transfer(**options):
    return Transfer(**({"connections": 2, "block_timeout": 0.2, "first_wait": 0.01, "piece_bytes": 4000} | options))


def remote(server, path=PATH):
    return HttpRemote(server.url + path, new_session(4), timeout=0.2)


def download(server, folder, parts=CHOSEN, seconds=20.0, mover=None, **options):
    """The bytes of the file that a download leaves."""
    target = folder / "file.grib2"
    count = len(MESSAGES) if parts is None else len(parts)
    deadline = options.pop("deadline", None) or Deadline.after(seconds)
    promise = options.pop("promise", Promise(options.pop("messages", count)))
    (mover or transfer()).download(remote(server), target, parts, deadline=deadline, promise=promise, **options)
    return target.read_bytes()


def left(folder):
    return sorted(path.name for path in folder.iterdir())
