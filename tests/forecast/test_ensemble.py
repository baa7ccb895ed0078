"""Promises of an ensemble: members are their own, windows resume exactly, bad members are replaced or dropped."""

import dataclasses
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event

import jax
import numpy as np
import pytest

from forecast import restart
from forecast.ensemble import Ensemble
from forecast.errors import AnalysisMismatch, ForcingNotValid, ForecastError, QuorumLost
from forecast.integration import Integration
from forecast.members import Identity, Members
from forecast.model_operations import member_key
from forecast.model_state import hour_of
from tests.forecast.conftest import CYCLE

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def three_hours(demo_checkpoint, demo_analysis, hourly, tmp_path_factory):
    """The frames of two members over three hours, undisturbed."""
    ensemble = Ensemble(demo_checkpoint, hourly(3), demo_analysis, tmp_path_factory.mktemp("restart"))
    return list(ensemble.frames())


def test_frames_come_in_order_with_all_members_in_physical_bounds(three_hours):
    assert [frame.lead_time / HOUR for frame in three_hours] == [0, 1, 2, 3]
    assert all(frame.members == (0, 1) for frame in three_hours)
    temperature = three_hours[-1].data["air_temperature"]
    assert temperature.dims == ("member", "level", "longitude", "latitude")
    assert temperature.dtype == np.float32
    assert 150 < float(temperature.min()) < float(temperature.max()) < 340


def test_members_differ_and_the_difference_grows_from_the_encoder_on(three_hours):
    wind = [frame.data["eastward_wind"].sel(level=500) for frame in three_hours]
    spread = [float(abs(field[0] - field[1]).mean()) for field in wind]
    assert spread[0] > 0


def test_resumed_after_any_window_it_is_bitwise_the_uninterrupted_forecast(
    demo_checkpoint, demo_analysis, hourly, restart_dir: Path, three_hours
):
    stopped = Ensemble(demo_checkpoint, hourly(3), demo_analysis, restart_dir).frames()
    for _ in range(3):
        next(stopped)
    stopped.close()
    resumed = Ensemble(demo_checkpoint, hourly(3), demo_analysis, restart_dir)
    frames = list(resumed.frames(from_lead=2 * HOUR))
    assert [frame.lead_time / HOUR for frame in frames] == [2, 3]
    for frame, wanted in zip(frames, three_hours[2:], strict=True):
        assert frame.data.equals(wanted.data)


def test_a_window_saved_by_a_version_with_another_state_is_not_used(
    demo_checkpoint, demo_analysis, hourly, restart_dir: Path, three_hours
):
    stopped = Ensemble(demo_checkpoint, hourly(3), demo_analysis, restart_dir).frames()
    for _ in range(3):
        next(stopped)
    stopped.close()
    (path,) = restart_dir.glob("window-*")
    window = restart.load(path)
    arrays = {name: values for name, values in window.arrays.items() if "net_precipitation" not in name}
    restart.save(dataclasses.replace(window, arrays=arrays), restart_dir)
    frame = next(Ensemble(demo_checkpoint, hourly(3), demo_analysis, restart_dir).frames(from_lead=2 * HOUR))
    assert frame.data.equals(three_hours[2].data)


def test_water_leaves_the_columns_hour_by_hour(three_hours):
    at_start, after = (three_hours[hour].data["precipitation_minus_evaporation"] for hour in (0, 3))
    assert float(abs(at_start).max()) == 0.0
    assert 0.1 < float(after.max()) < 60.0


def test_a_member_is_the_same_in_a_larger_ensemble_and_in_any_batch_on_a_cpu(
    demo_checkpoint, demo_analysis, hourly, restart_dir: Path, three_hours
):
    larger = Ensemble(demo_checkpoint, hourly(1, members=3), demo_analysis, restart_dir)
    frames = list(larger.frames())
    for frame, wanted in zip(frames, three_hours, strict=False):
        assert frame.data.sel(member=[0, 1]).equals(wanted.data)


