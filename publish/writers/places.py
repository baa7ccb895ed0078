"""All members' values at named places as one small JSON file per lead time, whatever the other formats are.

Values are those of the product grid, interpolated bilinearly, with six significant digits. A reader of a
point through time need not open the global files, and the plumes of a run are drawn from these files.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecast.grids import LatLonGrid
from publish.places import Place
from publish.product import ProductSettings, Slab
from publish.statistics import Statistics
from publish.writers.base import EncodedFile, FrameHeader

KIND = "places"
MEDIA_TYPE = "application/json"


class PlacesWriter:
    """Writes one lead time at the settings' places."""

    def __init__(self, header: FrameHeader, settings: ProductSettings, directory: Path) -> None:
        self._header = header
        self._places = settings.places
        self._key = header.layout.fields(header.lead_hours, "enfo", KIND, "json")
        self._path = directory / Path(self._key).name
        self._fields: list[dict[str, Any]] = []

    def write(self, slab: Slab, statistics: Statistics | None) -> None:
        """Add one field on one level at every place."""
        del statistics
        values = at_places(slab.values, self._header.grid, self._places)
        self._fields.append(
            {
                "name": slab.field.name,
                "short_name": slab.field.short_name,
                "level": slab.level,
                "interval": slab.window.name if slab.window else None,
                "units": slab.field.units,
                "values": [[_rounded(value) for value in row] for row in values],
            }
        )

    def close(self) -> list[EncodedFile]:
        """Finish the file."""
        header = self._header
        document = {
            "init_time": f"{header.init_time:%Y-%m-%dT%H:%M:%SZ}",
            "valid_time": f"{header.valid_time:%Y-%m-%dT%H:%M:%SZ}",
            "lead_hours": header.lead_hours,
            "members": list(header.members),
            "places": [vars(place) for place in self._places],
            "dimensions": ["place", "member"],
            "fields": self._fields,
        }
        self._path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        return [EncodedFile(self._key, self._path, KIND, MEDIA_TYPE, header.members)]

    def abort(self) -> None:
        """Nothing is open between calls."""


def at_places(values: NDArray[np.float32], grid: LatLonGrid, places: tuple[Place, ...]) -> NDArray[np.float64]:
    """Values [..., latitude, longitude] on the grid (90 N and 0 E first) at the places: [place, ...], bilinearly."""
    count = grid.longitudes.size
    rows = (90.0 - np.asarray([place.latitude for place in places])) / grid.spacing_degrees
    columns = np.asarray([place.longitude % 360.0 for place in places]) / grid.spacing_degrees
    top = np.clip(np.floor(rows).astype(int), 0, grid.latitudes.size - 2)
    left = np.floor(columns).astype(int) % count
    down, along = rows - top, columns - np.floor(columns)
    right = (left + 1) % count

    def at(row: NDArray[np.intp], column: NDArray[np.intp]) -> NDArray[np.float64]:
        return values[..., row, column].astype(np.float64)

    upper = at(top, left) * (1 - along) + at(top, right) * along
    lower = at(top + 1, left) * (1 - along) + at(top + 1, right) * along
    return np.moveaxis(upper * (1 - down) + lower * down, -1, 0)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
