"""The whole model against the reference: encode, one step, decode, and a day, with the same random fields."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import pytest

pytest.importorskip("neuralgcm")

from forecast.checkpoint import published
from tests.parity.archives import random_archive, reduced, static_on
from tests.parity.pair import WATER_DIAGNOSTIC, Pair, normalised_errors, on_sigma, ours_on_sigma
from tests.parity.reference import Reference

TOLERANCE = 1e-5


def require_agreement(
    found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray], loose: Mapping[str, float] | None = None
) -> None:
    """Asks for the tolerance, or for four float32 units in the last place of the largest value where those are more:
    geopotential at 1 hPa is a hundred times its standard deviation when the parameters are random. `loose` are
    tolerances where those must be larger."""
    errors = normalised_errors(found, wanted)
    for name, reference in wanted.items():
        unit = np.finfo(np.float32).eps * np.max(np.abs(reference), axis=(-2, -1))
        rounding = 4 * float(np.max(unit / np.std(np.asarray(reference, np.float64), axis=(-2, -1))))
        allowed = max(TOLERANCE, rounding, (loose or {}).get(name, 0.0))
        assert errors[name] <= allowed, f"{name}: {errors[name]:.2e}, allowed {allowed:.1e}"


@pytest.fixture(scope="module", params=["demo", "stochastic_1_4_deg"])
def pair(request: pytest.FixtureRequest, neuralgcm_data: Any) -> Iterator[Pair]:
    archive = published.read(neuralgcm_data.checkpoint)
    if request.param != "demo":
        samples = request.getfixturevalue("samples")
        text = reduced((samples / "configs" / f"{request.param}.gin").read_text())
        archive = random_archive(text, static_on(archive.static, 64, 32), seed=3)
    told = dataclasses.replace(archive, config_text=archive.config_text + WATER_DIAGNOSTIC)
    yield Pair(Reference.of(told), archive, request.param == "demo")
    jax.clear_caches()


def test_step_and_decode_are_those_of_the_reference(pair: Pair):
    perturbation, core = pair.random_core(1, "encoder_randomness"), pair.random_core(2)
    encoded = pair.their_encode(perturbation, core)
    start = pair.to_ours(encoded, core)
    require_agreement(ours_on_sigma(pair.step(start, first=True)), on_sigma(pair.their_step(encoded, core)))
    require_agreement(pair.decode(start), pair.their_decode(encoded))


def test_columns_lose_the_water_that_the_reference_says(pair: Pair):
    core = pair.random_core(2)
    encoded = pair.their_encode(pair.random_core(1, "encoder_randomness"), core)
    theirs = pair.their_net_precipitation(encoded, core)
    ours = pair.step(pair.to_ours(encoded, core), first=True).net_precipitation
    assert np.std(theirs) > 0.01
    assert np.max(np.abs(ours - theirs)) < TOLERANCE * np.max(np.abs(theirs))


def test_encode_is_that_of_the_reference(pair: Pair):
    """Random parameters weigh features of lost digits, second derivatives of geopotential, as no trained ones do:
    there three times the answer of the reference to one unit in the last place of its input is allowed."""
    perturbation, core = pair.random_core(1, "encoder_randomness"), pair.random_core(2)
    wanted = on_sigma(pair.their_encode(perturbation, core))
    nearby = on_sigma(pair.their_encode(perturbation, core, pair.nudged_inputs))
    loose = {} if pair.trained else {name: 3 * own for name, own in normalised_errors(nearby, wanted).items()}
    require_agreement(ours_on_sigma(pair.encode(perturbation, core)), wanted, loose)


def test_after_a_day_we_are_as_near_to_the_reference_as_it_is_to_itself(pair: Pair):
    """Its own distance is that between runs from analyses that differ by one unit in the last place."""
    perturbation, cores = pair.random_core(1, "encoder_randomness"), [pair.random_core(10 + hour) for hour in range(24)]
    theirs, nearby = (pair.their_encode(perturbation, cores[0], given) for given in (pair.inputs, pair.nudged_inputs))
    ours = pair.encode(perturbation, cores[0])
    for hour, core in enumerate(cores):
        theirs, nearby = pair.their_step(theirs, core), pair.their_step(nearby, core)
        ours = pair.step(dataclasses.replace(ours, randomness=core), first=hour == 0)
    decoded = pair.their_decode(theirs)
    own_distance = normalised_errors(pair.their_decode(nearby), decoded)
    distance = normalised_errors(pair.decode(ours), decoded)
    for name, allowed in own_distance.items():
        assert distance[name] <= 3 * allowed, f"{name}: {distance[name]:.2e}, the reference from itself {allowed:.2e}"
