"""Prescribed sea surface temperature and sea ice: what is known at the analysis, held for a while."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import xarray as xr

from forecast.errors import AnalysisMismatch, ForcingNotValid
from forecast.fields import FORCING_FIELDS
from forecast.times import require_utc

PERSISTENCE_HORIZON = timedelta(days=45)
"""How long the sea surface of an analysis may be held: beyond, the season has moved on."""


@dataclass(frozen=True)
class PersistedForcing:
    """Forcing fields [longitude, latitude] in SI units, analysed at `analysed_at` and held for `horizon`."""

    fields: Mapping[str, np.ndarray]
    analysed_at: datetime
    horizon: timedelta = PERSISTENCE_HORIZON

    @classmethod
    def from_analysis(cls, analysis: xr.Dataset, analysed_at: datetime) -> "PersistedForcing":
        """The forcing in a canonical analysis; AnalysisMismatch when it is absent or has missing values."""
        fields = {}
        for name in FORCING_FIELDS:
            if name not in analysis:
                raise AnalysisMismatch(f"the analysis has no {name}; the model needs {', '.join(FORCING_FIELDS)}")
            values = analysis[name].transpose("longitude", "latitude").values.astype(np.float32)
            if not np.isfinite(values).all():
                raise AnalysisMismatch(f"{name} has {int((~np.isfinite(values)).sum())} missing values, expected none")
            fields[name] = values
        return cls(fields, require_utc(analysed_at))

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