def test_a_batch_of_members_agrees_with_each_alone(demo_checkpoint, demo_analysis, hourly, restart_dir, three_hours):
    together = list(Ensemble(demo_checkpoint, hourly(1), demo_analysis, restart_dir, batch_size=2).frames())
    found, wanted = together[1].data, three_hours[1].data
    for name in ("air_temperature", "eastward_wind", "specific_humidity"):
        assert float(abs(found[name] - wanted[name]).max()) < 1e-4 * float(wanted[name].std())


@pytest.mark.parametrize("on_host", [True, False], ids=["CPU", "accelerator"])
def test_an_accelerator_is_a_window_ahead_and_a_cpu_waits_for_what_is_done_with_a_frame(
    demo_checkpoint, demo_analysis, hourly, restart_dir, three_hours, monkeypatch, on_host
):
    begun, second = [], Event()
    advance = Members.advance

    def noted(self, states, identities, forcing, first_hour, hours):
        begun.append(first_hour)
        if first_hour == 1:
            second.set()
        return advance(self, states, identities, forcing, first_hour, hours)

    monkeypatch.setattr(Members, "advance", noted)
    monkeypatch.setattr(Members, "on_host", on_host)
    forecast = Ensemble(demo_checkpoint, hourly(3), demo_analysis, restart_dir, batch_size=1).frames()
    frames = [next(forecast)]
    if on_host:
        assert set(begun) == {0}
    else:
        assert second.wait(60)
    frames += forecast
    assert all(frame.data.equals(wanted.data) for frame, wanted in zip(frames, three_hours, strict=True))


def test_a_frame_that_its_user_lets_go_of_is_gone(demo_checkpoint, demo_analysis, hourly, restart_dir):
    with closing(Ensemble(demo_checkpoint, hourly(3), demo_analysis, restart_dir).frames()) as forecast:
        watched = weakref.ref(next(forecast).data["air_temperature"].values)
        assert watched() is None


def test_what_ends_the_wait_for_a_window_ends_the_integration(
    demo_checkpoint, demo_analysis, hourly, restart_dir, monkeypatch
):
    class Asked(BaseException):
        """What a signal may raise."""

    def asked(future, timeout=None):
        raise Asked

    ensemble = Ensemble(demo_checkpoint, hourly(3), demo_analysis, restart_dir)
    stop, stopped = Integration.stop, Event()
    monkeypatch.setattr(Integration, "stop", lambda self: (stop(self), stopped.set())[0])
    forecast = ensemble.frames()
    next(forecast)
    monkeypatch.setattr("forecast.integration.ThreadPoolExecutor", _raising(asked))
    with pytest.raises(Asked):
        list(forecast)
    assert stopped.is_set()


def _raising(result):
    """Executors whose futures have this way to give a result."""

    class Executor(ThreadPoolExecutor):
        def submit(self, *arguments, **named):
            future = super().submit(*arguments, **named)
            future.result = partial(result, future)
            return future

    return Executor


def test_keys_are_distinct_for_cycles_members_and_attempts():
    identities = [Identity(0), Identity(1), Identity(0, 1), Identity(1, 1), Identity(49)]
    origins = [np.uint32(hour_of(cycle) & 0xFFFFFFFF) for cycle in (CYCLE, CYCLE + 6 * HOUR)]
    keys = [member_key(origin, (one.member, one.attempt)) for origin in origins for one in identities]
    assert len({key.tobytes() for key in map(_bits, keys)}) == len(keys)


def _bits(key) -> np.ndarray:
    return np.asarray(jax.random.key_data(key))


