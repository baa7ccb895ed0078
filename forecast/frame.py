"""A frame: one lead time of a forecast, all members, as it leaves the model. No JAX."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import xarray as xr

from forecast.times import valid_time


@dataclass(frozen=True)
class Frame:
    """One decoded lead time.

    `data` has float32 variables named as in `forecast.fields`: the level fields with dimensions
    (member, level, longitude, latitude), `surface_air_pressure`,
    `atmosphere_mass_content_of_water_vapor` and `precipitation_minus_evaporation`, accumulated from
    the start, with (member, longitude, latitude), and
    `surface_geopotential` with (longitude, latitude). Coordinates: `member` (int), `level` [hPa, top
    first], `longitude` [degrees east, from 0], `latitude` [degrees north, south first] of the model's
    Gaussian grid. SI units. Member 0 is the control. A member that was dropped is absent.
    """

    init_time: datetime
    lead_time: timedelta
    data: xr.Dataset

    @property
    def valid_time(self) -> datetime:
        """The time this frame is for."""
        return valid_time(self.init_time, self.lead_time)

    @cached_property
    def members(self) -> tuple[int, ...]:
        """The members present, in order."""
        return tuple(int(member) for member in self.data["member"].values)
