"""Maps to draw on: the whole world, or a hemisphere; fields brought to a finer display grid; coasts and frame."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from forecast.grids import LatLonGrid
from publish.charts.style import FAINT, INK
from publish.coastlines import coastlines
from publish.projection import equal_earth, polar

_DISPLAY_DEGREES = 1.0

Array = NDArray[np.float64]
Projection = Callable[[Array, Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Basemap:
    """A projection and the latitudes that it shows [degrees north]; `outline` is its edge as longitudes, latitudes."""

    project: Projection
    south: float
    north: float
    outline: tuple[Array, Array]

    def display(self, grid: LatLonGrid, values: NDArray[np.floating]) -> tuple[Array, Array, Array]:
        """Map coordinates x, y and values [latitude, longitude] on the display grid, south and 180 W first."""
        longitudes, latitudes, fine = on_display_grid(grid, values)
        seen = (latitudes >= self.south - 1e-9) & (latitudes <= self.north + 1e-9)
        x, y = self.project(longitudes[np.newaxis, :], latitudes[seen, np.newaxis])
        return x, y, fine[seen]

    def prepare(self, axis: Axes, coast: str = INK) -> None:
        """Coasts in the colour given, graticule and edge."""
        edge = Polygon(
            np.column_stack(self.project(*self.outline)),
            closed=True,
            fill=False,
            edgecolor=INK,
            linewidth=1.0,
            zorder=9,
        )
        axis.add_patch(edge)
        for line in coastlines():
            self._line(
                axis, edge, line[:, 0], line[:, 1], color=coast, linewidth=0.6, zorder=3, solid_joinstyle="round"
            )
        along, around = np.linspace(self.south, self.north, 181), np.linspace(-180.0, 180.0, 361)
        for longitude in range(-180, 180, 60):
            self._line(axis, edge, np.full(along.shape, float(longitude)), along, **_GRATICULE)
        for latitude in range(-60, 90, 30):
            self._line(axis, edge, around, np.full(around.shape, float(latitude)), **_GRATICULE)
        axis.set_aspect("equal")
        axis.set_axis_off()
        axis.autoscale_view()
        axis.margins(0.004)

    def _line(self, axis: Axes, edge: Polygon, longitude: Array, latitude: Array, **style: object) -> None:
        seen = (latitude >= self.south) & (latitude <= self.north)
        x, y = self.project(np.where(seen, longitude, np.nan), np.where(seen, latitude, np.nan))
        axis.plot(x, y, **style)[0].set_clip_path(edge)  # pyright: ignore[reportArgumentType]


_GRATICULE = {"color": FAINT, "linewidth": 0.35, "alpha": 0.7, "zorder": 2.5}
_UP = np.linspace(-90.0, 90.0, 181)

WORLD = Basemap(equal_earth, -90.0, 90.0, (np.repeat([-180.0, 180.0], 181), np.concatenate([_UP, _UP[::-1]])))
NORTH = Basemap(partial(polar, pole=90.0), 20.0, 90.0, (np.linspace(-180, 180, 361), np.full(361, 20.0)))
SOUTH = Basemap(partial(polar, pole=-90.0), -90.0, -20.0, (np.linspace(-180, 180, 361), np.full(361, -20.0)))


def on_display_grid(grid: LatLonGrid, values: NDArray[np.floating]) -> tuple[Array, Array, Array]:
    """Longitudes from -180 to 180, latitudes from the south, and the values there, by cubic splines."""
    around = np.concatenate([values, values, values[:, :1]], axis=1).astype(np.float64)[::-1]
    longitudes = np.concatenate([grid.longitudes - 360.0, grid.longitudes, [360.0]])
    step = _DISPLAY_DEGREES if grid.spacing_degrees >= _DISPLAY_DEGREES else _DISPLAY_DEGREES / 2
    fine_longitudes = np.linspace(-180.0, 180.0, round(360.0 / step) + 1)
    fine_latitudes = np.linspace(-90.0, 90.0, round(180.0 / step) + 1)
    spline = RectBivariateSpline(grid.latitudes[::-1], longitudes, around)
    return fine_longitudes, fine_latitudes, spline(fine_latitudes, fine_longitudes)
