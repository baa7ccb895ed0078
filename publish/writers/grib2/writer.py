"""The files of one lead time, encoded by several threads and always with the same octets in the same order."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from forecast.grids import GaussianGrid, LatLonGrid
from publish.product import ProductSettings, Slab, describe
from publish.quantities import LAYERS
from publish.statistics import Statistics
from publish.writers.base import CONTROL, EncodedFile, FrameHeader, WriterError
from publish.writers.grib2 import files
from publish.writers.grib2.definition import (
    SURFACES,
    Message,
    interval_hours,
    product_definition,
    surfaces,
    template_of,
)
from publish.writers.grib2.files import Kind
from publish.writers.grib2.identity import LOCAL_USE, grid_definition, identification
from publish.writers.grib2.message import Draft, Packer, verify

MEDIA_TYPE = "application/wmo-GRIB2"

_MESSAGES_PER_TASK = 8
_MOST_THREADS = 16
_MOST_MEMBERS = 254


@dataclass(frozen=True)
class _Piece:
    """A message to be encoded, and the files that it goes to; `in_full` says that all its keys are to be read back."""

    kinds: tuple[Kind, ...]
    message: Message
    values: NDArray[np.float32]
    name: str
    in_full: bool


class Grib2Writer:
    """Writes one lead time as GRIB2 on the product grid."""

    def __init__(self, header: FrameHeader, settings: ProductSettings, directory: Path) -> None:
        self._open(header, settings, directory, header.grid)

    def _open(
        self, header: FrameHeader, settings: ProductSettings, directory: Path, grid: LatLonGrid | GaussianGrid
    ) -> None:
        if header.ensemble_size > _MOST_MEMBERS:
            raise WriterError(
                f"GRIB2 counts {_MOST_MEMBERS} members at most, in one octet, and this run has {header.ensemble_size}; "
                f"publish it in another format"
            )
        self._header = header
        self._settings = settings
        self._directory = directory
        self._grid = grid_definition(grid)
        self._packer = Packer(grid.longitudes.size * grid.latitudes.size, settings.bits_per_value)
        self._threads = ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS), "grib2")
        self._pending: deque[tuple[Sequence[_Piece], Future[list[bytes]]]] = deque()
        self._seen: set[tuple[str, int, bool]] = set()
        self._files: dict[Kind, tuple[Path, IO[bytes]]] = {}

    def write(self, slab: Slab, statistics: Statistics | None) -> None:
        """Hand the messages of one item to the threads; those of the item before are appended to their files."""
        before = len(self._pending)
        pieces = list(self._pieces(slab, statistics))
        for start in range(0, len(pieces), _MESSAGES_PER_TASK):
            part = pieces[start : start + _MESSAGES_PER_TASK]
            self._pending.append((part, self._threads.submit(self._encode, part)))
        self._append(before)

    def close(self) -> list[EncodedFile]:
        """Finish the files."""
        self._append(len(self._pending))
        self.abort()
        present = self._header.members
        return [
            EncodedFile(self._key(kind), path, kind.name, MEDIA_TYPE, (CONTROL,) if kind.stream == "oper" else present)
            for kind, (path, _) in self._files.items()
        ]

    def abort(self) -> None:
        """Stop the threads, close the files."""
        self._threads.shutdown(cancel_futures=True)
        self._pending.clear()
        self._packer.close()
        for _, file in self._files.values():
            file.close()

    def _pieces(self, slab: Slab, statistics: Statistics | None) -> Iterator[_Piece]:
        if self._settings.publish_members:
            yield from self._of_members(slab, slab.values)
        name = describe(slab)
        for statistic, values in statistics.maps.items() if statistics else ():
            message = Message(slab.item, statistic=statistic, increment_hours=slab.increment_hours)
            kind = files.of_statistic(slab.item, statistic)
            percent = np.float32(100.0) if statistic.event else np.float32(1.0)
            yield _Piece((kind,), message, values * percent, f"{name}, {statistic.name}", self._is_new(message))

    def _of_members(self, slab: Slab, fields: NDArray[np.float32], grid_name: str = "") -> Iterator[_Piece]:
        """ECMWF's client looks for the control among the members, other readers in a file of its own: it is in both."""
        several = (files.of_members(slab.item, grid_name),) if self._header.perturbed else ()
        alone = (files.of_control(slab.item, grid_name),)
        for member, values in zip(slab.members, fields, strict=True):
            message = Message(slab.item, member, increment_hours=slab.increment_hours)
            kinds = alone + several if member == CONTROL else several
            yield _Piece(kinds, message, values, f"{describe(slab)}, member {member}", self._is_new(message))

    def _is_new(self, message: Message) -> bool:
        """Whether it is the first of its variable, template and sort of member."""
        template, _ = template_of(message, self._header)
        sort = (message.item.variable, template, message.member == CONTROL)
        is_new = sort not in self._seen
        self._seen.add(sort)
        return is_new

    def _encode(self, pieces: Sequence[_Piece]) -> list[bytes]:
        return [self._one(piece) for piece in pieces]

    def _one(self, piece: _Piece) -> bytes:
        draft = self._draft(piece)
        message = draft.message(self._packer.pack(piece.values))
        verify(message, draft, piece.values, piece.in_full)
        return message

    def _draft(self, piece: _Piece) -> Draft:
        header, settings, message = self._header, self._settings, piece.message
        parameter = message.item.field.grib
        return Draft(
            piece.name,
            parameter.discipline,
            identification(header.init_time, settings, message.data_type, parameter.number),
            self._grid,
            product_definition(message, header, settings.generating_process),
            (*surfaces(message.item), *template_of(message, header)[1]),
            _reader_keys(message, header) if piece.in_full else {},
        )

    def _append(self, tasks: int) -> None:
        for _ in range(tasks):
            pieces, future = self._pending.popleft()
            for piece, message in zip(pieces, future.result(), strict=True):
                for kind in piece.kinds:
                    self._file(kind).write(message)

    def _file(self, kind: Kind) -> IO[bytes]:
        if kind not in self._files:
            path = self._directory / Path(self._key(kind)).name
            self._files[kind] = path, path.open("wb")
        return self._files[kind][1]

    def _key(self, kind: Kind) -> str:
        return self._header.layout.fields(self._header.lead_hours, kind.stream, kind.file_type, "grib2")


