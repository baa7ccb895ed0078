"""What the plan says for the sources there are, and that the analysis then is what the plan said."""

import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from forecast.fields import PRESSURE_LEVELS
from ingest.atmosphere import thickness
from ingest.consistency import check_hydrostatic
from ingest.errors import Broken, Incomplete
from ingest.execute import carry_out, fetch_inputs
from ingest.feed import Item
from ingest.moisture import virtual_temperature
from ingest.plan import Action, Place, Plan, degradations, disagreements, listed
from ingest.planner import Offer, make_plan
from ingest.recipes import CLOUD, STATE
from tests.ingest.examples import CYCLE, FILE_LEVELS, NEEDS
from tests.ingest.memory_feeds import ONLY_IN_B, MemoryFeed, ecmwf_fields, era5_fields, gfs_fields

FIELDS = {"ecmwf": ecmwf_fields, "gfs": gfs_fields, "era5": era5_fields}


@pytest.fixture(scope="module")
def offers():
    return {name: Offer(name, CYCLE, MemoryFeed(name, fields(), None).items) for name, fields in FIELDS.items()}


@pytest.fixture
def plan(offers):
    def made(*names, without=(), **options):
        chain = [offers[name] for name in names]
        given = [replace(one, items=one.items - set(without)) for one in chain]
        return make_plan(NEEDS, CYCLE, given, **options)

    return made


def rows(plan, variable):
    return {
        (listed(row.levels), row.action.value, row.source): row.method for row in plan.rows if row.variable == variable
    }


def test_gfs_gives_a_complete_start(plan):
    made = plan("gfs")
    assert made.refused == ()
    assert rows(made, "air_temperature") == {("1-1000", "fetch", "gfs"): "as given"}
    assert rows(made, "geopotential") == {("1-1000", "derive", "gfs"): "height times 9.80665"}
    humidity = {row.levels: row.action for row in made.rows if row.variable == "specific_humidity"}
    assert (
        humidity[ONLY_IN_B] is Action.DERIVE
        and humidity[tuple(sorted(set(PRESSURE_LEVELS) - set(ONLY_IN_B)))] is Action.FETCH
    )
    assert rows(made, CLOUD[0])["1-30", "fill", None] == "zero: the files hold no cloud here"
    assert [row.action for row in made.rows if row.variable == "sea_surface_temperature"] == [Action.DERIVE]
    assert len(made.requests) == 1


def test_ecmwf_is_completed_by_gfs_with_what_it_lacks_and_nothing_else(plan):
    made = plan("ecmwf", "gfs")
    assert made.refused == ()
    assert rows(made, "air_temperature")[listed(FILE_LEVELS), "fetch", "ecmwf"] == "as given"
    assert rows(made, "air_temperature")["1-7", "fetch", "gfs"] == "as given"
    assert (
        rows(made, "geopotential")["1-7", "derive", "gfs"] == "thickness above 10 hPa placed on the geopotential there"
    )
    ecmwf, gfs = made.requests
    assert {one.quantity for one in ecmwf.items} == {
        "geopotential_height", "air_temperature", "eastward_wind", "northward_wind", "specific_humidity",
    }  # fmt: skip
    assert {one.level for one in gfs.items if one.quantity == "air_temperature"} == {1, 2, 3, 5, 7}
    assert gfs.above == {Item("geopotential_height", level) for level in (1, 2, 3, 5, 7, 10)}
    assert not any(one.quantity.startswith("geopotential") for one in gfs.items)


def test_every_variable_has_every_level_exactly_once_in_any_chain(plan):
    for chain in (("gfs",), ("ecmwf", "gfs"), ("ecmwf", "era5"), ("era5",)):
        places = [place for row in plan(*chain).rows for place in row.places]
        wanted = [Place(name, level) for name in (*STATE, "specific_humidity", *CLOUD) for level in PRESSURE_LEVELS]
        assert sorted(map(str, places)) == sorted(
            map(str, [*wanted, Place("sea_surface_temperature", None), Place("sea_ice_area_fraction", None)])
        )


def test_ecmwf_alone_is_refused_with_the_reason_for_each_variable(plan):
    made = plan("ecmwf")
    assert {row.variable for row in made.refused} == {*CLOUD, "sea_surface_temperature", "sea_ice_area_fraction"}
    allowed = plan("ecmwf", allowed=("zero_cloud",))
    assert {row.variable for row in allowed.refused} == {"sea_surface_temperature", "sea_ice_area_fraction"}
    with pytest.raises(Incomplete, match="sea_ice_area_fraction"):
        fetch_inputs(made, {})


def test_a_source_without_a_required_level_is_passed_over_for_one_that_has_it(plan, offers):
    made = make_plan(
        NEEDS,
        CYCLE,
        [replace(offers["ecmwf"], items=offers["ecmwf"].items - {Item("eastward_wind", 500)}), offers["gfs"]],
    )
    assert {row.source for row in made.rows if row.variable == "air_temperature"} == {"gfs"}
    nowhere = plan("ecmwf", "gfs", without=[Item("eastward_wind", 500)])
    (refused,) = [row for row in nowhere.refused if row.variable == "eastward_wind"]
    assert refused.levels == (500,) and "ecmwf, gfs" in refused.method


def test_a_level_that_one_of_the_state_lacks_is_filled_for_all(plan):
    made = plan("gfs", without=[Item("northward_wind", 20)])
    for name in STATE:
        assert made.places()[Place(name, 20)].action is Action.FILL


def test_where_no_ice_is_offered_total_cloud_is_split_by_temperature(plan):
    made = plan("gfs", without=[Item("cloud_ice_mixing_ratio", level) for level in PRESSURE_LEVELS])
    assert {row.method[:21] for row in made.rows if row.variable == CLOUD[1] and row.action is Action.DERIVE} == {
        "share of total cloud "
    }


