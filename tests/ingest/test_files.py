"""Whatever the format, edition and order of a file, the analysis is the same; what is no analysis is refused."""

import re
from datetime import timedelta
from pathlib import Path

import eccodes
import numpy as np
import pytest
import xarray as xr

from forecast.constants import STANDARD_GRAVITY
from forecast.fields import PRESSURE_LEVELS
from forecast.grids import GaussianGrid, Regridder, RegularGrid
from ingest import grib
from ingest.errors import Broken, Gone, Incomplete, Refused, SourceError, WrongTime
from ingest.moisture import EPSILON, saturation_pressure
from ingest.sources import open_source
from tests.ingest.examples import (
    CYCLE,
    FILE_LEVELS,
    LATITUDES,
    LONGITUDES,
    NEEDS,
    dataset,
    example,
    message,
    messages,
    state,
    write_grib,
    write_netcdf,
)


def fetch(path, cycle=CYCLE):
    return open_source("files", path).fetch(cycle, NEEDS)


def truth(short_name, level, mask=None):
    field = state()[short_name, level].T
    return Regridder(RegularGrid(LONGITUDES, LATITUDES), NEEDS.grid)(field)


def assert_same(one, other, rtol=2e-6):
    for name in one.dataset:
        scale = float(np.abs(other.dataset[name]).max())
        np.testing.assert_allclose(one.dataset[name], other.dataset[name], atol=rtol * scale, err_msg=str(name))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return fetch(write_grib(example(), tmp_path_factory.mktemp("reference") / "analysis.grib2"))


def test_given_levels_are_the_conservative_mean_of_the_file(reference):
    for short_name, name, tolerance in (("z", "geopotential", 1.0), ("t", "air_temperature", 1e-3)):
        for level in FILE_LEVELS:
            np.testing.assert_allclose(
                reference.dataset[name].sel(level=level), truth(short_name, level), atol=tolerance
            )


def test_filled_levels_are_near_the_truth(reference):
    limits = {"z": 500.0, "t": 3.0, "u": 0.1, "q": 6e-4}
    names = {"z": "geopotential", "t": "air_temperature", "u": "eastward_wind", "q": "specific_humidity"}
    for short_name, limit in limits.items():
        for level in PRESSURE_LEVELS:
            error = np.abs(reference.dataset[names[short_name]].sel(level=level).values - truth(short_name, level))
            assert error.max() < limit, (short_name, level)


def test_every_variable_and_level_has_exactly_one_origin(reference):
    for name in reference.dataset:
        levels = [level for origin in reference.provenance[name] for level in origin["levels"]]
        expected = list(PRESSURE_LEVELS) if reference.dataset[name].ndim == 3 else []
        assert sorted(levels) == expected, name
        assert all(origin["method"] and origin["source"] for origin in reference.provenance[name])


def test_inputs_carry_hash_and_size(reference):
    (entry,) = reference.inputs
    assert len(entry["sha256"]) == 64
    assert entry["bytes"] > 0
    assert entry["uri"].startswith("file://")


def test_edition_1_gives_the_same_analysis(tmp_path, reference):
    assert_same(fetch(write_grib(example(edition=1), tmp_path / "a.grib")), reference)


def test_netcdf_gives_the_same_analysis(tmp_path, reference):
    assert_same(fetch(write_netcdf(example(), tmp_path / "a.nc")), reference)


@pytest.mark.parametrize("first", [180.0, -180.0])
@pytest.mark.parametrize("order", [1, -1], ids=["north first", "south first"])
@pytest.mark.parametrize("write, name", [(write_grib, "a.grib2"), (write_netcdf, "a.nc")], ids=["GRIB", "NetCDF"])
def test_the_order_of_coordinates_does_not_matter(tmp_path, reference, first, order, write, name):
    given = example(longitudes=LONGITUDES + first, latitudes=LATITUDES[::order])
    assert_same(fetch(write(given, tmp_path / name)), reference)


def test_the_order_of_messages_does_not_matter(tmp_path, reference):
    shuffled = messages(example())
    np.random.default_rng(3).shuffle(shuffled)
    path = tmp_path / "a.grib2"
    path.write_bytes(b"".join(shuffled))
    assert_same(fetch(path), reference, rtol=0)


