"""A profile is a file for stock viewers, and shows products being made while an accelerator integrates what is next."""

import gzip
import json
from datetime import UTC, datetime

import pytest

from forecast.ensemble import Ensemble
from forecast.members import Members
from ops import worker
from ops.forecaster import ModelForecaster
from ops.progress import LogProgress
from ops.spans import span
from tests.ops.fakes import FakeForecaster, save_model, settings


@pytest.fixture(scope="module")
def events(tmp_path_factory, demo_checkpoint, demo_analysis, hourly):
    """All events of a profile of a run with synthetic frames, and of a forecast whose frames are used for a while.

    The forecast takes this CPU for an accelerator.
    """
    directory = tmp_path_factory.mktemp("profile")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Members, "on_host", False)
        return profiled(directory, demo_checkpoint, demo_analysis, hourly)


def profiled(directory, demo_checkpoint, demo_analysis, hourly):
    """What `events` are."""
    wanted = settings(directory)
    save_model(wanted.paths.models)
    forecast = Ensemble(demo_checkpoint, hourly(3, members=1), demo_analysis, directory / "restart", 1).frames()
    next(forecast)
    with ModelForecaster().profiled(directory / "profile"):
        cycle = datetime(1959, 1, 2, tzinfo=UTC)
        worker.run(wanted, FakeForecaster(), LogProgress(), cycle=cycle)
        for frame in forecast:
            with span("use"):
                for _ in range(20):
                    frame.data["air_temperature"].values.copy().sort()
    (path,) = (directory / "profile").rglob("*.trace.json.gz")
    assert list((directory / "profile").rglob("*.xplane.pb"))
    with gzip.open(path) as file:
        return json.load(file)["traceEvents"]


def stretches(events, name):
    return [(each["ts"], each["ts"] + each["dur"], each["tid"]) for each in events if each.get("name") == name]


def test_it_shows_the_stages_of_a_run_and_each_lead_time(events):
    names = {each.get("name") for each in events}
    assert {"fetch", "integrate", "finish", *(f"publish {hours} h" for hours in (0, 12, 24, 36, 48))} <= names


def test_each_stretch_lies_within_its_stage(events):
    ((begin, end, thread),) = stretches(events, "integrate")
    for hours in (0, 12, 24, 36, 48):
        ((first, last, same),) = stretches(events, f"publish {hours} h")
        assert begin <= first <= last <= end
        assert same == thread


def test_steps_are_computed_while_frames_are_used(events):
    using = stretches(events, "use")
    integrating = [each for name in ("step", "decode", "take in") for each in stretches(events, name)]
    assert any(
        begin < last and first < end and thread != other
        for begin, end, thread in using
        for first, last, other in integrating
    )
