"""An analysis as the checks of the quality gate see it, and how a measure becomes a finding."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.fields import FORCING_FIELDS, LEVEL_FIELDS
from forecast.grids import RegularGrid
from ingest.analysis import Analysis
from ingest.fill import FILLED
from ingest.limits import Limit
from ingest.quality.report import Finding, Severity

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class State:
    """Fields [level, longitude, latitude] and [longitude, latitude] by name, levels [hPa] top first.

    `filled` names the levels of each field that no file held.
    """

    levels: tuple[int, ...]
    grid: RegularGrid
    fields: dict[str, Array]
    filled: dict[str, frozenset[int]]

    @classmethod
    def of(cls, analysis: Analysis) -> "State":
        """The state of an analysis."""
        data = analysis.dataset
        filled = {
            name: frozenset(level for one in origins if one["source"] == FILLED for level in one["levels"])
            for name, origins in analysis.provenance.items()
        }
        return cls(
            tuple(map(int, data["level"].values)),
            RegularGrid(data["longitude"].values, data["latitude"].values),
            {name: _values(data[name]) for name in (*LEVEL_FIELDS, *FORCING_FIELDS) if name in data},
            filled,
        )

    @property
    def spacing(self) -> float:
        """Distance between longitudes [degrees]."""
        return 360.0 / self.grid.longitudes.size

    def slices(self) -> Iterator[tuple[str, int | None, Array]]:
        """Every horizontal field [longitude, latitude] with its name and level."""
        for name, values in self.fields.items():
            if values.ndim == 2:
                yield name, None, values
            else:
                for level, field in zip(self.levels, values, strict=True):
                    yield name, level, field


def _values(variable: xr.DataArray) -> Array:
    return variable.transpose(..., "longitude", "latitude").values


@dataclass(frozen=True)
class Subject:
    """What is measured: which check, with which limit, of which variable and level, on which grid."""

    check: str
    limit: Limit
    variable: str
    level: int | None
    grid: RegularGrid

    def worst(self, measure: Array, text: str, *values: Array | float) -> Iterator[Finding]:
        """A finding where a measure [longitude, latitude] is greatest, if that is beyond the limit.

        `values` are formatted into the text, taken at that place where they are fields. A measure that is
        no number is beyond every limit.
        """
        comparable = np.where(np.isnan(measure), np.inf, measure)
        at = np.unravel_index(int(np.argmax(comparable)), comparable.shape)
        here = [float(value[at]) if isinstance(value, np.ndarray) else value for value in values]
        beyond = int((comparable > self.limit.warn).sum())
        more = f", and {beyond - 1} more places" if beyond > 1 else ""
        yield from self.finding(float(comparable[at]), text.format(*here), (int(at[0]), int(at[1])), more)

    def finding(
        self, measure: float, text: str, at: tuple[int, int] | None = None, more: str = ""
    ) -> Iterator[Finding]:
        """A finding if the measure is beyond the limit; `at` is the place, by index of longitude and latitude."""
        if not measure > self.limit.warn:
            return
        severity: Severity = "block" if measure > self.limit.block else "warn"
        latitude = longitude = None
        if at is not None:
            longitude, latitude = float(self.grid.longitudes[at[0]]) % 360.0, float(self.grid.latitudes[at[1]])
            side = "N" if latitude >= 0 else "S"
            text = f"{text} at {abs(latitude):.2f} {side} {longitude:.2f} E{more}"
        yield Finding(severity, self.check, self.variable, self.level, latitude, longitude, measure, self.limit, text)