def test_a_netcdf_mask_without_time_belongs_to_the_files_only_time(tmp_path, reference):
    data = dataset(example())
    data["lsm"] = data["lsm"].isel(valid_time=0, drop=True)
    data = data.assign_coords(number=0, expver="0001")
    data.to_netcdf(tmp_path / "a.nc")
    assert_same(fetch(tmp_path / "a.nc"), reference)


@pytest.mark.parametrize("kind", ["scalar time", "pascal", "packed"])
def test_other_layouts_of_netcdf_are_read(tmp_path, reference, kind):
    data = dataset(example())
    encoding = {}
    if kind == "scalar time":
        data = data.isel(valid_time=0).rename(pressure_level="level", latitude="lat", longitude="lon")
    elif kind == "pascal":
        data = data.assign_coords(pressure_level=("pressure_level", data.pressure_level.values * 100, {"units": "Pa"}))
    else:
        low, high = float(data["t"].min()), float(data["t"].max())
        encoding["t"] = {
            "dtype": "int32", "scale_factor": (high - low) / 2e9, "add_offset": (high + low) / 2, "_FillValue": -(2**31)
        }  # fmt: skip
    data.to_netcdf(tmp_path / "a.nc", encoding=encoding)
    assert_same(fetch(tmp_path / "a.nc"), reference)


def test_an_unknown_dimension_is_refused(tmp_path):
    data = xr.concat([dataset(example())] * 2, dim=xr.Variable("scenario", [1, 2]))
    data.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(Refused, match="scenario with 2"):
        fetch(tmp_path / "a.nc")


def test_model_levels_are_refused(tmp_path):
    data = dataset(example())
    data["pressure_level"].attrs["units"] = "1"
    data.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(Refused, match="levels in hPa or Pa"):
        fetch(tmp_path / "a.nc")


def test_a_directory_of_files_is_one_analysis(tmp_path, reference):
    write_grib(example().without("t", "sst"), tmp_path / "part1.grib2")
    rest = example()
    write_netcdf(rest.but(fields={k: v for k, v in rest.fields.items() if k[0] in ("t", "sst")}), tmp_path / "part2.nc")
    (tmp_path / "part1.grib2.idx").write_text("1:0:d=2020030106:...")
    assert_same(fetch(tmp_path), reference)


def test_geopotential_height_is_taken_for_geopotential(tmp_path, reference):
    given = example()
    for level in FILE_LEVELS:
        given = given.with_field("gh", level, given.fields["z", level] / STANDARD_GRAVITY)
    assert_same(fetch(write_grib(given.without("z"), tmp_path / "a.grib2")), reference)


def test_relative_humidity_is_taken_for_specific_humidity(tmp_path, reference):
    given = example()
    for level in FILE_LEVELS:
        q, t = given.fields["q", level], given.fields["t", level]
        vapour = q * 100 * level / (EPSILON + (1 - EPSILON) * q)
        given = given.with_field("r", level, 100 * vapour / saturation_pressure(t))
    analysis = fetch(write_grib(given.without("q"), tmp_path / "a.grib2"))
    error = np.abs(analysis.dataset["specific_humidity"] - reference.dataset["specific_humidity"])
    assert error.max() < 2e-4
    assert any("relative humidity" in origin["method"] for origin in analysis.provenance["specific_humidity"])


def test_one_cloud_mixing_ratio_is_split_into_ice_and_liquid_that_add_up(tmp_path):
    given = example().without("clwc", "ciwc")
    for level in FILE_LEVELS[3:]:
        given = given.with_field("clwmr", level, np.full((25, 48), 1e-4) * np.linspace(1, 2, 48))
    data = fetch(write_grib(given, tmp_path / "a.grib2")).dataset
    liquid, ice = (data[f"mass_fraction_of_cloud_{kind}_in_air"] for kind in ("liquid_water", "ice"))
    total = (liquid + ice).sel(level=list(FILE_LEVELS[3:]))
    assert float(total.min()) > 0.99e-4
    assert float(ice.sel(level=1000).mean()) < float(ice.sel(level=300).mean())
    assert float(liquid.sel(level=200).max()) == 0.0
    assert float(total.max()) < 2.01e-4
    assert float((liquid + ice).sel(level=[1, 50, 100]).max()) == 0.0


