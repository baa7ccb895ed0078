"""Fields read from our own files."""

from pathlib import Path

import eccodes
import numpy as np
from numpy.typing import NDArray

from forecast.fields import Field
from publish.writers.base import WriterError


def read_field(path: Path, field: Field, level: int | None) -> NDArray[np.float32]:
    """Values [latitude, longitude] of the first message of a field on a level.

    Raises WriterError when the file holds none.
    """
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            try:
                found = eccodes.codes_get_string(handle, "shortName"), eccodes.codes_get_long(handle, "level")
                if found == (field.short_name, level or 0):
                    rows = eccodes.codes_get_long(handle, "Nj")
                    return eccodes.codes_get_values(handle).reshape(rows, -1).astype(np.float32)
            finally:
                eccodes.codes_release(handle)
    raise WriterError(f"expected {field.short_name} at {level} hPa in {path.name}, found no such message")
