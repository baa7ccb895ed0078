"""Prescribed sea surface temperature and sea ice: the analysis held for a while, or a field for each day.

An analysis that foresees its forcing carries, besides the fields themselves, `sea_surface_temperature_by_day` and
`sea_ice_area_fraction_by_day` [day, longitude, latitude], the first day being its own time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
import xarray as xr

from forecast.errors import AnalysisMismatch, ForcingNotValid
from forecast.fields import FORCING_FIELDS
from forecast.times import require_utc

PERSISTENCE_HORIZON = timedelta(days=45)
"""How long the sea surface of an analysis may be held: beyond, the season has moved on."""


DAY = timedelta(days=1)
BY_DAY = "_by_day"


class Forcing(Protocol):
    """What the sea surface is, at each time of a forecast."""

    @property
    def fields(self) -> Mapping[str, np.ndarray]:
        """All that it is made of, by name."""
        ...

    def at(self, moment: datetime) -> Mapping[str, np.ndarray]:
        """The forcing fields [longitude, latitude] for a time; ForcingNotValid where they reach not that far."""
        ...


def forcing_of(analysis: xr.Dataset, analysed_at: datetime) -> Forcing:
    """The forcing that a canonical analysis carries: a field for each day, or one to be held."""
    if all(f"{name}{BY_DAY}" in analysis for name in FORCING_FIELDS):
        return DailyForcing.from_analysis(analysis, analysed_at)
    return PersistedForcing.from_analysis(analysis, analysed_at)


@dataclass(frozen=True)
class PersistedForcing:
    """Forcing fields [longitude, latitude] in SI units, analysed at `analysed_at` and held for `horizon`."""

    fields: Mapping[str, np.ndarray]
    analysed_at: datetime
    horizon: timedelta = PERSISTENCE_HORIZON

    @classmethod
    def from_analysis(cls, analysis: xr.Dataset, analysed_at: datetime) -> "PersistedForcing":
        """The forcing in a canonical analysis; AnalysisMismatch when it is absent or has missing values."""
        return cls({name: _values(analysis, name, ()) for name in FORCING_FIELDS}, require_utc(analysed_at))

    def at(self, moment: datetime) -> Mapping[str, np.ndarray]:
        """The fields for a time; ForcingNotValid when it lies before the analysis or beyond the horizon."""
        age = require_utc(moment) - self.analysed_at
        if not timedelta(0) <= age <= self.horizon:
            raise ForcingNotValid(
                f"sea surface temperature and sea ice were analysed at {self.analysed_at:%Y-%m-%d %H:%M} UTC and are "
                f"held for {self.horizon.days} days; the forecast asks for {moment:%Y-%m-%d %H:%M} UTC: "
                "give newer forcing, or forecast fewer days"
            )
        return self.fields


@dataclass(frozen=True)
class DailyForcing:
    """Forcing fields [day, longitude, latitude] in SI units, the first at `analysed_at`, linear between days."""

    fields: Mapping[str, np.ndarray]
    analysed_at: datetime

    @classmethod
    def from_analysis(cls, analysis: xr.Dataset, analysed_at: datetime) -> "DailyForcing":
        """The forcing in a canonical analysis; AnalysisMismatch when it has missing values."""
        fields = {name: _values(analysis, f"{name}{BY_DAY}", ("day",)) for name in FORCING_FIELDS}
        return cls(fields, require_utc(analysed_at))

    def at(self, moment: datetime) -> Mapping[str, np.ndarray]:
        """The fields for a time; ForcingNotValid when it lies before the first day or after the last."""
        last = min(len(values) for values in self.fields.values()) - 1
        age = (require_utc(moment) - self.analysed_at) / DAY
        if not 0 <= age <= last:
            raise ForcingNotValid(
                f"sea surface temperature and sea ice are foreseen from {self.analysed_at:%Y-%m-%d %H:%M} UTC "
                f"for {last} days; the forecast asks for {moment:%Y-%m-%d %H:%M} UTC: forecast fewer days, or "
                "fetch the analysis again"
            )
        day = min(int(age), max(last - 1, 0))
        share = np.float32(age - day)
        return {name: _between(values, day, share) for name, values in self.fields.items()}


def _between(values: np.ndarray, day: int, share: np.float32) -> np.ndarray:
    if share == 0.0:
        return values[day]
    return values[day] + share * (values[day + 1] - values[day])


def _values(analysis: xr.Dataset, name: str, leading: tuple[str, ...]) -> np.ndarray:
    if name not in analysis:
        raise AnalysisMismatch(f"the analysis has no {name}; the model needs {', '.join(FORCING_FIELDS)}")
    values = analysis[name].transpose(*leading, "longitude", "latitude").values.astype(np.float32)
    if not np.isfinite(values).all():
        raise AnalysisMismatch(f"{name} has {int((~np.isfinite(values)).sum())} missing values, expected none")
    return values
