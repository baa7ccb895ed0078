import dataclasses

import numpy as np
import pytest

from forecast.dycore.time_integration import SIL3, ImExScheme, imex_step, repeated


@dataclasses.dataclass(frozen=True)
class Oscillation:
    """dx/dt = i (slow + fast) x in double precision, `fast` implicit."""

    slow: complex
    fast: complex

    def explicit(self, state):
        return 1j * self.slow * state

    def implicit(self, state):
        return 1j * self.fast * state

    def implicit_ahead(self, state, step):
        return self.implicit(state) / (1 - step * 1j * self.fast)


def error(equation, steps, scheme=SIL3):
    step = imex_step(equation, 1.0 / steps, scheme)
    x = np.ones(1, np.complex128)
    for _ in range(steps):
        x = step(x)
    return float(np.abs(x - np.exp(1j * (equation.slow + equation.fast)))[0])


def order(equation):
    return np.log2(error(equation, 64) / error(equation, 128))


def test_explicit_terms_converge_with_third_order_on_a_linear_problem():
    assert order(Oscillation(slow=2.0, fast=0.0)) == pytest.approx(3.0, abs=0.05)


def test_implicit_terms_converge_with_second_order():
    assert order(Oscillation(slow=0.0, fast=2.0)) == pytest.approx(2.0, abs=0.05)


def test_both_together_converge_with_second_order():
    assert order(Oscillation(slow=1.0, fast=2.0)) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("row", range(3))
def test_every_stage_has_the_same_time_in_both_tables(row):
    assert sum(SIL3.explicit[row]) == pytest.approx(sum(SIL3.implicit[row]))


def test_fast_oscillations_stay_bounded_at_any_step():
    for fast in (1.0, 10.0, 1e2, 1e4):
        step = imex_step(Oscillation(slow=0.0, fast=fast), 1.0)
        assert np.abs(step(np.ones(1, np.complex128)))[0] <= 1 + 1e-12


def test_slow_oscillations_are_stable_up_to_a_courant_number_of_1_7():
    step = imex_step(Oscillation(slow=1.7, fast=0.0), 1.0)
    assert np.abs(step(np.ones(1, np.complex128)))[0] <= 1


def test_forward_backward_euler_is_one_row_of_coefficients():
    euler = ImExScheme(explicit=((1.0,),), implicit=((0.0, 1.0),))
    step = imex_step(Oscillation(slow=1.0, fast=2.0), 0.1, euler)
    assert step(np.ones(1, np.complex128))[0] == pytest.approx((1 + 0.1j) / (1 - 0.2j))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_repeated_applies_the_step_that_often(count):
    assert float(repeated(lambda x: x + 1.0, count)(0.0)) == count
