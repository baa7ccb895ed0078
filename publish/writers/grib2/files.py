"""Which file a message goes to.

Readers that build one data cube per file (cfgrib) tell mean from spread, one percentile from another, and
the values of an interval from momentary ones by no key of the cube: in one file one would hide the other.
So each has a file of its own.
"""

from dataclasses import dataclass

from publish.product import Item
from publish.statistics import Statistic, variable

_FILE_TYPES = {"mean": "em", "spread": "es", "min": "mn", "max": "mx"}


@dataclass(frozen=True)
class Kind:
    """One sort of file: its name in the manifest, and stream and type in its key."""

    name: str
    stream: str
    file_type: str


def of_control(item: Item, grid_name: str = "") -> Kind:
    """The file of the control alone."""
    return Kind(f"control{_suffix(item, grid_name)}", "oper", f"fc{_suffix(item, grid_name)}")


def of_members(item: Item, grid_name: str = "") -> Kind:
    """The file of all members, the control first."""
    return Kind(f"members{_suffix(item, grid_name)}", "enfo", f"ef{_suffix(item, grid_name)}")


def of_statistic(item: Item, statistic: Statistic) -> Kind:
    """The file of a statistic."""
    if statistic.event is not None:
        name = variable(item, statistic).replace("_probability", "").replace("_", "-")
        return Kind(f"probability-{name}", "enfo", f"ep-{name}")
    name, suffix = statistic.name, _suffix(item)
    return Kind(f"{name}{suffix}", "enfo", f"{_FILE_TYPES.get(name, name)}{suffix}")


def _suffix(item: Item, grid_name: str = "") -> str:
    window = f"-{item.window.name.replace('_', '-')}" if item.window else ""
    return window + (f"-{grid_name}" if grid_name else "")
