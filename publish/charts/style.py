"""How every chart looks: paper, inks, letters, and the head and foot that say what it is and whose.

Scales read in any colour vision and in grey: lightness changes in one direction (or, for temperature, away
from the freezing point), and no two colours differ in hue alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke

INK, FAINT, PAPER = "#1b1f27", "#6b7280", "#ffffff"
DPI = 120
HALO: list[AbstractPathEffect] = [withStroke(linewidth=2.2, foreground=PAPER)]

SPREAD = ("#ffffff", "#e3eef6", "#bcd9ea", "#86bfd8", "#4f9fc4", "#2a7db0", "#1b5a94", "#163d72", "#101f4a")
MOISTURE = ("#fbf7ee", "#e9e6c4", "#bfd9ad", "#86c5a4", "#4aa9a0", "#2487a0", "#1d6197", "#243a7f", "#221a52")
SPEED = ("#f6eedc", "#f3d49b", "#efb065", "#e0823f", "#c3542f", "#963028", "#641a2a", "#330a22")
CHANCE = ("#ffffff", "#f3ecf7", "#e2d3ec", "#ccb3de", "#b693cd", "#9f74bb", "#8a58a8")
COLD_WARM = (
    "#20124d", "#2b2c82", "#2f56a8", "#4a86c4", "#85b5da", "#bcd9ea", "#eaf2f4",
    "#fbf0d9", "#f8d49b", "#f0a95f", "#dd7637", "#b8451f", "#862012", "#4a0a0c",
)  # fmt: skip


@dataclass(frozen=True)
class Heading:
    """Whose forecast a chart shows: what stands on every one of them."""

    product: str
    model: str
    init_time: datetime
    institution: str
    licence: str
    run_id: str

    @property
    def issuer(self) -> str:
        """Product and model, and the institution where it is known."""
        name = self.product if self.product == self.model else f"{self.product} · {self.model}"
        return name if self.institution == "unspecified" else f"{self.institution} · {name}"


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's own settings and letters, whatever the user's are: the same data give the same octets."""
    ours = {
        "font.family": "DejaVu Sans",
        "text.color": INK,
        "axes.edgecolor": INK,
        "contour.negative_linestyle": "solid",
    }
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    with mpl.rc_context(defaults | ours):  # pyright: ignore[reportArgumentType]
        yield


def sheet(width: float, height: float) -> Figure:
    """An empty figure of this size [inches]."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def head(figure: Figure, title: str, subtitle: str, heading: Heading) -> None:
    """Title and subtitle at the left, issuer and cycle at the right."""
    width, height = figure.get_size_inches()
    left, right = 0.3 / width, 1 - 0.3 / width
    figure.text(left, 1 - 0.36 / height, title, size=18, weight="bold", va="center")
    figure.text(left, 1 - 0.70 / height, subtitle, size=11.5, va="center")
    figure.text(right, 1 - 0.36 / height, heading.issuer, size=13, weight="bold", va="center", ha="right")
    start = f"from {heading.init_time:%a %d %b %Y %H} UTC"
    figure.text(right, 1 - 0.70 / height, start, size=11.5, va="center", ha="right")


def foot(figure: Figure, notes: Sequence[str], heading: Heading) -> None:
    """What the reader should know at the left, run and licence at the right, in small letters."""
    width, height = figure.get_size_inches()
    style = {"size": 8, "color": FAINT, "va": "center"}
    figure.text(0.3 / width, 0.18 / height, "  ".join(notes), **style)
    licence = "" if heading.licence == "unspecified" else f"  Licence: {heading.licence}"
    figure.text(1 - 0.3 / width, 0.18 / height, f"Run {heading.run_id}{licence}", ha="right", **style)


def scale(colours: Sequence[str]) -> LinearSegmentedColormap:
    """A continuous scale through these colours."""
    return LinearSegmentedColormap.from_list("scale", list(colours))


def colour_bar(axis: Axes, shading: QuadContourSet, label: str, ticks: Sequence[float]) -> None:
    """The legend of a shading, in an axis of its own, with its unit at the left."""
    figure = axis.figure
    bar = figure.colorbar(shading, cax=axis, orientation="horizontal", ticks=list(ticks), drawedges=True)
    bar.ax.set_xticklabels([f"{tick:g}".replace("-", "−") for tick in ticks])
    bar.ax.tick_params(labelsize=10, length=0)
    bar.outline.set_linewidth(0.7)  # pyright: ignore[reportCallIssue]
    bar.dividers.set_linewidth(0.5)
    axis.text(-0.035, 0.5, label, size=10.5, ha="right", va="center", transform=axis.transAxes)


def save(figure: Figure, path: Path) -> None:
    """Write the PNG, without a date or a version in it."""
    figure.savefig(path, format="png", metadata={"Software": None})
