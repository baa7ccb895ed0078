"""The reference implementation (neuralgcm), built from our archives and taken apart for comparison.

Arrays of the reference are [level, zonal, total] and [level, longitude, latitude]; `swap` turns them into
ours and back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import haiku as hk
import jax
import neuralgcm
import neuralgcm.demo
import numpy as np
import xarray as xr
from neuralgcm.legacy import gin_utils

from forecast.checkpoint.published import Archive

_THEIR_STATIC = {"land_area_fraction": "land_sea_mask", "surface_geopotential": "geopotential_at_surface"}
_THEIR_UNITS = {"land_sea_mask": "(0 - 1)", "geopotential_at_surface": "m**2 s**-2"}


def swap(array: Any) -> np.ndarray:
    """[a, b, c] to [b, a, c]: levels first to levels second, and back."""
    return np.swapaxes(np.asarray(array), 0, 1)


def checkpoint_of(archive: Archive) -> dict[str, Any]:
    """The dictionary that the reference loads."""
    params: dict[str, dict[str, np.ndarray]] = {}
    for name, values in archive.params.items():
        module, leaf = name.split("|")
        params.setdefault(module, {})[leaf] = values
    static = archive.static.rename(_THEIR_STATIC).astype(np.float64)
    for name, units in _THEIR_UNITS.items():
        static[name].attrs["units"] = units
    return {"params": params, "aux_ds_dict": static.to_dict(), "model_config_str": archive.config_text}


@dataclass(frozen=True)
class Reference:
    """A reference model and what it makes of a real analysis."""

    model: neuralgcm.PressureLevelModel

    @classmethod
    def of(cls, archive: Archive) -> "Reference":
        """The reference's model of an archive."""
        return cls(neuralgcm.PressureLevelModel.from_checkpoint(checkpoint_of(archive)))

    @cached_property
    def analysis(self) -> xr.Dataset:
        """The analysis of 1959-01-02 that neuralgcm ships, on the model's grid."""
        return neuralgcm.demo.load_data(self.model.data_coords).isel(time=0)

    def encode(self, seed: int = 0) -> Any:
        """The encoded analysis with its random state."""
        inputs, forcings = self.model.inputs_from_xarray(self.analysis), self.forcings
        return self.model.encode(inputs, forcings, jax.random.key(seed))

    @cached_property
    def forcings(self) -> dict[str, Any]:
        """Forcing of the analysis, [1, longitude, latitude]."""
        return self.model.forcings_from_xarray(self.analysis)

    def call(self, function: Callable[..., Any], *arguments: Any, params: Mapping[str, Any] | None = None) -> Any:
        """`function(model, *arguments)` with the Haiku model that holds encoder, step and decoder; jitted."""
        return self.compiled(function)(self.model.params if params is None else params, *arguments)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same as a jitted function of the parameters and the arguments."""
        structure = self.model._structure

        def forward(*inner: Any) -> Any:
            return function(structure.model_cls(), *inner)

        apply = jax.jit(hk.without_apply_rng(hk.transform(forward)).apply)

        def within_configuration(*inner: Any) -> Any:
            with gin_utils.specific_config(self.model.gin_config):
                return apply(*inner)

        return within_configuration
