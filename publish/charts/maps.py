"""Maps of an ensemble: one quantity shaded, perhaps another as contours, a panel per lead time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from numpy.typing import NDArray

from publish.charts import style
from publish.charts.basemap import WORLD
from publish.charts.extremes import centres
from publish.charts.fields import EnsembleFields
from publish.charts.quantities import Quantity
from publish.charts.style import Heading

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]

_CLASSES = 10
_PERCENT = (10.0, 25.0, 50.0, 75.0, 90.0, 100.0)


def mean(values: Array) -> Array:
    """Ensemble mean of [member, ...]."""
    return values.mean(axis=0)


def spread(values: Array) -> Array:
    """Standard deviation about the ensemble mean of [member, ...]."""
    return values.std(axis=0)


def chance_above(threshold: float) -> Statistic:
    """Share of members above the threshold [%]."""
    return lambda values: 100.0 * (values > threshold).mean(axis=0)


def chance_below(threshold: float) -> Statistic:
    """Share of members below the threshold [%]."""
    return lambda values: 100.0 * (values < threshold).mean(axis=0)


@dataclass(frozen=True)
class Shading:
    """A statistic of a quantity as colours. `bounds` limit the classes; None: round ones from zero, for all panels."""

    quantity: Quantity
    statistic: Statistic
    label: str
    colours: Sequence[str]
    bounds: Sequence[float] | None = None
    extend: Literal["max", "both", "neither"] = "max"


@dataclass(frozen=True)
class Contours:
    """The mean of a quantity as lines every `step`, `heavy` ones bold; `centres` marks highs and lows."""

    quantity: Quantity
    step: float
    heavy: tuple[float, ...] = ()
    colour: str = "#7a1f3d"
    centres: bool = False


@dataclass(frozen=True)
class Map:
    """What one picture shows."""

    name: str
    title: str
    subtitle: str
    shading: Shading
    contours: Contours | None = None


def draw(chart: Map, panels: Sequence[EnsembleFields], heading: Heading, path: Path) -> None:
    """Write the picture, a world map per lead time, all on one scale. Raises Missing when a field is not there."""
    shaded = [chart.shading.statistic(chart.shading.quantity.of(panel)) for panel in panels]
    bounds = np.asarray(chart.shading.bounds if chart.shading.bounds else class_bounds(shaded))
    columns = 1 if len(panels) == 1 else 2
    rows = -(-len(panels) // columns)
    figure, axes = _layout(columns, rows)
    shadings = [
        _panel(axis, chart, panel, values, bounds) for axis, panel, values in zip(axes, panels, shaded, strict=False)
    ]
    style.head(figure, chart.title, chart.subtitle, heading)
    _legend(figure, chart.shading, shadings[0], bounds)
    style.foot(figure, notes(panels, "Equal Earth projection."), heading)
    style.save(figure, path)


def class_bounds(values: Sequence[Array]) -> Array:
    """Limits of shading classes: from zero, equal round steps, nearly all values inside."""
    largest = max(float(np.percentile(each, 99.5)) for each in values)
    steps = [base * 10.0**power for power in range(-3, 5) for base in (1.0, 2.0, 2.5, 5.0)]
    step = next((each for each in steps if each * _CLASSES >= largest), steps[-1])
    return np.arange(_CLASSES + 1, dtype=np.float64) * step


def notes(panels: Sequence[EnsembleFields], projection: str) -> list[str]:
    """What the foot says of the ensemble and the map."""
    counts = sorted({len(panel.members) for panel in panels})
    members = " to ".join(map(str, counts)) if len(counts) > 1 else str(counts[0])
    grid = f"Grid {panels[0].grid.spacing_degrees:g}°."
    return [f"{members} members, control included.", grid, projection, "Coastlines: Natural Earth."]


def caption(axis: Axes, panel: EnsembleFields) -> None:
    """Lead time at the left above the panel, valid time at the right."""
    each = {"transform": axis.transAxes, "size": 12, "va": "bottom"}
    axis.text(0.0, 1.012, f"Day {panel.lead_hours / 24:g}   T+{panel.lead_hours} h", weight="bold", **each)
    axis.text(1.0, 1.012, f"valid {panel.valid_time:%a %d %b %Y %H} UTC", ha="right", **each)


_MARGIN, _HEAD, _FOOT, _CAPTION, _GAP = 0.3, 1.0, 0.95, 0.34, 0.16


def _layout(columns: int, rows: int) -> tuple[Figure, list[Axes]]:
    map_width = 11.4 if columns == 1 else 8.2
    map_height = map_width * 0.4871
    width = 2 * _MARGIN + columns * map_width + (columns - 1) * _GAP * 2
    height = _HEAD + rows * (map_height + _CAPTION + _GAP) + _FOOT
    figure = style.sheet(width, height)
    places = []
    for row in range(rows):
        bottom = height - _HEAD - (row + 1) * (map_height + _CAPTION) - row * _GAP
        for column in range(columns):
            left = _MARGIN + column * (map_width + 2 * _GAP)
            places.append(figure.add_axes((left / width, bottom / height, map_width / width, map_height / height)))
    for axis in places:
        axis.set_axis_off()
    return figure, places


def _panel(axis: Axes, chart: Map, panel: EnsembleFields, values: Array, bounds: Array) -> QuadContourSet:
    x, y, shown = WORLD.display(panel.grid, values)
    colours = style.scale(chart.shading.colours)
    norm = BoundaryNorm(bounds, colours.N, extend=chart.shading.extend)
    shown = np.clip(shown, values.min(), values.max())
    shading = axis.contourf(x, y, shown, levels=bounds, cmap=colours, norm=norm, extend=chart.shading.extend)
    WORLD.prepare(axis)
    if chart.contours is not None:
        _contours(axis, chart.contours, panel)
    caption(axis, panel)
    return shading


def _contours(axis: Axes, wanted: Contours, panel: EnsembleFields) -> None:
    field = mean(wanted.quantity.of(panel))
    x, y, shown = WORLD.display(panel.grid, field)
    origin = wanted.heavy[0] if wanted.heavy else 0.0
    first = origin + wanted.step * np.floor((shown.min() - origin) / wanted.step)
    levels = np.arange(first, shown.max() + wanted.step, wanted.step)
    widths = [1.7 if level in wanted.heavy else 0.7 for level in levels]
    lines = axis.contour(x, y, shown, levels=levels, colors=wanted.colour, linewidths=widths, zorder=4)
    labelled = levels[np.round((levels - origin) / wanted.step) % 2 == 0]
    for label in axis.clabel(lines, levels=labelled, fmt=_number, fontsize=7, inline_spacing=3):
        label.set_path_effects(style.HALO)
    if wanted.centres:
        _mark_centres(axis, panel, field)


def _mark_centres(axis: Axes, panel: EnsembleFields, field: Array) -> None:
    for centre in centres(panel.grid, field):
        x, y = WORLD.project(np.asarray(centre.longitude), np.asarray(centre.latitude))
        letter, colour = ("H", "#1b4f9c") if centre.high else ("L", "#b3261e")
        each = {"color": colour, "ha": "center", "path_effects": style.HALO, "zorder": 8, "clip_on": True}
        axis.text(float(x), float(y), letter, size=12, weight="bold", va="bottom", **each)
        axis.text(float(x), float(y), f"{centre.value:.0f}", size=7.5, va="top", **each)


def _legend(figure: Figure, shading: Shading, drawn: QuadContourSet, bounds: Array) -> None:
    height = figure.get_figheight()
    axis = figure.add_axes((0.28, 0.62 / height, 0.48, 0.17 / height))
    style.colour_bar(axis, drawn, shading.label, bounds.tolist())


def _number(level: float) -> str:
    return f"{level:.0f}".replace("-", "−")
