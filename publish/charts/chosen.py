"""Which charts a run has."""

from publish.charts import maps, style
from publish.charts.basemap import NORTH, SOUTH
from publish.charts.maps import Contours, Map, Shading
from publish.charts.quantities import (
    HEIGHT_250,
    HEIGHT_500,
    SEA_LEVEL_PRESSURE,
    TEMPERATURE_850,
    WATER_VAPOUR,
    WIND_250,
    WIND_850,
)
from publish.charts.spaghetti import Spaghetti

_CHANCES = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 100.0)
_INK = "#2b2f38"

MAPS = (
    Map(
        "z500-mean-spread",
        "Geopotential height at 500 hPa",
        "Ensemble mean (contours every 8 dam, 552 heavy) and spread (shaded)",
        Shading(HEIGHT_500, maps.spread, "Spread (dam)", style.SPREAD),
        Contours(HEIGHT_500, 8.0, heavy=(552.0,)),
    ),
    Map(
        "msl-mean-spread",
        "Mean sea level pressure",
        "Ensemble mean (contours every 4 hPa, 1000 heavy; centres of highs and lows) and spread (shaded)",
        Shading(SEA_LEVEL_PRESSURE, maps.spread, "Spread (hPa)", style.SPREAD),
        Contours(SEA_LEVEL_PRESSURE, 4.0, heavy=(1000.0,), centres=True),
    ),
    Map(
        "t850-mean",
        "Temperature at 850 hPa and height at 500 hPa",
        "Ensemble mean temperature (shaded) and height (contours every 8 dam, 552 heavy)",
        Shading(TEMPERATURE_850, maps.mean, "Temperature (°C)", style.COLD_WARM, range(-36, 37, 4), "both"),
        Contours(HEIGHT_500, 8.0, heavy=(552.0,), colour=_INK),
    ),
    Map(
        "tcwv-mean",
        "Total column water vapour and mean sea level pressure",
        "Ensemble mean water vapour (shaded) and pressure (contours every 4 hPa, 1000 heavy)",
        Shading(WATER_VAPOUR, maps.mean, "Water vapour (kg m⁻²)", style.MOISTURE, range(0, 65, 5)),
        Contours(SEA_LEVEL_PRESSURE, 4.0, heavy=(1000.0,), colour=_INK),
    ),
    Map(
        "wind250-mean",
        "Wind speed and height at 250 hPa",
        "Ensemble mean of the speed (shaded from 25 m s⁻¹) and of the height (contours every 16 dam, 1032 heavy)",
        Shading(WIND_250, maps.mean, "Wind speed (m s⁻¹)", style.SPEED, (25, 30, 35, 40, 45, 50, 60, 70, 80)),
        Contours(HEIGHT_250, 16.0, heavy=(1032.0,), colour=_INK),
    ),
    Map(
        "wind850-above-15",
        "Strong wind at 850 hPa",
        "Chance of more than 15 m s⁻¹ (shaded: share of members) and mean sea level pressure (every 8 hPa)",
        Shading(WIND_850, maps.chance_above(15.0), "Chance (%)", style.CHANCE, _CHANCES, "neither"),
        Contours(SEA_LEVEL_PRESSURE, 8.0, heavy=(1000.0,), colour=_INK),
    ),
    Map(
        "t850-below-0",
        "Frost at 850 hPa",
        "Chance of less than 0 °C (shaded: share of members) and mean height at 500 hPa (every 8 dam)",
        Shading(TEMPERATURE_850, maps.chance_below(0.0), "Chance (%)", style.CHANCE, _CHANCES, "neither"),
        Contours(HEIGHT_500, 8.0, heavy=(552.0,), colour=_INK),
    ),
)

SPAGHETTI = (
    Spaghetti(
        "z500-spaghetti-north", f"{HEIGHT_500.title}, northern hemisphere", HEIGHT_500, (516.0, 552.0, 576.0), NORTH
    ),
    Spaghetti(
        "z500-spaghetti-south", f"{HEIGHT_500.title}, southern hemisphere", HEIGHT_500, (516.0, 552.0, 576.0), SOUTH
    ),
)
