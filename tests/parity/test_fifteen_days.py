"""Fifteen days with the trained model: as plausible as forecasts must be, and no leakier than the reference."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

pytest.importorskip("neuralgcm")

from forecast.checkpoint import published
from forecast.grids import GaussianGrid
from forecast.model import ModelState
from tests.parity.pair import Pair
from tests.parity.reference import Reference

DAYS = 15


def advanced(pair: Pair, core: np.ndarray, hour: int) -> np.ndarray:
    """The random fields an hour later, by their own law."""
    fields = pair.ours.physics_randomness
    return np.asarray(type(fields).advance(fields, core, jax.random.fold_in(jax.random.key(7), hour)))


def global_mean(field: np.ndarray) -> float:
    """Mean of [..., longitude, latitude] over the sphere; over levels, each counts the same."""
    longitudes, latitudes = field.shape[-2:]
    weights = np.cos(np.radians(GaussianGrid(longitudes, latitudes).latitudes))
    return float(np.average(np.mean(np.float64(field), axis=-2), axis=-1, weights=weights).mean())


def mass(pair: Pair, state: ModelState) -> float:
    """Mean surface pressure [Pa]."""
    return global_mean(pair.decode(state)["surface_air_pressure"])


@pytest.mark.slow
def test_fifteen_days_stay_plausible_and_leak_no_more_mass_than_the_reference(neuralgcm_data: Any):
    archive = published.read(neuralgcm_data.checkpoint)
    pair = Pair(Reference.of(archive), archive, trained=True)
    core = pair.random_core(2)
    theirs = pair.their_encode(pair.random_core(1, "encoder_randomness"), core)
    start = theirs
    ours = pair.to_ours(theirs, core)
    before = pair.decode(ours)
    for hour in range(24 * DAYS):
        theirs = pair.their_step(theirs, core)
        ours = pair.step(dataclasses.replace(ours, randomness=core), first=hour == 0)
        core = advanced(pair, core, hour)
        if hour % 24 == 23:
            fields = pair.decode(ours)
            assert all(np.isfinite(values).all() for values in fields.values())
            assert np.hypot(fields["eastward_wind"], fields["northward_wind"]).max() < 150
            warming = global_mean(fields["air_temperature"]) - global_mean(before["air_temperature"])
            assert abs(warming) < 1.5
    drift = mass(pair, ours) - mass(pair, pair.to_ours(start, core))
    their_drift = mass(pair, pair.to_ours(theirs, core)) - mass(pair, pair.to_ours(start, core))
    assert abs(drift) < 1.02 * abs(their_drift)
