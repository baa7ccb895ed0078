"""Plumes: what the members say of one place, hour by hour, a panel per quantity."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from forecast.times import lead_hours
from publish.charts import style
from publish.charts.quantities import (
    HEIGHT_500,
    SEA_LEVEL_PRESSURE,
    TEMPERATURE_850,
    WATER_VAPOUR,
    WIND_850,
    Missing,
    Quantity,
)
from publish.charts.style import Heading
from publish.places import Place

QUANTITIES = (TEMPERATURE_850, SEA_LEVEL_PRESSURE, WIND_850, WATER_VAPOUR, HEIGHT_500)

_INNER, _OUTER, _MEDIAN, _CONTROL, _MEMBER = "#8fbcdb", "#dce9f3", "#123f73", "#c2571a", "#5b7690"
_NOT_NEGATIVE = (WIND_850, WATER_VAPOUR)


@dataclass(frozen=True)
class PlaceSeries:
    """All members at one place: `values_of` maps (field, level) to [time, member], NaN where a member is lost."""

    place: Place
    times: tuple[datetime, ...]
    members: tuple[int, ...]
    values_of: dict[tuple[str, int | None], NDArray[np.float64]]

    def values(self, name: str, level: int | None) -> NDArray[np.float64]:
        """Values of the field on the level [hPa]. Raises Missing."""
        try:
            return self.values_of[name, level]
        except KeyError:
            raise Missing(f"{name} at {level} hPa is not among the values at places") from None


def series(documents: Iterable[bytes]) -> list[PlaceSeries]:
    """The published files of values at places, put together: one series per place."""
    frames = sorted((json.loads(each) for each in documents), key=lambda each: each["lead_hours"])
    if not frames:
        return []
    members = tuple(sorted({member for frame in frames for member in frame["members"]}))
    times = tuple(datetime.fromisoformat(frame["valid_time"]) for frame in frames)
    keys = [(one["name"], one["level"]) for one in frames[0]["fields"] if one["interval"] is None]
    values = {key: np.full((len(frames[0]["places"]), len(frames), len(members)), np.nan) for key in keys}
    for index, frame in enumerate(frames):
        there = [members.index(member) for member in frame["members"]]
        for one in frame["fields"]:
            if one["interval"] is None:
                values[one["name"], one["level"]][:, index, there] = one["values"]
    return [
        PlaceSeries(Place(**place), times, members, {key: values[key][number] for key in keys})
        for number, place in enumerate(frames[0]["places"])
    ]


def draw(one: PlaceSeries, heading: Heading, path: Path, quantities: Sequence[Quantity] = QUANTITIES) -> None:
    """Write the picture of one place. Raises Missing when none of the quantities is there."""
    shown = [(quantity, values) for quantity in quantities if (values := _values(quantity, one)) is not None]
    if not shown:
        raise Missing(f"no quantity of a plume is among the values at {one.place.name}")
    figure, axes = _layout(len(shown))
    for axis, (quantity, values) in zip(axes, shown, strict=True):
        _panel(axis, one, quantity, values)
        _time_axis(axis, one.times, heading.init_time, last=axis is axes[-1])
    subtitle = "Every member, the median, the middle half and the full range; lead times T+ in hours"
    style.head(figure, f"{one.place.name}   {one.place.position}", subtitle, heading)
    _legend(figure)
    notes = (f"{len(one.members)} members, control included.", "Interpolated from the published grid; times are UTC.")
    style.foot(figure, notes, heading)
    style.save(figure, path)


def _values(quantity: Quantity, one: PlaceSeries) -> NDArray[np.float64] | None:
    try:
        return quantity.of(one)
    except Missing:
        return None


_WIDTH, _HEAD, _PANEL, _GAP, _FOOT = 12.5, 1.5, 1.75, 0.42, 0.55


def _layout(count: int) -> tuple[Figure, list[Axes]]:
    height = _HEAD + count * (_PANEL + _GAP) + _FOOT
    figure = style.sheet(_WIDTH, height)
    bottoms = [height - _HEAD - (row + 1) * _PANEL - row * _GAP for row in range(count)]
    return figure, [
        figure.add_axes((0.85 / _WIDTH, bottom / height, (_WIDTH - 1.25) / _WIDTH, _PANEL / height))
        for bottom in bottoms
    ]


def _panel(axis: Axes, one: PlaceSeries, quantity: Quantity, values: NDArray[np.float64]) -> None:
    moments = dates.date2num(one.times)
    low, quarter, median, three_quarters, high = np.nanpercentile(values, (0, 25, 50, 75, 100), axis=1)
    axis.fill_between(moments, low, high, color=_OUTER, linewidth=0, zorder=1)
    axis.fill_between(moments, quarter, three_quarters, color=_INNER, linewidth=0, zorder=2)
    for member, line in zip(one.members, values.T, strict=True):
        if member != 0:
            axis.plot(moments, line, color=_MEMBER, linewidth=0.7, alpha=0.75, zorder=3)
    axis.plot(moments, median, color=_MEDIAN, linewidth=2.4, zorder=5, solid_joinstyle="round")
    if 0 in one.members:
        axis.plot(moments, values[:, one.members.index(0)], color=_CONTROL, linewidth=1.5, dashes=(4, 2), zorder=4)
    if quantity is TEMPERATURE_850 and low.min() < 0 < high.max():
        axis.axhline(0.0, color=style.INK, linewidth=0.8, zorder=2.5)
    axis.text(
        0.0,
        1.06,
        f"{quantity.title} ({quantity.unit})",
        transform=axis.transAxes,
        size=11.5,
        weight="bold",
        va="bottom",
    )
    axis.margins(x=0.0, y=0.08)
    if quantity in _NOT_NEGATIVE:
        axis.set_ylim(bottom=0.0)


def _time_axis(axis: Axes, times: Sequence[datetime], init_time: datetime, last: bool) -> None:
    days = [times[0] + timedelta(days=day) for day in range((times[-1] - times[0]).days + 1)]
    nights = [each.replace(hour=0, minute=0, tzinfo=UTC) for each in days if each.replace(hour=0) >= times[0]]
    axis.set_xlim(float(dates.date2num(times[0])), float(dates.date2num(times[-1])))
    axis.set_xticks(dates.date2num(nights))
    axis.set_xticklabels([_day(each, init_time, each is nights[0]) for each in nights] if last else [])
    axis.grid(axis="x", color=style.FAINT, linewidth=0.5, alpha=0.5)
    axis.grid(axis="y", color=style.FAINT, linewidth=0.4, alpha=0.35)
    axis.tick_params(labelsize=9.5, length=0, pad=5)
    axis.locator_params(axis="y", nbins=5)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _day(moment: datetime, init_time: datetime, first: bool) -> str:
    """Weekday and day, with the month where it is new, above the lead time."""
    month = f" {moment:%b}" if first or moment.day == 1 else ""
    return f"{moment:%a} {moment.day}{month}\nT+{lead_hours(moment - init_time)}"


def _legend(figure: Figure) -> None:
    height = figure.get_figheight()
    handles = [
        Line2D([], [], color=_MEDIAN, linewidth=2.4, label="median"),
        Patch(color=_INNER, label="middle half (25 to 75 %)"),
        Patch(color=_OUTER, label="least to greatest"),
        Line2D([], [], color=_CONTROL, linewidth=1.5, dashes=(4, 2), label="control"),
        Line2D([], [], color=_MEMBER, linewidth=0.9, label="other members"),
    ]
    figure.legend(
        handles=handles, loc="center left", bbox_to_anchor=(0.2 / _WIDTH, 1 - 1.02 / height), ncols=5, frameon=False,
        fontsize=10, handlelength=2.4, columnspacing=1.8,
    )  # fmt: skip
