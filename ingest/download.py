"""Downloads that survive: in ranges, several at once, taken up again after a cut or a kill, proven whole, then named.

Only what time may mend is tried again: Busy and Broken transfers, after growing waits, or after the wait
that the source asks for. Everything ends by the deadline that the caller gives.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from ingest.errors import Broken, Busy, Changed, SourceError
from ingest.feed import OnBytes, Part, Remote
from ingest.framing import read_messages
from ingest.partial import PartialFile, Piece, cut_into_pieces
from ingest.patience import Deadline, Patience

_PIECE_BYTES = 8 << 20
_ROUNDS = 3
_Result = TypeVar("_Result")


class _Damaged(Broken):
    """The bytes came, but do not make the file."""


@dataclass(frozen=True)
class Promise:
    """What is known of a file before it comes.

    Each part holds whole GRIB messages, `messages` of them in all; None when it is no GRIB. `content` names the
    bytes whatever their address, so that a download begun at one mirror goes on at another; without it they are
    known by address and version. `check` proves more of the file, and raises SourceError.
    """

    messages: int | None = None
    content: str | None = None
    check: Callable[[Path], None] = lambda path: None


NO_PROMISE = Promise()


@dataclass
class _Download:
    """What the threads of one download share."""

    remote: Remote
    deadline: Deadline
    progress: OnBytes
    total: int
    had: int = 0
    stop: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)
    failure: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        """End all threads; the first error is the one that is told."""
        with self.lock:
            if self.failure is None:
                self.failure = error
        self.stop.set()

    def add(self, count: int) -> None:
        with self.lock:
            self.had += count
            self.progress(self.had, self.total)

    def check(self) -> None:
        if self.stop.is_set():
            raise Busy(f"{self.remote.uri}: another part of it failed")
        if self.deadline.left() <= 0:
            raise Busy(
                f"{self.remote.uri}: {self.had} of {self.total} bytes came in the time allowed; "
                "ask again, what is here is kept"
            )


class Transfer:
    """Moves bytes from one source, never over more than `connections` at once.

    A block of bytes may take `block_timeout` [s]; after `attempts` in a row that bring nothing, a transfer
    has failed. Waits between attempts grow from `first_wait` [s].
    """

    def __init__(
        self,
        connections: int = 4,
        block_timeout: float = 30.0,
        attempts: int = 5,
        first_wait: float = 1.0,
        piece_bytes: int = _PIECE_BYTES,
    ) -> None:
        self.connections = connections
        self.block_timeout = block_timeout
        self.piece_bytes = piece_bytes
        self._patience = Patience(attempts, first_wait)
        self._slots = BoundedSemaphore(connections)

    def read(self, remote: Remote, deadline: Deadline) -> bytes:
        """All of a small object; raises SourceError."""
        return _anew(lambda: self._patience.call(lambda: self._read_once(remote, deadline), deadline))

    def size(self, remote: Remote, deadline: Deadline) -> int:
        """The length of an object [bytes]; raises SourceError."""
        return self._patience.call(remote.size, deadline)

    def download(
        self,
        remote: Remote,
        target: Path,
        parts: Sequence[Part] | None = None,
        *,
        deadline: Deadline,
        promise: Promise = NO_PROMISE,
        progress: OnBytes = lambda had, total: None,
    ) -> None:
        """Write the parts, one behind the other, or the whole object to `target`, which appears when it is proven.

        What is here when it fails is kept beside the target and taken up by the next call. `progress` is called
        from several threads, one at a time. Raises SourceError; Busy when the deadline passes.
        """
        _anew(lambda: self._download_once(remote, target, parts, deadline, promise, progress))

    def _download_once(
        self,
        remote: Remote,
        target: Path,
        parts: Sequence[Part] | None,
        deadline: Deadline,
        promise: Promise,
        progress: OnBytes,
    ) -> None:
        size = self.size(remote, deadline)
        wanted = [Part(0, size)] if parts is None else list(parts)
        _check_parts(wanted, size, remote.uri)
        content = promise.content or [remote.uri, remote.version()]
        pieces = cut_into_pieces(wanted, self.piece_bytes)
        with closing(PartialFile(target, {"content": content, "size": size}, pieces)) as partial:
            had = sum(piece.had for piece in pieces)
            self._fetch(partial, _Download(remote, deadline, progress, partial.length, had))
            _prove(partial, wanted, promise, remote.uri)
            partial.publish()

    def _fetch(self, partial: PartialFile, work: _Download) -> None:
        work.add(0)
        with ThreadPoolExecutor(self.connections, "download") as pool:
            futures = [pool.submit(self._fetch_piece, partial, piece, work) for piece in partial.unfinished()]
            try:
                wait(futures)
            except BaseException:
                work.stop.set()
                raise
        if work.failure is not None:
            raise work.failure

    def _fetch_piece(self, partial: PartialFile, piece: Piece, work: _Download) -> None:
        if work.stop.is_set():
            return
        try:
            self._patience.call(
                lambda: self._continue(partial, piece, work), work.deadline, work.stop, lambda: piece.had
            )
        except BaseException as error:
            work.fail(error)

    def _continue(self, partial: PartialFile, piece: Piece, work: _Download) -> None:
        """Read on from where the piece ends."""
        with self._slot(work.deadline, work.remote.uri) as timeout:
            work.check()
            for block in work.remote.read(piece.rest, timeout):
                kept = block[: piece.rest.length]
                partial.write(piece, kept)
                work.add(len(kept))
                if piece.rest.length:
                    work.check()
        if piece.rest.length:
            raise Broken(f"{work.remote.uri}: {piece.rest.length} bytes from {piece.rest.offset} on did not come")

    def _read_once(self, remote: Remote, deadline: Deadline) -> bytes:
        whole = Part(0, remote.size())
        if whole.length == 0:
            return b""
        with self._slot(deadline, remote.uri) as timeout:
            content = b"".join(remote.read(whole, timeout))
        if len(content) != whole.length:
            raise Broken(f"{remote.uri}: expected {whole.length} bytes, {len(content)} came; fetch it again")
        return content

    @contextmanager
    def _slot(self, deadline: Deadline, uri: str) -> Iterator[float]:
        """One of the connections, for as long as it is used; gives the time that a block may take [s]."""
        if not self._slots.acquire(timeout=max(deadline.left(), 0.0)):
            raise Busy(f"{uri}: no connection of the {self.connections} became free in time; ask again")
        try:
            yield max(min(self.block_timeout, deadline.left()), 0.1)
        finally:
            self._slots.release()


def _anew(action: Callable[[], _Result]) -> _Result:
    """The result of an action that is begun again when what it read was replaced, or came damaged."""
    again = Retrying(retry=retry_if_exception_type((Changed, _Damaged)), stop=stop_after_attempt(_ROUNDS), reraise=True)
    return again(action)


def _check_parts(parts: Sequence[Part], size: int, uri: str) -> None:
    for part in parts:
        if part.offset < 0 or part.length <= 0 or part.offset + part.length > size:
            raise Changed(
                f"{uri}: expected {part.length} bytes at {part.offset}, the object has {size} bytes; "
                "read its index again"
            )


def _prove(partial: PartialFile, parts: Sequence[Part], promise: Promise, uri: str) -> None:
    """Raises Broken, or what the check raises, after which nothing is kept of what is wrong."""
    if promise.messages is not None:
        _prove_ends(partial, parts, uri)
        _prove_count(partial, promise.messages, uri)
    try:
        promise.check(partial.path)
    except SourceError:
        partial.forget([Part(0, partial.length)])
        raise


def _prove_ends(partial: PartialFile, parts: Sequence[Part], uri: str) -> None:
    """Every part must start and end as GRIB messages do."""
    at, damaged = 0, []
    with open(partial.path, "rb") as file:
        for part in parts:
            file.seek(at)
            start = file.read(4)
            file.seek(at + part.length - 4)
            if (start, file.read(4)) != (b"GRIB", b"7777"):
                damaged.append(Part(at, part.length))
            at += part.length
    if damaged:
        partial.forget(damaged)
        raise _Damaged(f"{uri}: expected GRIB ... 7777 in each part, {len(damaged)} of {len(parts)} have it not")


def _prove_count(partial: PartialFile, messages: int, uri: str) -> None:
    try:
        with open(partial.path, "rb") as file:
            found = len({message.number for message in read_messages(file, partial.target.name)})
    except Broken as error:
        partial.forget([Part(0, partial.length)])
        raise _Damaged(f"{uri}: {error}") from error
    if found != messages:
        partial.forget([Part(0, partial.length)])
        raise _Damaged(f"{uri}: expected {messages} GRIB messages, found {found}; fetch it again")
