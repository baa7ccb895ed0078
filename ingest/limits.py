"""What an analysis may look like: the limits that readers and the quality gate hold it to."""

from typing import Literal, NamedTuple

Mode = Literal["block", "warn", "off"]
"""What the gate does about an analysis that is beyond the limits."""


class Limit(NamedTuple):
    """Above `warn` a measure is worth telling, above `block` nothing may start from it."""

    warn: float
    block: float


class Limits(NamedTuple):
    """The limits of the quality gate, one for each measure; docs/quality.md tells what each means.

    Those of thicknesses, steps and spikes are multiples of the bounds below, which readers of files
    hold every analysis to.
    """

    missing: Limit = Limit(0.0, 0.0)
    range: Limit = Limit(0.0, 0.0)
    constant_area: Limit = Limit(0.001, 0.005)
    repeated_levels: Limit = Limit(0.5, 1.0)
    mean_temperature: Limit = Limit(8.0, 15.0)
    mean_geopotential: Limit = Limit(0.03, 0.06)
    mean_eastward_wind: Limit = Limit(40.0, 70.0)
    mean_northward_wind: Limit = Limit(4.0, 10.0)
    mean_water: Limit = Limit(8.0, 14.0)
    hydrostatic: Limit = Limit(0.85, 1.0)
    hydrostatic_mean: Limit = Limit(0.006, 0.015)
    temperature_steps: Limit = Limit(0.6, 1.0)
    wind_steps: Limit = Limit(0.85, 1.0)
    humidity_steps: Limit = Limit(0.5, 1.0)
    wind_speed: Limit = Limit(120.0, 160.0)
    wind_speed_aloft: Limit = Limit(185.0, 220.0)
    wind_shear: Limit = Limit(90.0, 150.0)
    geostrophic: Limit = Limit(0.25, 0.5)
    spikes: Limit = Limit(0.7, 1.0)
    background_rms: Limit = Limit(2.0, 5.0)
    background_greatest: Limit = Limit(10.0, 20.0)


DEFAULT_LIMITS = Limits()

SPIKE_BOUNDS = {
    "air_temperature": 35.0,
    "eastward_wind": 80.0,
    "northward_wind": 80.0,
    "geopotential": 3_000.0,
    "geopotential_height": 3_000.0,
    "mass_fraction_of_cloud_liquid_water_in_air": 5e-3,
    "mass_fraction_of_cloud_ice_in_air": 5e-3,
    "cloud_mixing_ratio": 5e-3,
    "cloud_ice_mixing_ratio": 5e-3,
}
"""Greatest difference from the mean of the neighbours to the east and west that an analysis can have."""

THICKNESS_SHARE, THICKNESS_SHARE_ALOFT, ALOFT = 0.08, 0.05, 500
"""Greatest misfit of a layer's thickness to its temperature anywhere, as a share, below and above 500 hPa.

Analyses reach 0.05 where they extrapolate below the ground, and 0.03 in the stratosphere.
"""

THICKNESS_FLOOR = 300.0
"""Misfit [m2 s-2] that packing and extrapolation below the ground can leave in a thin layer."""

WIND_STEP_BOUNDS = ((400, 5.0, 8.0), (100, 12.0, 20.0), (0, 25.0, 40.0))
"""From this level [hPa] down: greatest root-mean-square distance [m s-1] of a wind component from the
levels around it, and of the first or last level from the next; analyses have less than half of it."""

TEMPERATURE_STEP_BOUNDS = ((125, 4.0), (20, 8.0), (0, 15.0))
"""From this level [hPa] down: greatest root-mean-square distance [K] of temperature from the levels around
it; analyses have less than half of it."""

TROPOSPHERE = 70
"""Level [hPa] down from which the limit of the wind is that of jet streams."""
