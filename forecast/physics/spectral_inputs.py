"""Grid values and derivatives of modal fields, transformed together.

A derivative is taken of the coefficients, which costs little beside a transform; the fields of one operator then share
one transform.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from forecast.dycore.spherical_harmonics import SphericalHarmonics

VALUE, D_DLON, D_DLAT, LAPLACIAN = "", "_dlon", "_dlat", "_del2"
GRADIENTS = (D_DLON, D_DLAT, LAPLACIAN)
OPERATORS = (VALUE, *GRADIENTS)
WIND = ("u", "v")
_METRIC_POWER: Mapping[str, int] = {VALUE: 0, D_DLON: 1, D_DLAT: 1, LAPLACIAN: 0}


@dataclass(frozen=True, order=True)
class Request:
    """The grid values of a field, or with `operator` of a derivative; its feature name is field + operator."""

    field: str
    operator: str = VALUE

    @property
    def name(self) -> str:
        """The name of the feature."""
        return self.field + self.operator


@dataclass(frozen=True)
class Stacks:
    """Which grid values were asked for, and where they lie: one stack of fields for each operator.

    `levels` gives the level count of each modal field. Where the fields hold vorticity and divergence but
    no wind, "u" and "v" are the wind they imply. Values come as the transform gives them: derivatives in
    longitude and latitude, and the wind, carry a factor cos(lat) each, which `metric` takes out.
    """

    requests: tuple[Request, ...]
    levels: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, requests: Iterable[Request], levels: Mapping[str, int]) -> "Stacks":
        """The stacks of all requests, fields in the order of `levels`."""
        derived = dict.fromkeys(WIND, levels["vorticity"]) if derives_wind(levels) else {}
        available = derived | dict(levels)
        wanted = set(requests)
        candidates = (Request(name, operator) for operator in OPERATORS for name in available)
        ordered = tuple(request for request in candidates if request in wanted)
        if missing := sorted(request.field for request in wanted - set(ordered)):
            raise ValueError(f"features ask for {', '.join(missing)}; the modal fields are {', '.join(available)}")
        return cls(ordered, tuple(available.items()))

    def count(self, request: Request) -> int:
        """Levels of a request."""
        return dict(self.levels)[request.field]

    def fields(self, operator: str) -> tuple[str, ...]:
        """Fields in the stack of an operator."""
        return tuple(request.field for request in self.requests if request.operator == operator)

    def channels(self, request: Request) -> np.ndarray:
        """Where a request's levels lie in the stack of its operator [level]."""
        names = self.fields(request.operator)
        before = names[: names.index(request.field)]
        return sum(dict(self.levels)[name] for name in before) + np.arange(self.count(request))


def metric(request: Request, cos_lat: np.ndarray, *, wind_is_derived: bool) -> np.ndarray:
    """The power of 1 / cos(lat) [latitude] that turns the grid values of a request into physical values."""
    return 1 / cos_lat ** (_METRIC_POWER[request.operator] + (wind_is_derived and request.field in WIND))


def derives_wind(fields: Iterable[str]) -> bool:
    """Whether the wind has to come from vorticity and divergence."""
    names = set(fields)
    return {"vorticity", "divergence"} <= names and not names & set(WIND)


class StackTransform(nnx.Module):
    """Modal fields to the grid values that `stacks` lists."""

    def __init__(self, harmonics: SphericalHarmonics, stacks: Stacks):
        self.harmonics = harmonics
        self.stacks = stacks

    def __call__(self, modal: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Stacks [longitude, channel, latitude] by operator, from fields [zonal, level, total]."""
        fields = dict(modal)
        if derives_wind(fields):
            eastward, northward = self.harmonics.cos_lat_velocity(fields["vorticity"], fields["divergence"])
            fields |= {"u": self.harmonics.clip(eastward), "v": self.harmonics.clip(northward)}
        stacks = {}
        for operator in OPERATORS:
            if names := self.stacks.fields(operator):
                stacks[operator] = self._apply(operator, jnp.concatenate([fields[name] for name in names], axis=1))
        return stacks

    def _apply(self, operator: str, modal: jax.Array) -> jax.Array:
        harmonics = self.harmonics
        if operator == D_DLON:
            modal = harmonics.d_dlon(harmonics.clip(modal))
        elif operator == D_DLAT:
            modal = harmonics.clip(harmonics.cos_lat_d_dlat(modal))
        elif operator == LAPLACIAN:
            modal = harmonics.laplacian(modal)
        return harmonics.to_nodal(modal)