def test_without_cloud_the_cloud_is_zero_and_says_so(tmp_path):
    analysis = fetch(write_grib(example().without("clwc", "ciwc"), tmp_path / "a.grib2"))
    assert float(analysis.dataset["mass_fraction_of_cloud_ice_in_air"].max()) == 0.0
    assert "zero" in analysis.provenance["mass_fraction_of_cloud_ice_in_air"][0]["method"]


def test_surface_temperature_over_open_sea_is_taken_for_sst(tmp_path):
    given = example().without("sst").with_field("skt", 0, state()["skt", 0])
    analysis = fetch(write_grib(given, tmp_path / "a.grib2"))
    sst = analysis.dataset["sea_surface_temperature"]
    assert float(sst.max()) < 301.0
    assert float(sst.min()) == pytest.approx(271.46, abs=1e-3)
    assert "surface temperature" in analysis.provenance["sea_surface_temperature"][0]["method"]


def test_several_fields_in_one_message_are_all_read(tmp_path, reference):
    parts = messages(example())
    first = parts[2]
    sections = first[16:-4]
    identification = int.from_bytes(sections[:4], "big")
    repeated = parts[3][16:-4][identification:]
    body = sections + repeated + b"7777"
    combined = first[:8] + (16 + len(body)).to_bytes(8, "big") + body
    path = tmp_path / "a.grib2"
    path.write_bytes(b"".join([*parts[:2], combined, *parts[4:]]))
    assert_same(fetch(path), reference, rtol=0)


def test_the_same_field_twice_counts_once(tmp_path, reference):
    parts = messages(example())
    path = tmp_path / "a.grib2"
    path.write_bytes(b"".join([*parts, parts[5], parts[0]]))
    assert_same(fetch(path), reference, rtol=0)


def test_a_forecast_valid_at_the_cycle_serves_as_its_analysis(tmp_path, reference):
    parts = []
    for part in messages(example(valid_time=CYCLE - timedelta(hours=120))):
        handle = eccodes.codes_new_from_message(part)
        eccodes.codes_set(handle, "stepRange", "120")
        parts.append(eccodes.codes_get_message(handle))
        eccodes.codes_release(handle)
    path = tmp_path / "a.grib2"
    path.write_bytes(b"".join(parts))
    assert open_source("files", path).cycles() == (CYCLE,)
    assert_same(fetch(path), reference, rtol=0)


def test_cycles_are_the_valid_times_at_synoptic_hours(tmp_path):
    later = CYCLE + timedelta(hours=6)
    write_grib(example(), tmp_path / "a.grib2")
    write_netcdf(example(valid_time=later), tmp_path / "b.nc")
    write_grib(example(valid_time=CYCLE + timedelta(hours=1)), tmp_path / "c.grib2")
    assert open_source("files", tmp_path).cycles() == (CYCLE, later)


def test_of_several_times_the_cycles_own_is_read(tmp_path, reference):
    write_grib(example(), tmp_path / "a.grib2")
    other = example(valid_time=CYCLE + timedelta(hours=6))
    write_grib(other.with_field("t", 500, other.fields["t", 500] + 2.0), tmp_path / "b.grib2")
    assert_same(fetch(tmp_path), reference, rtol=0)


# What is refused


def patched(short_name, level, change):
    given = example()
    return given.with_field(short_name, level, change(given.fields[short_name, level]))


def with_patch(value):
    def change(values):
        values = values.copy()
        values[3:6, 10:14] = value
        return values

    return change


