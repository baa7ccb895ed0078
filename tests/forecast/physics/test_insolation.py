"""The Sun stands where astronomy puts it, and where the reference puts it."""

from datetime import UTC, datetime, timedelta

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from forecast.physics.insolation import (
    DAYS_PER_YEAR,
    OBLIQUITY,
    REFERENCE_TIME,
    Insolation,
    declination,
    equation_of_time,
    phases_at,
    published_phases,
)

TIME_UNIT = 0.5 / 7.292e-5
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
LONGITUDES = np.arange(128) * 360 / 128
LATITUDES = np.rad2deg(np.arcsin(NODES))
INSOLATION = Insolation(LONGITUDES, LATITUDES)


def moments(count: int = 60) -> list[datetime]:
    """Whole hours between 1950 and 2030, the reference time and the analysis of the demo among them."""
    hours = np.random.default_rng(7).integers(-29 * 8766, 51 * 8766, count)
    return [
        REFERENCE_TIME,
        datetime(1959, 1, 2, tzinfo=UTC),
        *(REFERENCE_TIME + timedelta(hours=int(h)) for h in hours),
    ]


def simulation_time(moment: datetime) -> np.float32:
    return np.float32((moment - REFERENCE_TIME).total_seconds() / TIME_UNIT)


def turn(a, b) -> float:
    """Distance of two angles [rad]."""
    return abs((float(a) - float(b) + np.pi) % (2 * np.pi) - np.pi)


def test_the_flux_is_the_reference_implementations_over_eighty_years():
    radiation = pytest.importorskip("dinosaur.radiation")
    from dinosaur import coordinate_systems, primitive_equations, sigma_coordinates, spherical_harmonic

    coords = coordinate_systems.CoordinateSystem(
        spherical_harmonic.Grid.TL63(), sigma_coordinates.SigmaCoordinates.equidistant(2)
    )
    specs = primitive_equations.PrimitiveEquationsSpecs.from_si()
    reference = radiation.SolarRadiation.normalized(coords, specs, np.datetime64("1979-01-01T00:00:00"))
    expected = jax.jit(reference.radiation_flux)
    ours = jax.jit(lambda time: INSOLATION(published_phases(time, TIME_UNIT)))
    for moment in moments():
        time = np.float32(reference.datetime_to_time(np.datetime64(moment.replace(tzinfo=None))))
        np.testing.assert_allclose(ours(time), expected(time), atol=2e-6)


def test_simulation_time_places_the_sun_within_two_minutes():
    for moment in moments():
        exact, published = phases_at(moment), published_phases(simulation_time(moment), TIME_UNIT)
        assert turn(exact.rotational, published.rotational) < 0.0088
        assert turn(exact.orbital, published.orbital) < 1e-4


def test_exact_phases_count_days_and_years():
    phases = phases_at(datetime(1979, 1, 1, 6, tzinfo=UTC))
    assert phases.rotational == pytest.approx(np.pi / 2)
    for moment in moments():
        days = (moment - REFERENCE_TIME) / timedelta(days=1)
        phases = phases_at(moment)
        assert turn(phases.rotational, 2 * np.pi * moment.hour / 24) < 1e-6
        assert turn(phases.orbital, 2 * np.pi * days / DAYS_PER_YEAR) < 1e-6


def test_exact_phases_need_aware_utc():
    with pytest.raises(ValueError, match="UTC"):
        phases_at(datetime(1979, 1, 1, tzinfo=UTC).replace(tzinfo=None))


def test_phases_lie_in_one_turn():
    times = jnp.asarray([simulation_time(moment) for moment in moments()])
    for phase in published_phases(times, TIME_UNIT):
        assert float(phase.min()) >= 0 and float(phase.max()) <= 2 * np.pi


@pytest.mark.parametrize("moment", moments(5))
def test_the_globe_takes_in_a_quarter_of_the_beam(moment):
    phases = phases_at(moment)
    finer = Insolation(np.arange(360), LATITUDES)
    mean = np.sum(np.asarray(finer(phases)).mean(axis=0) * WEIGHTS) / 2
    subsolar = Insolation(np.array([0.0]), np.rad2deg(np.asarray(declination(phases.orbital))[None]))
    noon = phases._replace(rotational=jnp.float32(np.pi) - equation_of_time(phases.orbital))
    assert mean == pytest.approx(float(subsolar(noon)[0, 0]) / 4, rel=2e-3)


def test_it_is_dark_at_midnight_and_bright_at_noon():
    equator = Insolation(np.array([0.0, 180.0]), np.array([0.0]))
    midnight_utc = equator.flux(phases_at(datetime(2021, 3, 20, tzinfo=UTC)))
    assert midnight_utc[0, 0] == 0
    assert midnight_utc[1, 0] == pytest.approx(1361, rel=0.02)


def test_polar_day_and_polar_night():
    poles = Insolation(np.array([0.0]), np.array([-89.0, 89.0]))
    june, december = (
        np.stack([poles(phases_at(datetime(2021, month, 21, hour, tzinfo=UTC))) for hour in range(24)])
        for month in (6, 12)
    )
    assert june[..., 0].max() == 0 and june[..., 1].min() > 0.3
    assert december[..., 1].max() == 0 and december[..., 0].min() > 0.3


def test_declination_reaches_the_tropics_at_the_solstices():
    assert declination(phases_at(datetime(1979, 6, 21, tzinfo=UTC)).orbital) == pytest.approx(OBLIQUITY, rel=1e-3)
    assert declination(phases_at(datetime(1979, 12, 21, tzinfo=UTC)).orbital) == pytest.approx(-OBLIQUITY, rel=2e-3)


def test_members_may_have_their_own_times():
    times = jnp.asarray([0.0, 1.0, 2.0])
    together = INSOLATION(published_phases(times, TIME_UNIT))
    assert together.shape == (3, 128, 64)
    np.testing.assert_array_equal(together[1], INSOLATION(published_phases(times[1], TIME_UNIT)))
