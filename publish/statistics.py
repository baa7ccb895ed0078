"""Statistics over the members of an ensemble.

The control counts as a member: ECMWF computes its products `em` and `es` "from the full set of 51
forecasts (i.e. the 50 perturbed forecasts plus the control forecast)" (Meteorological Bulletin M3.1,
"Ensemble Mean and Ensemble Standard Deviation products"). The spread is the standard deviation about
the ensemble mean with the number of members as divisor. A percentile lies between the two members
next to it in order (Hyndman and Fan 1996, Am. Stat. 50, 361-365, definition 7). A probability is the
share of the members beyond the threshold. A member that was dropped does not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from publish.events import Event
from publish.product import Item, ProductSettings, Slab

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Statistic:
    """What a map says of the members.

    `name` is mean, spread, min, max, a percentile such as p10, or for the probability of an event, in
    parts of one, `probability_` and the event's name.
    """

    name: str
    percentile: int | None = None
    event: Event | None = None


@dataclass(frozen=True)
class Statistics:
    """Maps of a slab, float32 [latitude, longitude], by what they say, over `count` members."""

    maps: Mapping[Statistic, Map]
    count: int

    @property
    def mean(self) -> Map:
        """The mean of the members. Raises KeyError when the settings do not ask for it."""
        return self.maps[Statistic("mean")]

    @property
    def spread(self) -> Map:
        """Their standard deviation. Raises KeyError when the settings do not ask for it."""
        return self.maps[Statistic("spread")]


def wanted(item: Item, settings: ProductSettings) -> tuple[Statistic, ...]:
    """The statistics that are published of an item, in order."""
    found = [Statistic(name, int(name[1:]) if name[1:].isdigit() else None) for name in settings.statistics]
    identity = (item.field.name, item.level, item.window)
    events = [event for event in settings.events if (event.field, event.level, event.window) == identity]
    return (*found, *(Statistic(f"probability_{event.name}", event=event) for event in events))


def variable(item: Item, statistic: Statistic) -> str:
    """Name that tells the variable of a statistic apart from all others; a probability has one for each level."""
    if statistic.event is None or item.window is not None:
        return f"{item.variable}_{statistic.name}"
    return f"{item.variable}{item.level or ''}_{statistic.name}"


def statistics(slab: Slab, settings: ProductSettings) -> Statistics:
    """The statistics that the settings ask for, over the slab's members, accumulated in float64."""
    chosen = wanted(slab.item, settings)
    values = slab.values
    found: dict[Statistic, Map] = {each: _extreme(values, each.name) for each in chosen if each.name in ("min", "max")}
    found |= _moments(values, [each for each in chosen if each.name in ("mean", "spread")])
    found |= _percentiles(values, [each for each in chosen if each.percentile is not None])
    found |= {each: _probability(values, each.event) for each in chosen if each.event is not None}
    return Statistics({each: found[each] for each in chosen}, len(slab.members))


def _extreme(values: NDArray[np.float32], name: str) -> Map:
    return values.min(axis=0) if name == "min" else values.max(axis=0)


def _moments(values: NDArray[np.float32], chosen: list[Statistic]) -> dict[Statistic, Map]:
    if not chosen:
        return {}
    mean = values.mean(axis=0, dtype=np.float64)
    variance = np.zeros_like(mean)
    for each in values:
        variance += (each - mean) ** 2
    moments = {"mean": mean, "spread": np.sqrt(variance / len(values))}
    return {each: moments[each.name].astype(np.float32) for each in chosen}


def _percentiles(values: NDArray[np.float32], chosen: list[Statistic]) -> dict[Statistic, Map]:
    """Members are put in order once for all percentiles."""
    ordered = np.sort(values, axis=0) if chosen else values
    found = {}
    for each in chosen:
        place = (len(values) - 1) * (each.percentile or 0) / 100.0
        below = int(place)
        above = min(below + 1, len(values) - 1)
        share = np.float32(place - below)
        found[each] = ordered[below] + share * (ordered[above] - ordered[below])
    return found


def _probability(values: NDArray[np.float32], event: Event) -> Map:
    beyond = values < event.threshold if event.operator == "<" else values > event.threshold
    return beyond.mean(axis=0, dtype=np.float32)