def test_the_forcing_may_be_of_an_earlier_cycle_and_the_state_may_not(offers):
    earlier = replace(offers["gfs"], cycle=CYCLE - timedelta(hours=6))
    made = make_plan(NEEDS, CYCLE, [offers["ecmwf"], earlier], ("zero_cloud",))
    assert made.refused == ()
    assert {row.variable for row in made.rows if row.source == "gfs"} == {
        "sea_surface_temperature", "sea_ice_area_fraction",
    }  # fmt: skip
    nominal = make_plan(NEEDS, CYCLE, [offers["ecmwf"], offers["gfs"]])
    assert {one.mode for one in degradations(nominal, made)} == {"previous_forcing", "zero_cloud", "filled_levels"}


def test_nothing_offered_is_everything_refused(plan):
    assert {row.variable for row in plan().refused} == {
        *STATE, "specific_humidity", *CLOUD, "sea_surface_temperature", "sea_ice_area_fraction",
    }  # fmt: skip


def test_the_document_is_json_and_the_same_for_the_same_plan(plan):
    first, second = (json.dumps(plan("ecmwf", "gfs").document()) for _ in range(2))
    assert first == second
    assert Plan.from_document(json.loads(first)) == plan("ecmwf", "gfs")


@pytest.fixture
def analysed(tmp_path):
    def made(*names, **changes):
        feeds = {name: MemoryFeed(name, FIELDS[name](), tmp_path) for name in names}
        for key, fields in changes.items():
            feeds[key].fields = fields
        given = make_plan(NEEDS, CYCLE, [Offer(name, CYCLE, feed.items) for name, feed in feeds.items()])
        return given, carry_out(given, NEEDS, fetch_inputs(given, feeds))

    return made


@pytest.mark.parametrize("chain", [("gfs",), ("ecmwf", "gfs"), ("ecmwf", "era5"), ("era5",)])
def test_the_analysis_is_made_as_planned(analysed, chain):
    plan, analysis = analysed(*chain)
    assert disagreements(plan, analysis.provenance) == []
    assert analysis.plan == plan.document()
    assert {one["source"] for one in analysis.inputs} == set(chain)
    assert all(one["valid_time"] == CYCLE.isoformat() and one["retrieved_at"] for one in analysis.inputs)


def test_a_row_of_another_source_would_be_noticed(analysed):
    plan, analysis = analysed("ecmwf", "gfs")
    other = replace(plan, rows=tuple(replace(row, source="era5") if row.source == "gfs" else row for row in plan.rows))
    assert any("air_temperature at 1 hPa" in line for line in disagreements(other, analysis.provenance))


def test_all_chains_give_the_same_atmosphere_within_the_error_of_filling(analysed):
    _, complete = analysed("gfs")
    _, mixed = analysed("ecmwf", "gfs")
    for name, limit in (("air_temperature", 2.5), ("geopotential", 250.0), ("eastward_wind", 0.5)):
        assert float(np.abs(complete.dataset[name] - mixed.dataset[name]).max()) < limit
    np.testing.assert_allclose(complete.dataset["sea_surface_temperature"], mixed.dataset["sea_surface_temperature"])


def test_the_column_stays_hydrostatic_at_the_seam_when_the_sources_disagree(analysed):
    """The upper source is 300 m higher throughout and its thickness is kept, not its height."""
    higher = {key: values + 300.0 if key[0] == "gh" else values for key, values in gfs_fields().items()}
    plain, shifted = analysed("ecmwf", "gfs")[1].dataset, analysed("ecmwf", "gfs", gfs=higher)[1].dataset
    np.testing.assert_allclose(shifted["geopotential"], plain["geopotential"], atol=2.0)
    humidity, temperature = shifted["specific_humidity"].values, shifted["air_temperature"].values
    virtual = virtual_temperature(temperature, humidity)
    levels = [level for level in PRESSURE_LEVELS if level <= 20]
    rise = shifted["geopotential"].values[: len(levels) - 1] - shifted["geopotential"].values[1 : len(levels)]
    for k, (upper, lower) in enumerate(pairwise(levels)):
        np.testing.assert_allclose(rise[k], thickness(virtual[k + 1], virtual[k], lower, upper), rtol=0.01)
    check_hydrostatic(PRESSURE_LEVELS, shifted["geopotential"].values, temperature, humidity, NEEDS.grid, "mixed")


def test_a_field_that_comes_without_values_is_no_silent_filling(analysed):
    empty = gfs_fields()
    for name in ("gh", "t", "u", "v"):
        empty[name, 20] = np.full_like(empty[name, 20], np.nan)
    with pytest.raises(Broken, match="not come out as planned.*20 hPa"):
        analysed("gfs", gfs=empty)


def test_a_file_without_a_field_that_was_asked_for_is_broken(tmp_path):
    feed = MemoryFeed("gfs", gfs_fields(), tmp_path)
    plan = make_plan(NEEDS, CYCLE, [Offer("gfs", CYCLE, feed.items)])
    del feed.fields["t", 500]
    with pytest.raises(Broken, match="lack air_temperature at 500 hPa"):
        carry_out(plan, NEEDS, fetch_inputs(plan, {"gfs": feed}))


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        ((1, 2, 3, 5, 7, 20, 30), "1-7, 20, 30"),
        ((1000,), "1000"),
        ((850, 925), "850, 925"),
        (PRESSURE_LEVELS, "1-1000"),
    ],
)
def test_levels_are_told_as_people_write_them(levels, text):
    assert listed(levels) == text
