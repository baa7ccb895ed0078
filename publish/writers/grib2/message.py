"""One message: sections of ours around the values that ecCodes has packed; read back before it counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import eccodes
import numpy as np
from numpy.typing import NDArray

from publish.writers.base import WriterError
from publish.writers.grib2.octets import Row, assemble, section, sections_of

_CCSDS = "grid_ccsds"
_PACKED = (5, 6, 7)
"""Sections of data representation, bit map and data."""


@dataclass
class Packer:
    """Packs values with CCSDS; any number of threads may use one at once."""

    points: int
    bits_per_value: int
    _free: SimpleQueue[int] = field(default_factory=SimpleQueue)

    def pack(self, values: NDArray[np.float32]) -> bytes:
        """Sections 5, 6 and 7 of the values.

        A constant field leaves a handle at zero bits per value, so that is set each time.
        """
        handle = self._handle()
        try:
            eccodes.codes_set(handle, "bitsPerValue", self.bits_per_value)
            eccodes.codes_set_values(handle, values.ravel().astype(np.float64))
            sections = sections_of(eccodes.codes_get_message(handle))
        finally:
            self._free.put(handle)
        return b"".join(sections[number] for number in _PACKED)

    def close(self) -> None:
        """Release what was taken; nothing may be packed afterwards."""
        while not self._free.empty():
            eccodes.codes_release(self._free.get())

    def _handle(self) -> int:
        try:
            return self._free.get_nowait()
        except Empty:
            handle = eccodes.codes_grib_new_from_samples("GRIB2")
        eccodes.codes_set(handle, "Ni", self.points)
        eccodes.codes_set(handle, "Nj", 1)
        eccodes.codes_set(handle, "packingType", _CCSDS)
        return handle


@dataclass(frozen=True)
class Draft:
    """A message but for its values: the rows of sections 1, 3 and 4, and what a reader calls it all.

    `own` are the rows that tell the message from others of the same variable and template. `name` is for people.
    """

    name: str
    discipline: int
    identification: tuple[Row, ...]
    grid: tuple[Row, ...]
    product: tuple[Row, ...]
    own: tuple[Row, ...]
    reader: Mapping[str, int | str]

    def message(self, packed: bytes) -> bytes:
        """The whole message."""
        return assemble(
            self.discipline,
            section(1, self.identification),
            section(3, self.grid),
            section(4, self.product),
            packed,
        )


def verify(message: bytes, draft: Draft, values: NDArray[np.float32], in_full: bool) -> None:
    """Let ecCodes decode the octets and compare: keys exactly, values to the precision of the packing.

    `in_full` compares every number of sections 1, 3 and 4 and all that readers call them; else what tells
    the message from one so compared, which has the same octets otherwise. Raises WriterError on the first
    difference.
    """
    handle = eccodes.codes_new_from_message(message)
    try:
        _compare_rows(handle, draft, (*draft.identification, *draft.grid, *draft.product) if in_full else draft.own)
        for key, value in draft.reader.items() if in_full else ():
            found = eccodes.codes_get(handle, key, ktype=type(value))
            if found != value:
                raise WriterError(f"GRIB message of {draft.name}: expected {key} = {value!r}, read back {found!r}")
        decoded = eccodes.codes_get_values(handle)
        bits = eccodes.codes_get_long(handle, "bitsPerValue")
    finally:
        eccodes.codes_release(handle)
    if decoded.size != values.size:
        raise WriterError(f"GRIB message of {draft.name}: expected {values.size} values, read back {decoded.size}")
    error, limit = float(np.abs(decoded - values.ravel()).max()), packing_tolerance(values, bits)
    if not error <= limit:
        raise WriterError(
            f"GRIB message of {draft.name}: values read back differ by {error:.3g}, more than {limit:.3g}"
        )


def _compare_rows(handle: int, draft: Draft, rows: tuple[Row, ...]) -> None:
    for row in rows:
        found = eccodes.codes_get_long(handle, row.key)
        if row.value is None:
            same = found == 2 ** (8 * row.octets) - 1 or bool(eccodes.codes_is_missing(handle, row.key))
        else:
            same = found == row.value
        if not same:
            raise WriterError(f"GRIB message of {draft.name}: expected {row.key} = {row.value!r}, read back {found!r}")


def packing_tolerance(values: NDArray[np.float32], bits: int) -> float:
    """Greatest admitted difference of a packed value.

    The packing step is a power of two (WMO-No. 306, regulation 92.9.4), at most twice the range over
    the number of steps; values are rounded to the nearest step, so half of that; and the reference
    value is rounded to float32.
    """
    span = float(values.max()) - float(values.min())
    step = span / max(2**bits - 1, 1) if bits else 0.0
    return step + 2.0**-23 * float(np.abs(values).max())
