import numpy as np
import pytest

from forecast.dycore.filters import exponential_filter, step_filter

L = np.arange(23)


def test_the_mean_is_never_damped_and_damping_grows_with_wavenumber():
    factor = exponential_filter(L, attenuation=16.0, order=2)
    assert factor[0] == 1.0 and np.all(np.diff(factor) < 0)


def test_the_largest_wavenumber_is_damped_by_the_attenuation():
    assert exponential_filter(L, attenuation=4.0, order=3)[-1] == pytest.approx(np.exp(-4.0))


def test_nothing_is_damped_up_to_the_cutoff():
    factor = exponential_filter(L, attenuation=16.0, order=2, cutoff=0.5)
    assert np.all(factor[: 11 + 1] == 1.0) and np.all(factor[12:] < 1.0)


def test_a_higher_order_spares_the_lower_wavenumbers():
    low, high = (exponential_filter(L, attenuation=16.0, order=order) for order in (1, 6))
    assert np.all(high[1:-1] > low[1:-1]) and high[-1] == low[-1]


def test_damping_over_an_interval_does_not_depend_on_the_number_of_steps():
    one = step_filter(L, time_step=60, timescale=120, order=2)
    six = step_filter(L, time_step=10, timescale=120, order=2) ** 6
    np.testing.assert_allclose(one, six)
    assert one[-1] == pytest.approx(np.exp(-0.5))


@pytest.mark.parametrize("cutoff", [-0.1, 1.0])
def test_impossible_cutoff_is_refused(cutoff):
    with pytest.raises(ValueError, match="cutoff"):
        exponential_filter(L, 1.0, 1, cutoff)
