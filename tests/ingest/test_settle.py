"""The start that can be had: as planned when all is there, worse only as allowed, and never silently."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from ingest.errors import Busy, Incomplete, NotYetAvailable
from ingest.feed import Item
from ingest.plan import Place
from ingest.recipes import CLOUD
from ingest.settle import Terms
from ingest.sources.chain import ChainSource
from tests.ingest.examples import CYCLE, NEEDS
from tests.ingest.memory_feeds import MemoryFeed, ecmwf_fields, gfs_fields

HOURS = timedelta(hours=1)
EARLIER = CYCLE - 6 * HOURS


@pytest.fixture
def ecmwf(tmp_path):
    return MemoryFeed("ecmwf", ecmwf_fields(), tmp_path, delay=6 * HOURS)


@pytest.fixture
def gfs(tmp_path):
    return MemoryFeed("gfs", gfs_fields(), tmp_path)


@pytest.fixture
def chain(ecmwf, gfs):
    def made(*allowed, **options):
        feeds = {"ecmwf": ecmwf, "gfs": gfs}
        return ChainSource("ecmwf", feeds, Terms(allowed), clock=lambda: CYCLE + 7 * HOURS, **options)

    return made


def modes(plan):
    return [one.mode for one in plan.degraded]


def test_when_all_is_there_the_plan_is_the_declared_one_and_nothing_is_fetched_for_it(chain, ecmwf, gfs):
    assert chain().settled(CYCLE) == chain().plan(CYCLE)
    assert ecmwf.fetched == gfs.fetched == []
    assert modes(chain().settled(CYCLE)) == []


def test_what_is_missing_is_named_with_the_time_it_is_expected(chain, ecmwf):
    ecmwf.missing = {Item("eastward_wind", level) for level in (500, 600)}
    with pytest.raises(
        NotYetAvailable, match=r"ecmwf lacks 2 of 70 fields \(eastward_wind at 500 hPa, 600 hPa|eastward_wind at 500"
    ) as late:
        chain().settled(CYCLE)
    assert "expected 2020-03-01 12:00 UTC" in str(late.value)
    assert "gfs" not in str(late.value)


def test_the_next_source_steps_in_only_when_allowed_and_says_so(chain, ecmwf):
    ecmwf.late = {CYCLE}
    with pytest.raises(NotYetAvailable):
        chain("zero_cloud").settled(CYCLE)
    plan = chain("next_source").settled(CYCLE)
    assert {row.source for row in plan.rows if row.source} == {"gfs"}
    assert set(modes(plan)) == {"next_source"}
    assert "ecmwf has not published these, gfs has" in plan.degraded[0].why


def test_a_source_that_does_not_answer_counts_as_missing_and_its_error_is_told(chain, ecmwf):
    ecmwf.busy = True
    assert set(modes(chain("next_source").settled(CYCLE))) == {"next_source"}
    with pytest.raises(Busy, match="does not answer"):
        chain().settled(CYCLE)


def test_without_cloud_a_start_needs_leave_and_is_marked(chain, gfs):
    gfs.missing = {
        Item(name, level) for name in ("cloud_mixing_ratio", "cloud_ice_mixing_ratio") for level in NEEDS.levels
    }
    with pytest.raises(NotYetAvailable, match="cloud_ice_mixing_ratio"):
        chain().settled(CYCLE)
    plan = chain("zero_cloud").settled(CYCLE)
    assert [(one.mode, one.what) for one in plan.degraded] == [
        ("zero_cloud", "; ".join(f"{name} at 1-1000 hPa" for name in CLOUD[::1]))
    ]


def test_levels_that_failed_to_come_are_filled_only_when_allowed(chain, gfs):
    gfs.missing = {Item("air_temperature", 2)}
    with pytest.raises(NotYetAvailable):
        chain().settled(CYCLE)
    plan = chain("filled_levels").settled(CYCLE)
    assert "air_temperature at 2 hPa" in plan.degraded[0].what


def test_the_sea_surface_of_an_earlier_cycle_is_held_only_when_allowed(chain, gfs):
    gfs.missing = {Item("sea_ice_area_fraction")}
    late = {CYCLE}

    def available(cycle, items, ask=gfs.available):
        gfs.missing = {Item("sea_ice_area_fraction")} if cycle in late else set()
        return ask(cycle, items)

    gfs.available = available
    with pytest.raises(NotYetAvailable, match="sea_ice_area_fraction"):
        chain().settled(CYCLE)
    plan = chain("previous_forcing").settled(CYCLE)
    assert plan.places()[Place("sea_ice_area_fraction", None)].cycle == EARLIER
    assert modes(plan) == ["previous_forcing"]
    analysis = chain("previous_forcing").fetch(CYCLE, NEEDS)
    assert {one["valid_time"] for one in analysis.inputs} == {CYCLE.isoformat(), EARLIER.isoformat()}


def test_the_previous_analysis_serves_up_to_its_age_and_keeps_its_own_time(chain, ecmwf, gfs):
    ecmwf.late = {CYCLE}
    source = chain("previous_analysis")
    plan = source.settled(CYCLE)
    assert (plan.cycle, plan.state_cycle, plan.age) == (CYCLE, EARLIER, 6 * HOURS)
    assert modes(plan) == ["previous_analysis"]
    assert source.fetch(CYCLE, NEEDS).valid_time == EARLIER
    ecmwf.late = {CYCLE, EARLIER, EARLIER - 6 * HOURS}
    with pytest.raises(NotYetAvailable):
        source.settled(CYCLE)


def test_the_newest_cycle_is_the_newest_that_is_there_as_planned(chain, ecmwf):
    assert chain().cycles() == (CYCLE + 6 * HOURS,)
    ecmwf.late = {CYCLE + 6 * HOURS}
    assert chain("next_source", "previous_analysis").cycles() == (CYCLE,)
    ecmwf.late = {CYCLE + count * 6 * HOURS for count in range(-20, 3)}
    with pytest.raises(NotYetAvailable, match="no whole cycle"):
        chain().cycles()


def test_what_no_source_is_declared_to_offer_is_refused_before_anybody_is_asked(ecmwf):
    with pytest.raises(Incomplete, match="sea_surface_temperature.*ingest.chain"):
        ChainSource("ecmwf", {"ecmwf": ecmwf}).fetch(CYCLE, NEEDS)
    assert ecmwf.asked == []


def test_the_watch_hears_every_answer_and_may_better_the_guess(chain, ecmwf):
    ecmwf.late = {CYCLE}
    heard = []

    def watch(feed, answer):
        heard.append((feed, answer.complete))
        return replace(answer, expected_at=CYCLE + 7 * HOURS)

    with pytest.raises(NotYetAvailable, match="expected 2020-03-01 13:00"):
        chain(watch=watch).settled(CYCLE)
    assert ("ecmwf", False) in heard


def test_a_member_takes_its_perturbed_state_and_all_else_from_the_control_s_sources(chain, ecmwf, gfs, tmp_path):
    asked = []

    def perturbed(member):
        asked.append(member)
        fields = {key: values + member if key[0] == "t" else values for key, values in ecmwf_fields().items()}
        return MemoryFeed("ecmwf", fields, tmp_path, member=member)

    source = chain(perturbed=perturbed)
    control = source.fetch(CYCLE, NEEDS)
    plan = source.settled(CYCLE)
    second = source.fetch_member(plan, NEEDS, 2)
    warmer = second.dataset["air_temperature"] - control.dataset["air_temperature"]
    np.testing.assert_allclose(warmer.sel(level=500), 2.0, atol=1e-3)
    np.testing.assert_array_equal(warmer.sel(level=[1, 2, 3, 5, 7]), 0.0)
    assert second.plan["member"] == 2 and second.sha256 != control.sha256
    assert set(asked) == {2}


def test_a_member_that_is_not_there_is_not_replaced_by_another(chain, tmp_path):
    late = MemoryFeed("ecmwf", ecmwf_fields(), tmp_path, member=3, late={CYCLE})
    source = chain(perturbed=lambda member: late)
    with pytest.raises(NotYetAvailable, match="member 3 of ecmwf"):
        source.fetch_member(source.settled(CYCLE), NEEDS, 3)
