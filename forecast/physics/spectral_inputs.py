"""Grid values and derivatives of modal fields, all in one stacked transform."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from forecast.dycore.spherical_harmonics import SphericalHarmonics

VALUE, D_DLON, D_DLAT, LAPLACIAN = "", "_dlon", "_dlat", "_del2"
GRADIENTS = (D_DLON, D_DLAT, LAPLACIAN)
WIND = ("u", "v")
_METRIC_POWER: Mapping[str, int] = {VALUE: 0, D_DLON: 1, D_DLAT: 1, LAPLACIAN: 0}


@dataclass(frozen=True, order=True)
class Request:
    """The grid values of a field, or with `operator` of a derivative; its feature name is field + operator."""

    field: str
    operator: str = VALUE

    @property
    def name(self) -> str:
        return self.field + self.operator


@dataclass(frozen=True)
class SpectralInputs:
    """A stack of requested grid values, transformed together.

    `levels` gives the level count of each modal field. Where the fields hold vorticity and divergence but
    no wind, "u" and "v" are the wind they imply. Values come as the transform gives them: derivatives in
    longitude and latitude, and the wind, carry a factor cos(lat) each, which `metric` takes out.
    """

    requests: tuple[Request, ...]
    levels: Mapping[str, int]

    @classmethod
    def of(cls, requests: Iterable[Request], levels: Mapping[str, int]) -> "SpectralInputs":
        """The stack of all requests: values first, then each derivative, fields in the order of `levels`."""
        available = field_levels(levels)
        wanted = set(requests)
        candidates = (Request(name, operator) for operator in _METRIC_POWER for name in available)
        ordered = tuple(request for request in candidates if request in wanted)
        if missing := sorted(request.field for request in wanted - set(ordered)):
            raise ValueError(f"features ask for {', '.join(missing)}; the modal fields are {', '.join(available)}")
        return cls(ordered, available)

    def count(self, request: Request) -> int:
        """Levels of a request."""
        return self.levels[request.field]

    def channels(self, request: Request) -> np.ndarray:
        """Where a request's levels lie in the stack [level]."""
        before = self.requests[: self.requests.index(request)]
        return sum(map(self.count, before)) + np.arange(self.count(request))

    def to_nodal(self, harmonics: SphericalHarmonics, modal: Mapping[str, jax.Array]) -> jax.Array:
        """The stack [longitude, channel, latitude] from modal fields [zonal, level, total]."""
        fields = dict(modal)
        if derives_wind(fields):
            eastward, northward = harmonics.cos_lat_velocity(fields["vorticity"], fields["divergence"])
            fields |= {"u": harmonics.clip(eastward), "v": harmonics.clip(northward)}
        blocks = []
        for operator in _METRIC_POWER:
            names = [request.field for request in self.requests if request.operator == operator]
            if names:
                stacked = jnp.concatenate([fields[name] for name in names], axis=1)
                blocks.append(_apply(harmonics, operator, stacked))
        return harmonics.to_nodal(jnp.concatenate(blocks, axis=1))

    def metric(self, requests: Iterable[Request], cos_lat: np.ndarray, *, wind_is_derived: bool) -> np.ndarray:
        """Powers of 1 / cos(lat) [latitude, channel] that turn the levels of `requests` into physical values."""
        columns = []
        for request in requests:
            power = _METRIC_POWER[request.operator] + (wind_is_derived and request.field in WIND)
            columns.append(np.tile((1 / cos_lat**power)[:, None], (1, self.count(request))))
        return np.concatenate(columns, axis=1)


def derives_wind(fields: Iterable[str]) -> bool:
    """Whether the wind has to come from vorticity and divergence."""
    names = set(fields)
    return {"vorticity", "divergence"} <= names and not names & set(WIND)


def field_levels(levels: Mapping[str, int]) -> dict[str, int]:
    """Level counts of all fields that can be requested: the wind first where it is derived."""
    derived = dict.fromkeys(WIND, levels["vorticity"]) if derives_wind(levels) else {}
    return derived | dict(levels)


def _apply(harmonics: SphericalHarmonics, operator: str, modal: jax.Array) -> jax.Array:
    if operator == D_DLON:
        return harmonics.clip(harmonics.d_dlon(modal))
    if operator == D_DLAT:
        return harmonics.clip(harmonics.cos_lat_d_dlat(modal))
    return harmonics.laplacian(modal) if operator == LAPLACIAN else modal