@pytest.fixture
def failing(monkeypatch):
    """Make members fail: `failing[member]` says how many of its first attempts are bad from lead time 2 h on."""
    bad: dict[int, int] = {}
    decoding, advance = Members.decoding, Members.advance
    where: dict[int, tuple[Identity, int]] = {}

    def noted_advance(self, states, identities, forcing, first_hour, hours):
        advanced = advance(self, states, identities, forcing, first_hour, hours)
        for state, identity in zip(advanced, identities, strict=True):
            where[id(state)] = (identity, first_hour + hours)
        return advanced

    def failing_decoding(self, state, forcing):
        started = decoding(self, state, forcing)
        identity, hour = where.get(id(state), (Identity(-1), 0))
        if hour == 2 and identity.attempt < bad.get(identity.member, 0):
            started.arrays["air_temperature/max"] = np.float32("nan")
        return started

    monkeypatch.setattr(Members, "advance", noted_advance)
    monkeypatch.setattr(Members, "decoding", failing_decoding)
    return bad


def test_a_member_that_fails_once_restarts_its_window_with_a_fresh_key(
    demo_checkpoint, demo_analysis, hourly, restart_dir, three_hours, failing
):
    failing[1] = 1
    ensemble = Ensemble(demo_checkpoint, hourly(2), demo_analysis, restart_dir)
    frames = list(ensemble.frames())
    assert ensemble.lost == ()
    assert frames[2].members == (0, 1)
    assert frames[2].data.sel(member=0).equals(three_hours[2].data.sel(member=0))
    assert not frames[2].data.sel(member=1).equals(three_hours[2].data.sel(member=1))


def test_a_member_that_keeps_failing_is_dropped_and_recorded(
    demo_checkpoint, demo_analysis, hourly, restart_dir, three_hours, failing
):
    failing[1] = 99
    ensemble = Ensemble(demo_checkpoint, hourly(3, quorum=0.5), demo_analysis, restart_dir)
    frames = list(ensemble.frames())
    assert [frame.members for frame in frames] == [(0, 1), (0, 1), (0,), (0,)]
    assert ensemble.lost == ({"member": 1, "lead_time_hours": 2, "reason": "air_temperature is not finite"},)
    assert frames[3].data.sel(member=0).equals(three_hours[3].data.sel(member=0))


def test_too_few_members_end_the_forecast_with_their_reasons(
    demo_checkpoint, demo_analysis, hourly, restart_dir, failing
):
    failing[1] = 99
    ensemble = Ensemble(demo_checkpoint, hourly(2), demo_analysis, restart_dir)
    with pytest.raises(QuorumLost, match=r"1 of 2 members are left, the quorum is 90%; lost: member 1: air_temp"):
        list(ensemble.frames())


def test_an_analysis_that_does_not_fit_is_refused_with_what_was_expected(
    demo_checkpoint, demo_analysis, hourly, restart_dir
):
    cases = {
        r"expects 37 values of level from 1 to 1000, got 36": demo_analysis.isel(level=slice(1, None)),
        r"expects 64 values of latitude": demo_analysis.isel(latitude=slice(None, None, -1)),
        r"has no specific_humidity": demo_analysis.drop_vars("specific_humidity"),
        r"air_temperature has 1 missing values": demo_analysis.assign(
            air_temperature=demo_analysis["air_temperature"].where(
                demo_analysis["air_temperature"] != demo_analysis["air_temperature"][3, 4, 5]
            )
        ),
        r"has no sea_ice_area_fraction": demo_analysis.drop_vars("sea_ice_area_fraction"),
    }
    for message, analysis in cases.items():
        with pytest.raises(AnalysisMismatch, match=message):
            Ensemble(demo_checkpoint, hourly(1), analysis, restart_dir)


def test_a_forecast_beyond_its_forcing_is_refused_before_it_starts(demo_checkpoint, demo_analysis, hourly, restart_dir):
    too_long = hourly(24 * 60, window=24 * HOUR)
    with pytest.raises(ForcingNotValid, match="analysed at 1959-01-02 00:00 UTC and are held for 45 days"):
        Ensemble(demo_checkpoint, too_long, demo_analysis, restart_dir)


def test_a_specification_for_another_model_is_refused(demo_checkpoint, demo_analysis, hourly, restart_dir):
    other = dataclasses.replace(hourly(1), model_hash="0" * 64)
    with pytest.raises(ForecastError, match="the specification is for model 000000000000"):
        Ensemble(demo_checkpoint, other, demo_analysis, restart_dir)
