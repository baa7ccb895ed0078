"""Maps of ensemble products as PNG files, drawn without a display."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm, Colormap, LinearSegmentedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from publish.coastlines import coastlines
from publish.projection import equal_earth

_INK = "#1b1f27"
_FAINT = "#8a909c"
_MEAN = "#7a1f3d"
_CONTOUR_DAM = 8
_HEAVY_DAM = 552
_SHADES = 10
_DISPLAY_DEGREES = 1.0
_WIDTH, _HEAD, _PANEL, _MAP, _FOOT = 11.0, 0.85, 5.65, 5.2, 0.95
"""Sizes [inches]: figure width; heights of title, of a panel with its caption, of its map, of the legend."""
_SPREAD_COLOURS = ("#ffffff", "#e3eef6", "#bcd9ea", "#86bfd8", "#4f9fc4", "#2a7db0", "#1b5a94", "#163d72", "#101f4a")
"""White to deep blue with even steps of lightness, so that it reads in any colour vision and in grey."""


@dataclass(frozen=True)
class EnsembleMap:
    """Ensemble mean and spread of one field at one lead time.

    `mean` and `spread` are [latitude, longitude] in metres, `latitudes` from 90 N, `longitudes` from 0 E.
    """

    lead_hours: int
    valid_time: datetime
    latitudes: NDArray[np.float64]
    longitudes: NDArray[np.float64]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    member_count: int


def mean_and_spread(maps: Sequence[EnsembleMap], model: str, init_time: datetime, path: Path) -> None:
    """Write a PNG with one world map per lead time: height of 500 hPa, mean as contours, spread shaded.

    All maps share one scale of spread, so that its growth shows.
    """
    height = _HEAD + _FOOT + _PANEL * len(maps)
    figure = Figure(figsize=(_WIDTH, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    bottoms = [height - _HEAD - _PANEL * (row + 1) for row in range(len(maps))]
    axes = [figure.add_axes((0.02, bottom / height, 0.96, _MAP / height)) for bottom in bottoms]
    bounds = spread_bounds([each.spread for each in maps])
    colours = LinearSegmentedColormap.from_list("spread", _SPREAD_COLOURS)
    shading = [_draw(axis, each, bounds, colours) for axis, each in zip(axes, maps, strict=True)]
    _titles(figure, model, init_time)
    _colour_bar(figure, shading[-1], bounds, height)
    _footer(figure, maps, height)
    figure.savefig(path, format="png", metadata={"Software": None})


def spread_bounds(spreads: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Limits of the shading classes [m]: from zero, equal round steps, nearly all values inside."""
    largest = max(float(np.percentile(spread, 99.5)) for spread in spreads)
    steps = [base * 10.0**power for power in range(-3, 5) for base in (1.0, 2.0, 2.5, 5.0)]
    step = next((each for each in steps if each * _SHADES >= largest), steps[-1])
    return np.arange(_SHADES + 1, dtype=np.float64) * step


def _draw(axis: Axes, each: EnsembleMap, bounds: NDArray[np.float64], colours: Colormap) -> QuadContourSet:
    longitudes, latitudes, mean = _for_display(each, each.mean)
    spread = np.maximum(_for_display(each, each.spread)[2], 0.0)
    x, y = equal_earth(longitudes[np.newaxis, :], latitudes[:, np.newaxis])
    norm = BoundaryNorm(bounds, colours.N, extend="max")
    shading = axis.contourf(x, y, spread, levels=bounds, cmap=colours, norm=norm, extend="max")
    _coast_and_frame(axis)
    _contours(axis, x, y, mean / 10.0)
    axis.set_aspect("equal")
    axis.set_axis_off()
    axis.margins(0.0)
    caption = {"transform": axis.transAxes, "size": 12.5, "color": _INK, "va": "bottom"}
    axis.text(0.0, 1.015, f"Day {each.lead_hours / 24:g}   T+{each.lead_hours} h", weight="bold", **caption)
    axis.text(1.0, 1.015, f"valid {each.valid_time:%a %d %b %Y %H} UTC", ha="right", **caption)
    return shading


