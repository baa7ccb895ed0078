"""Fields over intervals: right, and the same after a run was killed."""

from pathlib import Path

import numpy as np
import pytest

from forecast.frame import Frame
from publish.accumulate import WindowMemory
from publish.product import ProductError, ProductSettings, items, slabs
from publish.statistics import statistics
from tests.publish.frames import make_frame, with_net_precipitation

HOURS = tuple(range(0, 49, 6))
SETTINGS = ProductSettings(
    levels=(850,),
    fields=("air_temperature", "precipitation_minus_evaporation"),
    windows=(
        "air_temperature@850/24h max",
        "air_temperature@850/12h mean",
        "air_temperature@850/12h min",
        "precipitation_minus_evaporation/24h sum",
    ),
    probabilities=("precipitation_minus_evaporation>5/24h sum",),
    grid_spacing=5.0,
    places=(),
)


def frame(hours: int, members: tuple[int, ...] = (0, 1, 2, 3)) -> Frame:
    return with_net_precipitation(make_frame(hours, members))


def memory(directory: Path) -> WindowMemory:
    return WindowMemory(directory, SETTINGS, HOURS)


def over(kept: WindowMemory, at: Frame) -> dict[str, np.ndarray]:
    """The fields over intervals that end at a frame, by name."""
    return {item.variable: kept.over(item, at) for item in items(at, SETTINGS) if item.window is not None}


def temperature(hours: int, members: tuple[int, ...] = (0, 1, 2, 3)) -> np.ndarray:
    data = frame(hours, members).data["air_temperature"].sel(level=850)
    return data.transpose("member", "longitude", "latitude").values


def test_an_interval_takes_the_lead_times_after_its_beginning_up_to_its_end(tmp_path: Path):
    kept = memory(tmp_path)
    for hours in HOURS:
        kept.remember(frame(hours))
        found = over(kept, frame(hours))
        assert len(found) == (0 if hours < 12 else 2 if hours < 24 else 4)
        if hours < 24:
            continue
        last_day = [temperature(each) for each in range(hours - 18, hours + 1, 6)]
        np.testing.assert_array_equal(found["t850_24h_max"], np.max(last_day, axis=0))
        np.testing.assert_array_equal(found["t850_12h_min"], np.min(last_day[-2:], axis=0))
        np.testing.assert_allclose(found["t850_12h_mean"], np.mean(last_day[-2:], axis=0), rtol=1e-6)


def test_a_sum_is_what_was_gained_from_beginning_to_end(tmp_path: Path):
    kept = memory(tmp_path)
    for hours in HOURS:
        kept.remember(frame(hours))
    gained = over(kept, frame(48))["pme_24h_sum"]
    for member in range(4):
        np.testing.assert_allclose(gained[member], 24 * 0.1 * (1 + member), rtol=1e-5)


def test_statistics_and_probabilities_are_made_of_intervals_too(tmp_path: Path):
    kept = memory(tmp_path)
    for hours in HOURS[:5]:
        kept.remember(frame(hours))
    slab = next(each for each in slabs(frame(24), SETTINGS, kept) if each.item.variable == "pme_24h_sum")
    found = {each.name: values for each, values in statistics(slab, SETTINGS).maps.items()}
    np.testing.assert_allclose(found["mean"], 2.4 * 2.5, rtol=1e-5)
    np.testing.assert_allclose(found["probability_above_5"], 0.5)
    assert (slab.increment_hours, next(slabs(frame(24), SETTINGS, kept)).window) == (0, None)


def test_a_run_killed_after_any_lead_time_goes_on_with_the_same_values(tmp_path: Path):
    whole, expected = memory(tmp_path / "whole"), {}
    for hours in HOURS:
        whole.remember(frame(hours))
        expected[hours] = over(whole, frame(hours))
    for killed_after in HOURS[:-1]:
        directory = tmp_path / f"killed-{killed_after}"
        first = memory(directory)
        for hours in HOURS[: HOURS.index(killed_after) + 1]:
            first.remember(frame(hours))
        again = memory(directory)
        assert again.needed_from(killed_after + 6) == killed_after + 6
        for hours in range(killed_after + 6, 49, 6):
            again.remember(frame(hours))
            found = over(again, frame(hours))
            assert found.keys() == expected[hours].keys()
            for name, values in found.items():
                np.testing.assert_array_equal(values, expected[hours][name])


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("mishap", [Path.unlink, damaged, lambda path: path.write_bytes(path.read_bytes()[:100])])
def test_what_was_lost_or_damaged_is_asked_of_the_forecast_again(mishap, tmp_path: Path):
    kept = memory(tmp_path)
    for hours in HOURS[:7]:
        kept.remember(frame(hours))
    expected = over(kept, frame(36))
    mishap(tmp_path / "lead-00024h.npz")
    assert kept.needed_from(42) == 24
    with pytest.raises(ProductError, match="lead time 24 h is needed"):
        over(kept, frame(36))
    for hours in range(24, 37, 6):
        kept.remember(frame(hours))
    for name, values in over(kept, frame(36)).items():
        np.testing.assert_array_equal(values, expected[name])


def test_without_anything_kept_the_forecast_goes_back_as_far_as_the_longest_interval(tmp_path: Path):
    assert memory(tmp_path).needed_from(48) == 24
    assert memory(tmp_path).needed_from(6) == 0
    assert WindowMemory(tmp_path, ProductSettings(windows=()), HOURS).needed_from(48) == 48


def test_no_more_is_kept_than_the_longest_interval_needs(tmp_path: Path):
    kept = memory(tmp_path)
    for hours in HOURS:
        kept.remember(frame(hours))
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"lead-{hours:05d}h.npz" for hours in range(24, 49, 6)]


def test_a_member_that_was_dropped_does_not_count_in_intervals_that_end_later(tmp_path: Path):
    kept = memory(tmp_path)
    for hours in HOURS[:4]:
        kept.remember(frame(hours))
    kept.remember(frame(24, members=(0, 2, 3)))
    found = over(kept, frame(24, members=(0, 2, 3)))["t850_24h_max"]
    expected = np.max([temperature(each, (0, 2, 3)) for each in (6, 12, 18, 24)], axis=0)
    np.testing.assert_array_equal(found, expected)


def test_an_interval_must_fit_the_models_lead_times(tmp_path: Path):
    with pytest.raises(ProductError, match="multiples of 6 h.*got 9h_max"):
        WindowMemory(tmp_path, ProductSettings(windows=("wind_speed@850/9h max",)), HOURS)


def test_fields_over_intervals_are_refused_where_nothing_was_remembered():
    with pytest.raises(ProductError, match="which were not kept"):
        list(slabs(frame(24), SETTINGS))
