"""What the codecs share: fields on pressure levels, their units and their order in archives."""

from collections.abc import Mapping

import jax
import numpy as np

from forecast.dycore.scales import Scales
from forecast.fields import LEVEL_FIELDS
from forecast.physics.configuration import Layout, Site, UnsupportedConfiguration, archive_name

TRACERS = (
    "specific_humidity",
    "mass_fraction_of_cloud_ice_in_air",
    "mass_fraction_of_cloud_liquid_water_in_air",
)
"""The tracers of the model, by the names of `forecast.fields`."""


def nondimensional_unit(name: str, scales: Scales) -> float:
    """The model's number for one unit of a level field."""
    units = LEVEL_FIELDS[name].units
    return 1.0 if units == "kg kg-1" else scales.unit(units)


def nondimensional_pressures(levels: np.ndarray, scales: Scales) -> tuple[float, ...]:
    """Pressure levels [hPa] as the model's numbers."""
    return tuple((levels * scales.unit("Pa") * 100).tolist())


def data_levels(level_count: int) -> dict[str, int]:
    """Level counts of the fields on pressure levels by archive name."""
    return {archive_name(name): level_count for name in LEVEL_FIELDS}


def to_columns(field: jax.Array) -> jax.Array:
    """[level, longitude, latitude] to the model's [longitude, level, latitude], or back."""
    return field.swapaxes(0, 1)


def prediction_layout(site: Site, order: tuple[str, ...], levels: Mapping[str, int]) -> Layout:
    """The outputs of a correction in the given order; "tracers" stands for all, sorted by archive name."""
    mask = dict(site.get("prediction_mask"))
    tracers = mask.get("tracers", {})
    names = [name for entry in order for name in (sorted(tracers) if entry == "tracers" else [entry])]
    wanted = {**mask, **tracers}
    missing = [name for name in names if not wanted.get(name, False)]
    if missing:
        raise UnsupportedConfiguration(f"{site.kind}.prediction_mask: expected all fields, got none for {missing}")
    return tuple((name, levels[name]) for name in names)
