"""Work done ahead gives the same results in the same order, and errors in their turn."""

import threading
import time

import pytest

from ingest import ahead as module
from ingest.ahead import ahead


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: {0, 1})


def test_results_come_in_the_order_of_the_items():
    def slow_for_even(number):
        time.sleep(0.01 * (number % 2 == 0))
        return number * number

    assert list(ahead(slow_for_even, range(20))) == [number * number for number in range(20)]


def test_two_are_worked_on_at_a_time():
    meeting = threading.Barrier(2, timeout=10)
    assert len(list(ahead(lambda _: meeting.wait(), range(6)))) == 6


def test_no_more_items_are_taken_than_are_needed():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = ahead(str, items())
    for number in range(50):
        assert next(results) == str(number)
        assert len(taken) <= number + 4
    results.close()
    assert len(taken) <= 54


def test_an_error_of_the_work_comes_after_the_results_before_it():
    results = ahead(lambda number: 6 // (3 - number), range(9))
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_error_of_the_items_comes_after_the_results_before_it():
    def items():
        yield from range(5)
        raise KeyError("the file ends here")

    results = ahead(str, items())
    assert [next(results) for _ in range(5)] == list("01234")
    with pytest.raises(KeyError, match="ends here"):
        next(results)


def test_no_items_no_results():
    assert list(ahead(str, [])) == []
