"""The section of the configuration that says what an analysis may look like; docs/quality.md tells of each check."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ingest.limits import DEFAULT_LIMITS, Limit, Limits, Mode
from ops.section import Section


def _in_order(limit: tuple[float, float]) -> tuple[float, float]:
    if not limit[0] <= limit[1]:
        raise ValueError("expected two limits, the one that warns first and not above the one that blocks")
    return limit


Pair = Annotated[tuple[float, float], AfterValidator(_in_order)]


def _limit(name: str, description: str) -> Any:
    return Field(default=tuple(getattr(DEFAULT_LIMITS, name)), description=description)


class QualitySettings(Section):
    """What an analysis may look like before a forecast starts from it: pairs of limits, to warn and to block."""

    mode: Mode = Field(
        default="block", description="block: refuse an analysis beyond the limits; warn: only tell; off: do not look."
    )
    missing: Pair = _limit("missing", "Values that are absent, as a share of a field's.")
    range: Pair = _limit("range", "Values outside the valid range of their variable, by the share of its width.")
    constant_area: Pair = _limit("constant_area", "Largest patch of one value, as a share of the globe's area.")
    repeated_levels: Pair = _limit(
        "repeated_levels", "Where a level repeats the level above, as a share of the globe's area."
    )
    mean_temperature: Pair = _limit("mean_temperature", "Departure of a level's global mean from climatology [K].")
    mean_geopotential: Pair = _limit(
        "mean_geopotential", "Departure of a level's global mean from the standard atmosphere, as a share."
    )
    mean_eastward_wind: Pair = _limit("mean_eastward_wind", "Global mean of a level, either sign [m s-1].")
    mean_northward_wind: Pair = _limit("mean_northward_wind", "Global mean of a level, either sign [m s-1].")
    mean_water: Pair = _limit("mean_water", "Departure of the global mean of column vapour from 24 [kg m-2].")
    hydrostatic: Pair = _limit(
        "hydrostatic", "Misfit of a layer's thickness to its temperature, as a multiple of what analyses never exceed."
    )
    hydrostatic_mean: Pair = _limit("hydrostatic_mean", "The same of the global mean, as a share of the thickness.")
    temperature_steps: Pair = _limit(
        "temperature_steps", "Distance of a level from those around it, as a multiple of what analyses never exceed."
    )
    wind_steps: Pair = _limit("wind_steps", "The same of each component of the wind.")
    humidity_steps: Pair = _limit(
        "humidity_steps", "Natural logarithm of a level's mean over the one that the levels around it give."
    )
    wind_speed: Pair = _limit("wind_speed", "Wind from 70 hPa down [m s-1].")
    wind_speed_aloft: Pair = _limit("wind_speed_aloft", "Wind above 70 hPa [m s-1].")
    wind_shear: Pair = _limit("wind_shear", "Change of the wind between levels [m s-1 per km].")
    geostrophic: Pair = _limit(
        "geostrophic", "1 less the correlation of the wind with the geostrophic one, 30 to 75 degrees, 100 to 850 hPa."
    )
    spikes: Pair = _limit(
        "spikes", "Difference from the neighbours to east and west, as a multiple of what analyses never exceed."
    )
    background_rms: Pair = _limit(
        "background_rms", "Root mean square difference from an earlier forecast, as a multiple of the usual one."
    )
    background_greatest: Pair = _limit(
        "background_greatest", "Greatest difference from an earlier forecast from 500 hPa up, in the same measure."
    )

    @property
    def limits(self) -> Limits:
        """The limits as the gate takes them."""
        return Limits(**{name: Limit(*getattr(self, name)) for name in Limits._fields})
