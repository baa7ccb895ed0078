"""Solar radiation at the top of the atmosphere, as the published models know it.

Two phases describe a moment: that of the Earth's orbit, 0 at the turn of the year 1979 and 2 pi after
365.25 days, and that of the Earth's rotation, 0 at midnight UTC. A circular orbit with first-order corrections
gives the rest: irradiance varies by 3.45 % with the distance from the Sun (NASA Earth Observatory),
declination as a sine of the time since the equinox, and true solar time by the equation of time in its
common three-term form (Duffie and Beckman 2013, Solar Engineering of Thermal Processes, section 1.5).

Simulation time in float32 resolves half a minute to a minute a few decades after 1979, and its product with the
rotation rate no better, so the Sun as the published models saw it in training stands up to 0.008 rad
(two minutes) beside its place. `published_phases` reproduces that; `phases_at` is exact.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from forecast.constants import SOLAR_CONSTANT
from forecast.times import require_utc

REFERENCE_TIME = datetime(1979, 1, 1, tzinfo=UTC)
"""Simulation time zero of the published models."""

IRRADIANCE_VARIATION = 47.0
"""Amplitude of the irradiance's annual variation [W m-2]."""

DAYS_PER_YEAR = 365.25
SECONDS_PER_DAY = 86400.0
MINUTES_PER_DAY = 1440.0
PERIHELION_PHASE = 2 * np.pi * 3 / DAYS_PER_YEAR
"""Orbital phase when the Earth is closest to the Sun, 3 days into the year."""

EQUINOX_PHASE = 2 * np.pi * 79 / DAYS_PER_YEAR
"""Orbital phase of the northward equinox, 79 days into the year."""

OBLIQUITY = np.deg2rad(23.45)
"""Angle between the Earth's equator and its orbit [rad]."""


class Phases(NamedTuple):
    """Phase of the Earth's orbit and of its rotation [rad], both in [0, 2 pi), of one shape."""

    orbital: jax.Array
    rotational: jax.Array


def phases_at(moment: datetime) -> Phases:
    """The phases at an aware UTC time, exact to float32."""
    elapsed = require_utc(moment) - REFERENCE_TIME
    day = timedelta(days=1)
    return Phases(
        orbital=jnp.float32(2 * np.pi * ((elapsed / (DAYS_PER_YEAR * day)) % 1.0)),
        rotational=jnp.float32(2 * np.pi * ((elapsed % day) / day)),
    )


def published_phases(simulation_time: jax.Array, time_unit: float) -> Phases:
    """The phases as the published models compute them from float32 time since `REFERENCE_TIME`.

    `simulation_time` counts in `time_unit` seconds. The angle is rounded to float32 before full turns are
    taken off, which the models learned with; the remainder itself is exact and so independent of how
    a compiler contracts multiplications and additions.
    """
    time = jnp.asarray(simulation_time, jnp.float32)

    def phase(period: float) -> jax.Array:
        return jnp.mod(jnp.float32(2 * np.pi * time_unit / period) * time, jnp.float32(2 * np.pi))

    return Phases(phase(DAYS_PER_YEAR * SECONDS_PER_DAY), phase(SECONDS_PER_DAY))


@dataclass(frozen=True)
class Insolation:
    """Incident solar radiation on a grid of `longitudes` and `latitudes` [degrees]."""

    longitudes: np.ndarray
    latitudes: np.ndarray

    @cached_property
    def _mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Longitude [longitude, 1] and latitude [1, latitude] in radians."""
        return np.deg2rad(self.longitudes)[:, None], np.deg2rad(self.latitudes)[None, :]

    def __call__(self, phases: Phases) -> jax.Array:
        """Flux [..., longitude, latitude] relative to its largest value anywhere, at perihelion: 0 to 1."""
        expanded = Phases(*(jnp.asarray(phase)[..., None, None] for phase in phases))
        longitude, latitude = self._mesh
        elevation = sine_of_elevation(expanded, longitude, latitude)
        return relative_irradiance(expanded.orbital) * jnp.maximum(elevation, 0.0)

    def flux(self, phases: Phases) -> jax.Array:
        """Flux [..., longitude, latitude] on a horizontal surface [W m-2]."""
        return self(phases) * (SOLAR_CONSTANT + IRRADIANCE_VARIATION)


def relative_irradiance(orbital_phase: jax.Array) -> jax.Array:
    """Irradiance facing the Sun, relative to that at perihelion."""
    largest = SOLAR_CONSTANT + IRRADIANCE_VARIATION
    variation = IRRADIANCE_VARIATION / largest
    return SOLAR_CONSTANT / largest + variation * jnp.cos(orbital_phase - PERIHELION_PHASE)


def declination(orbital_phase: jax.Array) -> jax.Array:
    """Latitude where the Sun stands in the zenith [rad]."""
    return OBLIQUITY * jnp.sin(orbital_phase - EQUINOX_PHASE)


def equation_of_time(orbital_phase: jax.Array) -> jax.Array:
    """True minus mean solar time, as an angle of rotation [rad]."""
    b = orbital_phase - EQUINOX_PHASE
    minutes = 9.87 * jnp.sin(2 * b) - 7.53 * jnp.cos(b) - 1.5 * jnp.sin(b)
    return minutes * (2 * np.pi / MINUTES_PER_DAY)


def sine_of_elevation(phases: Phases, longitude: np.ndarray, latitude: np.ndarray) -> jax.Array:
    """Sine of the Sun's angle above the horizon, at places in radians that broadcast with the phases."""
    tilt = declination(phases.orbital)
    hour_angle = phases.rotational + equation_of_time(phases.orbital) + longitude - np.pi
    return jnp.cos(latitude) * jnp.cos(tilt) * jnp.cos(hour_angle) + jnp.sin(latitude) * jnp.sin(tilt)