REFUSED = {
    "celsius": (patched("t", 500, lambda t: t - 273.15), Refused, "air_temperature at 500 hPa.*between 140 and 340"),
    "wrong level": (patched("t", 500, lambda t: t + 60), Refused, "air_temperature at 500 hPa.*global mean"),
    "geopotential for height": (
        example().with_field("gh", 500, example().fields["z", 500]),
        Refused,
        "geopotential_height at 500 hPa",
    ),
    "grams": (patched("q", 850, lambda q: q * 1000), Refused, "specific_humidity at 850 hPa"),
    "constant": (patched("u", 300, lambda u: u * 0 + 3), Refused, "eastward_wind at 300 hPa.*varies"),
    "gap": (patched("v", 700, with_patch(np.nan)), Incomplete, "northward_wind at 700 hPa.*12 of 1200 missing"),
    "sentinel": (patched("t", 250, with_patch(9999.0)), Incomplete, "air_temperature at 250 hPa.*12 of 1200 missing"),
    "sentinel in geopotential": (patched("z", 850, with_patch(9999.0)), Incomplete, "geopotential at 850 hPa"),
    "spike": (patched("u", 400, with_patch(190.0)), Broken, "eastward_wind at 400 hPa.*neighbours"),
    "not hydrostatic": (patched("t", 850, lambda t: t + 20), Broken, "between 850 and 700 hPa"),
    "wind of another time": (patched("v", 700, lambda v: -3 * v), Broken, "northward_wind at 700 hPa within 5"),
    "cloud everywhere": (patched("clwc", 700, lambda c: c + 2e-3), Refused, "cloud_liquid.*at 700 hPa.*global mean"),
    "missing level": (example().without(("u", 500)), Incomplete, "eastward_wind at 500 hPa"),
    "missing optional level": (example().without(("t", 10)), Incomplete, "air_temperature at 10 hPa"),
    "missing variable": (example().without("t"), Incomplete, "air_temperature at all levels"),
    "missing mandatory level": (
        example(levels=[p for p in FILE_LEVELS if p != 500]),
        Incomplete,
        "geopotential at 500 hPa.*air_temperature at 500 hPa",
    ),
    "no humidity": (example().without("q"), Incomplete, "specific_humidity at all levels"),
    "no sea surface temperature": (example().without("sst"), Incomplete, "sea surface temperature"),
    "no ice": (example().without("ci"), Incomplete, "sea ice"),
    "ice without open water": (
        example().with_field("ci", 0, np.where(example().fields["ci", 0] > 0, 0.9, np.nan)),
        Incomplete,
        "sea_ice_area_fraction.*over the sea",
    ),
    "ice in per cent": (example().with_field("ci", 0, 100 * example().fields["ci", 0]), Refused, "sea_ice_area"),
    "other time": (example(valid_time=CYCLE + timedelta(hours=6)), WrongTime, "cycle 2020-03-01 06.*2020-03-01 12"),
    "regional": (
        example(longitudes=np.arange(48) * 2.0, latitudes=np.linspace(80, 20, 25)),
        Refused,
        "once round the Earth",
    ),
    "hemisphere": (example(latitudes=np.linspace(90, 0, 25)), Refused, "from pole to pole"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("write, name", [(write_grib, "a.grib2"), (write_netcdf, "a.nc")], ids=["GRIB", "NetCDF"])
def test_what_is_no_sound_analysis_is_refused_and_the_message_says_what_was_found(tmp_path, case, write, name):
    given, kind, text = REFUSED[case]
    with pytest.raises(kind, match=text) as caught:
        fetch(write(given, tmp_path / name))
    assert "expected" in str(caught.value)
    assert any(word in str(caught.value) for word in ("found", "missing", "got"))


@pytest.mark.parametrize("write, name", [(write_grib, "a.grib2"), (write_netcdf, "a.nc")], ids=["GRIB", "NetCDF"])
def test_a_file_that_is_refused_is_closed_while_its_error_is_told(tmp_path, write, name):
    path = write(REFUSED["ice in per cent"][0], tmp_path / name)
    with pytest.raises(Refused) as caught:
        fetch(path)
    assert caught.tb is not None
    opened = {link.resolve() for link in Path("/proc/self/fd").iterdir() if link.exists()}
    assert path.resolve() not in opened


@pytest.mark.parametrize("name, unit", [("t", "degC"), ("u", "knots"), ("q", "g kg**-1"), ("z", "ft"), ("sst", "C")])
def test_a_unit_that_is_not_ours_is_refused_by_name(tmp_path, name, unit):
    data = dataset(example())
    data[name].attrs["units"] = unit
    data.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(Refused, match=re.escape(f"units '{unit}'")):
        fetch(tmp_path / "a.nc")


def test_relative_humidity_as_a_fraction_is_refused(tmp_path):
    given = example().without("q")
    for level in FILE_LEVELS:
        given = given.with_field("r", level, 0.2 + 0.6 * example().fields["u", level] / 40)
    with pytest.raises(Refused, match="per cent"):
        fetch(write_grib(given, tmp_path / "a.grib2"))


def test_another_value_for_the_same_place_is_refused(tmp_path):
    given = example()
    again = message(given, "t", 500, given.fields["t", 500] + 1.0)
    path = tmp_path / "a.grib2"
    path.write_bytes(b"".join([*messages(given), again]))
    with pytest.raises(Refused, match="air_temperature at 500 hPa.*once"):
        fetch(path)


def test_several_members_are_refused(tmp_path):
    write_grib(example(member=1), tmp_path / "a.grib2")
    write_grib(example(member=2), tmp_path / "b.grib2")
    with pytest.raises(Refused, match="members 1 .* and 2"):
        fetch(tmp_path)


def test_members_in_a_netcdf_file_are_refused(tmp_path):
    data = xr.concat([dataset(example())] * 2, dim=xr.Variable("number", [0, 1]))
    data.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(Refused, match="members 0 .* and 1"):
        fetch(tmp_path / "a.nc")


def test_a_regular_gaussian_grid_is_read_as_one(tmp_path):
    handle = eccodes.codes_grib_new_from_samples("regular_gg_pl_grib2")
    eccodes.codes_set(handle, "shortName", "t")
    rows = eccodes.codes_get(handle, "Nj", int)
    path = tmp_path / "a.grib2"
    path.write_bytes(eccodes.codes_get_message(handle))
    (raw,) = grib.read_fields(path, lambda header: True)
    expected = GaussianGrid(2 * rows, rows)
    np.testing.assert_array_equal(raw.grid.latitudes, expected.latitudes[::-1])
    np.testing.assert_allclose(raw.grid.longitudes, expected.longitudes, atol=1e-9)


def test_reduced_grids_are_refused(tmp_path):
    handle = eccodes.codes_grib_new_from_samples("reduced_gg_pl_32_grib2")
    eccodes.codes_set(handle, "dataDate", 20200301)
    eccodes.codes_set(handle, "dataTime", 600)
    (tmp_path / "a.grib2").write_bytes(eccodes.codes_get_message(handle))
    with pytest.raises(Refused, match="reduced_gg"):
        fetch(tmp_path / "a.grib2")


@pytest.mark.parametrize(
    "content, kind, text",
    [
        (b"", Broken, "empty"),
        (b"PK\x03\x04rest", Broken, "unpacked"),
        (b"\x1f\x8brest", Refused, "unpack"),
        (b"<html>404</html>", Refused, "starts with"),
        (b"\x89HDF\r\n\x1a\nrest", Broken, "NetCDF"),
        (b"CDF\x01" + b"\xff" * 50, Broken, "NetCDF"),
    ],
    ids=["empty", "zip", "gzip", "html", "HDF5", "classic"],
)
def test_a_file_that_is_none_is_refused(tmp_path, content, kind, text):
    (tmp_path / "a.grib2").write_bytes(content)
    with pytest.raises(kind, match=text):
        fetch(tmp_path / "a.grib2")


def test_nothing_at_the_path_is_said(tmp_path):
    with pytest.raises(Gone, match="nothing"):
        open_source("files", tmp_path / "absent")
    with pytest.raises(Gone, match="none"):
        fetch(tmp_path)


def test_a_file_without_temperature_has_no_cycles(tmp_path):
    with pytest.raises(WrongTime, match="00, 06, 12 or 18"):
        open_source("files", write_grib(example().without("t"), tmp_path / "a.grib2")).cycles()


def test_unknown_source_or_missing_path_is_a_plain_mistake():
    with pytest.raises(ValueError, match="demo, files"):
        open_source("ftp")
    with pytest.raises(ValueError, match="path"):
        open_source("files")


def test_all_errors_are_source_errors():
    assert all(issubclass(kind, SourceError) for kind in (Broken, Gone, Incomplete, Refused, WrongTime))
