import jax.numpy as jnp
import numpy as np
import pytest

from forecast.dycore.sigma import SigmaLayers, vertical_advection, vertical_product

UNEVEN = SigmaLayers((0.0, 0.05, 0.2, 0.5, 0.9, 1.0))
KAPPA = 2 / 7


def brute_force_geopotential(layers, temperature):
    """Phi_k - Phi_(k+1) = R a_k (T_k + T_(k+1)), and R a_N T_N above the ground, a half log-distance (Durran 8.6.5)."""
    count, sigma = layers.count, layers.centers
    geopotential = np.zeros(count)
    geopotential[-1] = -np.log(sigma[-1]) * temperature[-1]
    for k in range(count - 2, -1, -1):
        half_distance = 0.5 * np.log(sigma[k + 1] / sigma[k])
        geopotential[k] = geopotential[k + 1] + half_distance * (temperature[k] + temperature[k + 1])
    return geopotential


def brute_force_temperature_tendency(layers, divergence, reference):
    """kappa T omega / p less the vertical advection of T, layer by layer, without horizontal gradients."""
    count, sigma, thickness = layers.count, layers.centers, layers.thickness
    alpha = [0.5 * np.log(sigma[k + 1] / sigma[k]) for k in range(count - 1)] + [-np.log(sigma[-1])]
    flux = [sum(divergence[j] * thickness[j] for j in range(k + 1)) for k in range(count)]
    rise = [layers.boundaries[k + 1] * flux[-1] - flux[k] for k in range(count)]
    tendency = np.zeros(count)
    for k in range(count):
        above = alpha[k - 1] * flux[k - 1] if k > 0 else 0.0
        tendency[k] = -KAPPA * reference[k] * (alpha[k] * flux[k] + above) / thickness[k]
        for boundary in (k - 1, k):
            if 0 <= boundary < count - 1:
                slope = (reference[boundary + 1] - reference[boundary]) / (sigma[boundary + 1] - sigma[boundary])
                tendency[k] -= 0.5 * rise[boundary] * slope
    return tendency


@pytest.mark.parametrize("layers", [UNEVEN, SigmaLayers.equidistant(8)])
def test_geopotential_matrix_is_the_hydrostatic_sum_from_the_ground_up(layers):
    temperature = np.random.default_rng(0).uniform(200, 300, layers.count)
    expected = brute_force_geopotential(layers, temperature)
    np.testing.assert_allclose(layers.geopotential_per_temperature @ temperature, expected, rtol=1e-13)


@pytest.mark.parametrize("layers", [UNEVEN, SigmaLayers.equidistant(8)])
def test_isothermal_column_has_the_exact_geopotential(layers):
    geopotential = layers.geopotential_per_temperature @ np.full(layers.count, 250.0)
    np.testing.assert_allclose(geopotential, -250.0 * np.log(layers.centers), rtol=1e-13)


@pytest.mark.parametrize("layers", [UNEVEN, SigmaLayers.equidistant(8)])
@pytest.mark.parametrize("isothermal", [True, False])
def test_heating_matrix_is_adiabatic_compression_and_vertical_advection(layers, isothermal):
    rng = np.random.default_rng(1)
    reference = np.full(layers.count, 250.0) if isothermal else np.sort(rng.uniform(200, 300, layers.count))
    divergence = rng.normal(size=layers.count)
    expected = -brute_force_temperature_tendency(layers, divergence, reference)
    actual = layers.temperature_per_divergence(reference, KAPPA) @ divergence
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


def test_compression_and_expansion_conserve_energy_in_a_column():
    """What compression gains, the pressure force loses: cp <dT/dt> = -<Phi D> (Durran 2010, section 8.6.6)."""
    layers, rng = UNEVEN, np.random.default_rng(2)
    temperature = np.full(layers.count, 260.0)
    divergence = rng.normal(size=layers.count)
    heating = -layers.temperature_per_divergence(temperature, KAPPA) @ divergence / KAPPA
    work = (layers.geopotential_per_temperature @ temperature) * divergence
    assert np.sum(heating * layers.thickness) == pytest.approx(-np.sum(work * layers.thickness), rel=1e-12)


def test_cumulative_integrates_from_the_top_to_the_lower_boundary():
    np.testing.assert_allclose(UNEVEN.cumulative @ np.ones(5), UNEVEN.boundaries[1:])


def test_vertical_product_acts_on_the_level_axis_alone():
    rng = np.random.default_rng(3)
    matrix, x = rng.normal(size=(4, 5)).astype(np.float32), rng.normal(size=(3, 5, 7)).astype(np.float32)
    expected = np.moveaxis(np.tensordot(matrix, x, axes=(1, 1)), 0, 1)
    np.testing.assert_allclose(vertical_product(jnp.asarray(matrix), jnp.asarray(x)), expected, atol=1e-5)


def test_vertical_advection_of_a_linear_profile_by_a_uniform_motion_is_exact_inside():
    layers = SigmaLayers.equidistant(6)
    profile = jnp.asarray(3 * layers.centers, jnp.float32)[None, :, None]
    tendency = np.asarray(vertical_advection(jnp.full((1, 5, 1), 0.5), profile, layers))[0, :, 0]
    np.testing.assert_allclose(tendency[1:-1], -1.5, rtol=1e-5)


def test_vertical_advection_leaves_a_uniform_profile_alone():
    assert not np.any(vertical_advection(jnp.ones((2, 4, 3)), jnp.ones((2, 5, 3)), UNEVEN))


@pytest.mark.parametrize("boundaries", [(0.0,), (0.1, 1.0), (0.0, 0.9), (0.0, 0.6, 0.5, 1.0), (0.0, 0.5, 0.5, 1.0)])
def test_impossible_boundaries_are_refused(boundaries):
    with pytest.raises(ValueError, match="sigma boundaries must"):
        SigmaLayers(boundaries)
