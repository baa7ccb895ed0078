"""A file on its way: its bytes in NAME.part, and in NAME.journal what is finished, so that a killed process resumes.

The journal is one line of JSON that says what is fetched, then lines that say how many bytes of a piece are
here, with their CRC-32. What the journal claims is checked against the bytes when it is taken up again.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from forecast.files import synchronise
from ingest.errors import Busy
from ingest.feed import Part

_BLOCK = 1 << 20
_NOTE_EVERY = 1 << 20


@dataclass
class Piece:
    """A stretch of a remote object and its place `at` in the file; `had` of its bytes are here, `noted` on record."""

    source: Part
    at: int
    had: int = 0
    crc: int = 0
    noted: int = 0

    @property
    def rest(self) -> Part:
        """What is still to be fetched."""
        return Part(self.source.offset + self.had, self.source.length - self.had)


def cut_into_pieces(parts: Iterable[Part], longest: int) -> list[Piece]:
    """Parts, in order, as pieces of at most `longest` bytes; parts that adjoin are joined first."""
    pieces: list[Piece] = []
    at = 0
    for part in _joined(parts):
        for start in range(0, part.length, longest):
            length = min(longest, part.length - start)
            pieces.append(Piece(Part(part.offset + start, length), at))
            at += length
    return pieces


def _joined(parts: Iterable[Part]) -> list[Part]:
    joined: list[Part] = []
    for part in parts:
        if joined and joined[-1].offset + joined[-1].length == part.offset:
            joined[-1] = Part(joined[-1].offset, joined[-1].length + part.length)
        else:
            joined.append(part)
    return joined


class PartialFile:
    """The pieces of `target` under its temporary names; `identity` is plain JSON that says what is fetched.

    Raises Busy when another process is at it.
    """

    def __init__(self, target: Path, identity: dict[str, Any], pieces: Sequence[Piece]) -> None:
        self.target = target
        self.pieces = pieces
        self.path, self.journal = temporary_names(target)
        self.length = sum(piece.source.length for piece in pieces)
        self._header = identity | {"pieces": [[*piece.source] for piece in pieces]}
        self._lock = Lock()
        target.parent.mkdir(parents=True, exist_ok=True)
        self._file = _opened_alone(self.path)
        os.ftruncate(self._file, self.length)
        self._resume()
        self._rewrite()

    def close(self) -> None:
        """Let go of the file; what is here stays for the next time."""
        os.close(self._file)

    def unfinished(self) -> list[Piece]:
        """The pieces that lack bytes."""
        return [piece for piece in self.pieces if piece.rest.length]

    def write(self, piece: Piece, block: bytes) -> None:
        """Append to a piece, and note it in the journal now and then, and at its end."""
        view = memoryview(block)
        while view:
            written = os.pwrite(self._file, view, piece.at + piece.had)
            piece.crc = zlib.crc32(view[:written], piece.crc)
            piece.had += written
            view = view[written:]
        if piece.had - piece.noted >= _NOTE_EVERY or not piece.rest.length:
            piece.noted = piece.had
            with self._lock, open(self.journal, "a", encoding="ascii") as journal:
                journal.write(_line(piece))

    def forget(self, damaged: Sequence[Part]) -> None:
        """Take the pieces that touch these stretches of the file for not begun."""
        for piece in self.pieces:
            end = piece.at + piece.source.length
            if any(bad.offset < end and piece.at < bad.offset + bad.length for bad in damaged):
                piece.had = piece.crc = piece.noted = 0
        self._rewrite()

    def publish(self) -> None:
        """Give the file its final name, durably."""
        os.fsync(self._file)
        self.path.replace(self.target)
        self.journal.unlink(missing_ok=True)
        synchronise(self.target.parent)

    def _rewrite(self) -> None:
        fresh = self.journal.with_name(self.journal.name + ".new")
        lines = (_line(piece) for piece in self.pieces if piece.had)
        fresh.write_text(json.dumps(self._header) + "\n" + "".join(lines), encoding="ascii")
        fresh.replace(self.journal)

    def _resume(self) -> None:
        """Take over what the journal claims, as far as the bytes agree."""
        claims = self._claims()
        for piece in self.pieces:
            had, crc = claims.get(piece.at, (0, 0))
            if 0 < had <= piece.source.length and self._crc(piece.at, had) == crc:
                piece.had, piece.crc, piece.noted = had, crc, had

    def _claims(self) -> dict[int, tuple[int, int]]:
        """Bytes and CRC-32 by position from the journal; none when it is absent, damaged or of something else."""
        try:
            header, *lines = self.journal.read_text(encoding="ascii").splitlines(keepends=True)
            if json.loads(header) != self._header:
                return {}
            claims = [json.loads(line) for line in lines if line.endswith("\n")]
            return {int(at): (int(had), int(crc)) for at, had, crc in claims}
        except (OSError, ValueError, TypeError):
            return {}

    def _crc(self, at: int, length: int) -> int:
        crc = 0
        for start in range(at, at + length, _BLOCK):
            crc = zlib.crc32(os.pread(self._file, min(_BLOCK, at + length - start), start), crc)
        return crc


def _line(piece: Piece) -> str:
    return json.dumps([piece.at, piece.had, piece.crc]) + "\n"


def _opened_alone(path: Path) -> int:
    """The file, locked for as long as it is open; raises Busy when another process has it, or just renamed it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_ino == path.stat().st_ino:
            return file
    except OSError:
        pass
    os.close(file)
    raise Busy(f"{path.name}: another process is fetching it; ask again when that is done")


def temporary_names(target: Path) -> tuple[Path, Path]:
    """Where the bytes and the journal of a file on its way are kept."""
    return target.with_name(target.name + ".part"), target.with_name(target.name + ".journal")
