"""Every field that can be published: the model's own, and those derived from them."""

from forecast.fields import LEVEL_FIELDS, SURFACE_FIELDS, Field, GribParameter

GEOPOTENTIAL_HEIGHT = Field(
    "geopotential_height",
    "gh",
    "Geopotential height",
    "m",
    "geopotential_height",
    GribParameter(0, 3, 5),
    (-1_300.0, 53_000.0),
)
"""Geopotential divided by standard gravity."""

WIND_SPEED = Field("wind_speed", "ws", "Wind speed", "m s-1", "wind_speed", GribParameter(0, 2, 1), (0.0, 250.0))
"""Length of the horizontal wind vector."""

VORTICITY = Field(
    "atmosphere_relative_vorticity",
    "vo",
    "Relative vorticity",
    "s-1",
    "atmosphere_relative_vorticity",
    GribParameter(0, 2, 12),
    (-5e-3, 5e-3),
)
"""Vertical component of the curl of the horizontal wind."""

DIVERGENCE = Field(
    "divergence_of_wind",
    "d",
    "Divergence",
    "s-1",
    "divergence_of_wind",
    GribParameter(0, 2, 13),
    (-5e-3, 5e-3),
)
"""Divergence of the horizontal wind on a pressure level."""

TOTAL_WATER = Field(
    "atmosphere_mass_content_of_water",
    "tcw",
    "Total column water",
    "kg m-2",
    "atmosphere_mass_content_of_water",
    GribParameter(0, 1, 51),
    (-5.0, 150.0),
)
"""Vapour, cloud liquid and cloud ice of the whole column."""

NET_PRECIPITATION = SURFACE_FIELDS["precipitation_minus_evaporation"]
"""What the ground has gained since the beginning of the forecast."""


def _thickness(lower: int, upper: int) -> Field:
    return Field(
        f"thickness_{lower}_{upper}",
        f"thick{lower}_{upper}",
        f"Thickness between {lower} and {upper} hPa",
        "m",
        "atmosphere_layer_thickness_expressed_as_geopotential_height_difference",
        GribParameter(0, 3, 12),
        (500.0, 8_000.0),
    )


LAYERS = {_thickness(*pressures).name: pressures for pressures in ((1000, 500), (1000, 850), (850, 500), (1000, 700))}
"""Lower and upper level [hPa] of the fields that are differences of height between two levels."""

_THICKNESSES = {name: _thickness(*pressures) for name, pressures in LAYERS.items()}

ON_LEVELS = LEVEL_FIELDS | {each.name: each for each in (GEOPOTENTIAL_HEIGHT, WIND_SPEED, VORTICITY, DIVERGENCE)}
"""Fields that are published on pressure levels."""

PUBLISHABLE = ON_LEVELS | SURFACE_FIELDS | {each.name: each for each in (TOTAL_WATER, NET_PRECIPITATION)} | _THICKNESSES
"""Every field that can be published, by name."""

ACCUMULATED = frozenset({NET_PRECIPITATION.name})
"""Fields that are sums over time since the beginning of the forecast."""

OPTIONAL = ACCUMULATED
"""Fields that not every model makes; they are published when the frame has them."""