def _for_display(
    each: EnsembleMap, values: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes -180 to 180, latitudes south first, and values interpolated with cubic splines to the display grid."""
    spacing = float(each.longitudes[1] - each.longitudes[0])
    around = np.concatenate([values, values, values[:, :1]], axis=1).astype(np.float64)[::-1]
    longitudes = np.concatenate([each.longitudes - 360.0, each.longitudes, [360.0]])
    step = min(spacing, _DISPLAY_DEGREES)
    fine_longitudes = np.linspace(-180.0, 180.0, round(360.0 / step) + 1)
    fine_latitudes = np.linspace(-90.0, 90.0, round(180.0 / step) + 1)
    spline = RectBivariateSpline(each.latitudes[::-1], longitudes, around)
    return fine_longitudes, fine_latitudes, spline(fine_latitudes, fine_longitudes)


def _coast_and_frame(axis: Axes) -> None:
    for line in coastlines():
        axis.plot(*equal_earth(line[:, 0], line[:, 1]), color=_INK, linewidth=0.7, solid_joinstyle="round")
    along = np.linspace(-90.0, 90.0, 181)
    for longitude in range(-120, 180, 60):
        axis.plot(*equal_earth(np.asarray(float(longitude)), along), color=_FAINT, linewidth=0.35, zorder=1.5)
    for latitude in range(-60, 90, 30):
        axis.plot(*equal_earth(2 * along, np.asarray(float(latitude))), color=_FAINT, linewidth=0.35, zorder=1.5)
    x, y = equal_earth(np.repeat([-180.0, 180.0], 181), np.concatenate([along, along[::-1]]))
    axis.plot(np.append(x, x[0]), np.append(y, y[0]), color=_INK, linewidth=0.9)


def _contours(axis: Axes, x: NDArray[np.float64], y: NDArray[np.float64], decametres: NDArray[np.float64]) -> None:
    first = _HEAVY_DAM + _CONTOUR_DAM * np.floor((decametres.min() - _HEAVY_DAM) / _CONTOUR_DAM)
    levels = np.arange(first, decametres.max() + _CONTOUR_DAM, _CONTOUR_DAM)
    widths = [1.9 if level == _HEAVY_DAM else 0.95 for level in levels]
    lines = axis.contour(x, y, decametres, levels=levels, colors=_MEAN, linewidths=widths)
    labelled = levels[(levels - _HEAVY_DAM) % (2 * _CONTOUR_DAM) == 0]
    for label in axis.clabel(lines, levels=labelled, fmt="%d", fontsize=7.5):
        label.set_path_effects([withStroke(linewidth=1.5, foreground="white")])


def _titles(figure: Figure, model: str, init_time: datetime) -> None:
    height = figure.get_figheight()
    figure.text(
        0.02, 1 - 0.32 / height, "Geopotential height at 500 hPa", size=17, weight="bold", color=_INK, va="center"
    )
    figure.text(
        0.02,
        1 - 0.62 / height,
        f"Ensemble mean (contours every {_CONTOUR_DAM} dam, {_HEAVY_DAM} heavy) and spread (shaded, m)",
        size=11.5,
        color=_INK,
        va="center",
    )
    figure.text(0.98, 1 - 0.32 / height, model, size=13, weight="bold", color=_INK, va="center", ha="right")
    figure.text(
        0.98, 1 - 0.62 / height, f"from {init_time:%a %d %b %Y %H} UTC", size=11.5, color=_INK, va="center", ha="right"
    )


def _colour_bar(figure: Figure, shading: QuadContourSet, bounds: NDArray[np.float64], height: float) -> None:
    place = figure.add_axes((0.2, 0.56 / height, 0.6, 0.16 / height))
    bar = figure.colorbar(shading, cax=place, orientation="horizontal", ticks=bounds, extend="max", drawedges=True)
    bar.ax.set_xticklabels([f"{bound:g}" for bound in bounds])
    bar.ax.tick_params(labelsize=9.5, length=0, color=_INK)
    bar.outline.set_linewidth(0.6)
    figure.text(0.192, 0.64 / height, "Spread (m)", size=10, color=_INK, ha="right", va="center")


def _footer(figure: Figure, maps: Sequence[EnsembleMap], height: float) -> None:
    counts = sorted({each.member_count for each in maps})
    members = " to ".join(map(str, counts)) if len(counts) > 1 else str(counts[0])
    spacing = maps[0].longitudes[1] - maps[0].longitudes[0]
    text = (
        f"{members} members, control included. Spread: standard deviation about the mean. "
        f"Grid {spacing:g}°. Equal Earth projection. Coastlines: Natural Earth."
    )
    figure.text(0.02, 0.12 / height, text, size=8, color=_FAINT, va="center")
