"""Spaghetti: the same few contours of every member on a map of a hemisphere, a panel per lead time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from numpy.typing import NDArray

from publish.charts import style
from publish.charts.basemap import Basemap
from publish.charts.fields import EnsembleFields
from publish.charts.maps import caption, mean, notes
from publish.charts.quantities import Quantity
from publish.charts.style import Heading

COLOURS = ("#0b5fa5", "#0f7b6c", "#c2571a")
"""Blue, green-blue and orange of different lightness (after Okabe and Ito's palette), cold to warm."""


@dataclass(frozen=True)
class Spaghetti:
    """What one picture shows: contours of `quantity` at as many `levels` as there are colours."""

    name: str
    title: str
    quantity: Quantity
    levels: tuple[float, float, float]
    basemap: Basemap


def draw(chart: Spaghetti, panels: Sequence[EnsembleFields], heading: Heading, path: Path) -> None:
    """Write the picture. Raises Missing when the field is not there."""
    figure, axes = _layout(len(panels))
    for axis, panel in zip(axes, panels, strict=False):
        _panel(axis, chart, panel)
    levels = ", ".join(f"{level:g}" for level in chart.levels)
    subtitle = (
        f"Contours of {levels} {chart.quantity.unit}: every member (thin), the mean (heavy), the control (dashed)"
    )
    style.head(figure, chart.title, subtitle, heading)
    _legend(figure, chart)
    style.foot(figure, notes(panels, "Lambert azimuthal equal-area projection."), heading)
    style.save(figure, path)


_MARGIN, _HEAD, _FOOT, _CAPTION, _GAP, _SIDE = 0.3, 1.0, 0.95, 0.34, 0.2, 6.9


def _layout(count: int) -> tuple[Figure, list[Axes]]:
    columns = 1 if count == 1 else 2
    rows = -(-count // columns)
    side = 9.4 if columns == 1 else _SIDE
    width = 2 * _MARGIN + columns * side + (columns - 1) * 2 * _GAP
    height = _HEAD + rows * (side + _CAPTION + _GAP) + _FOOT
    figure = style.sheet(width, height)
    axes = []
    for index in range(count):
        row, column = divmod(index, columns)
        bottom = height - _HEAD - (row + 1) * (side + _CAPTION) - row * _GAP
        left = _MARGIN + column * (side + 2 * _GAP)
        axes.append(figure.add_axes((left / width, bottom / height, side / width, side / height)))
    return figure, axes


def _panel(axis: Axes, chart: Spaghetti, panel: EnsembleFields) -> None:
    values = chart.quantity.of(panel)
    edge = Polygon(
        np.column_stack(chart.basemap.project(*chart.basemap.outline)), closed=True, transform=axis.transData
    )
    thin = float(np.clip(6.0 / np.sqrt(len(panel.members)), 0.5, 1.1))
    for member, field in zip(panel.members, values, strict=True):
        control = member == 0
        _lines(axis, chart, panel, field, edge, thin if not control else 1.1, "dashed" if control else "solid", 0.85)
    _lines(axis, chart, panel, mean(values), edge, 2.6, "solid", 1.0)
    chart.basemap.prepare(axis, coast=style.FAINT)
    caption(axis, panel)


def _lines(
    axis: Axes,
    chart: Spaghetti,
    panel: EnsembleFields,
    field: NDArray[np.float64],
    edge: Polygon,
    width: float,
    dashes: str,
    opacity: float,
) -> None:
    x, y, shown = chart.basemap.display(panel.grid, field)
    lines = axis.contour(
        x, y, shown, levels=chart.levels, colors=COLOURS, linewidths=width, linestyles=dashes, alpha=opacity, zorder=5
    )
    lines.set_clip_path(edge)


def _legend(figure: Figure, chart: Spaghetti) -> None:
    height = figure.get_figheight()
    named = [
        Line2D([], [], color=colour, linewidth=2.6, label=f"{level:g} {chart.quantity.unit}")
        for colour, level in zip(COLOURS, chart.levels, strict=True)
    ]
    kinds = [
        Line2D([], [], color=style.INK, linewidth=2.6, label="mean"),
        Line2D([], [], color=style.INK, linewidth=0.9, label="member"),
        Line2D([], [], color=style.INK, linewidth=1.1, linestyle="dashed", label="control"),
    ]
    figure.legend(
        handles=named + kinds, loc="center", bbox_to_anchor=(0.5, 0.62 / height), ncols=6, frameon=False, fontsize=10.5,
        handlelength=2.8, columnspacing=2.2,
    )  # fmt: skip