class NativeGrib2Writer(Grib2Writer):
    """Writes the members of one lead time as GRIB2 on the model's own Gaussian grid."""

    def __init__(self, header: FrameHeader, settings: ProductSettings, directory: Path) -> None:
        self._grid_name = f"n{header.native_grid.latitude_count // 2}"
        self._open(header, settings, directory, header.native_grid)

    def _pieces(self, slab: Slab, statistics: Statistics | None) -> Iterator[_Piece]:
        if slab.native is not None:
            yield from self._of_members(slab, slab.native, self._grid_name)


def _reader_keys(message: Message, header: FrameHeader) -> dict[str, int | str]:
    """What a reader tells the message apart by, in the reader's own words."""
    end, length = header.valid_time, interval_hours(message.item, header)
    expected: dict[str, int | str] = {
        **_name_and_level(message),
        "dataDate": int(f"{header.init_time:%Y%m%d}"),
        "dataTime": int(f"{header.init_time:%H%M}"),
        "validityDate": int(f"{end:%Y%m%d}"),
        "validityTime": int(f"{end:%H%M}"),
        "stepRange": f"{header.lead_hours - length}-{header.lead_hours}" if length else str(header.lead_hours),
        "isMessageValid": 1,
    }
    return expected if message.member is None else expected | {"number": message.member}


def _name_and_level(message: Message) -> dict[str, int | str]:
    """Over an interval ecCodes calls some fields by other names, such as max_t, and others not."""
    item = message.item
    if item.field.name in LAYERS:
        lower, upper = LAYERS[item.field.name]
        return {"shortName": "thick", "typeOfLevel": "isobaricLayer", "topLevel": upper, "bottomLevel": lower}
    kind = "isobaricInhPa" if item.level is not None else SURFACES[item.field.name][2]
    name = "unknown" if item.field.grib.number >= LOCAL_USE else item.field.short_name
    named = {"shortName": name} if item.window is None else {}
    return {**named, "typeOfLevel": kind, "level": item.level or 0}
