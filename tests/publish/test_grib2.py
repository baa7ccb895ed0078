"""GRIB2 as its readers see it: ecCodes, cfgrib, grib-check."""

import os
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import eccodes
import numpy as np
import pytest
import xarray as xr

from publish.product import PUBLISHABLE, ProductSettings, slabs
from publish.statistics import statistics
from publish.writers import EncodedFile, WriterError, grib2
from publish.writers.grib2 import octets
from tests.publish.conftest import encode_frame
from tests.publish.frames import make_frame, with_net_precipitation

Files = dict[tuple[str, str], EncodedFile]
SMALL = ProductSettings(
    levels=(500,),
    fields=("air_temperature",),
    statistics=("mean", "spread"),
    probabilities=(),
    formats=("grib2",),
    places=(),
)
TIGGE_FIELDS = (
    "geopotential_height",
    "air_temperature",
    "eastward_wind",
    "northward_wind",
    "specific_humidity",
    "air_pressure_at_mean_sea_level",
    "surface_air_pressure",
    "atmosphere_mass_content_of_water",
)
FIELDS = {"gh", "t", "u", "v", "q", "ws", "vo", "d", "msl", "sp", "tcwv", "tcw", "thick"}
SHORT_NAMES = {"thick1000_500": "thick"}


def open_with_cfgrib(path: Path) -> xr.Dataset:
    return xr.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""})


def messages(path: Path) -> Iterator[int]:
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            yield handle
            eccodes.codes_release(handle)


def keys(path: Path, *names: str) -> set[tuple]:
    """The different combinations of values in a file; numbers, except of names and types."""
    return {tuple(_key(handle, name) for name in names) for handle in messages(path)}


def _key(handle: int, name: str) -> int | str | None:
    is_text = name in ("dataType", "shortName", "typeOfLevel", "packingType")
    return eccodes.codes_get(handle, name, ktype=str if is_text else int)


def test_each_kind_of_field_has_a_file(encoded: Files):
    names = {kind: file.path.name for (suffix, kind), file in encoded.items() if suffix == ".grib2"}
    start, ensemble = "19590102000000-6h-", "19590102000000-6h-enfo-"
    statistics = {"mean": "em", "spread": "es", "min": "mn", "max": "mx"}
    statistics |= {name: name for name in ("p10", "p25", "p50", "p75", "p90")}
    events = ("t850-below-273p15", "ws850-above-15", "ws850-above-25", "tcwv-above-40")
    assert names == {
        "control": f"{start}oper-fc.grib2",
        "members": f"{ensemble}ef.grib2",
        **{kind: f"{ensemble}{name}.grib2" for kind, name in statistics.items()},
        **{f"probability-{name}": f"{ensemble}ep-{name}.grib2" for name in events},
    }


@pytest.mark.parametrize("lead_hours", [0, 360])
def test_cfgrib_opens_each_file_in_one_line_into_one_cube(lead_hours: int, tmp_path: Path):
    fields = ("air_temperature", "wind_speed", "thickness_1000_500", "precipitation_minus_evaporation")
    chosen = ProductSettings(
        levels=(500, 850, 1000), fields=fields, statistics=("spread", "p10"), formats=("grib2",), windows=(), places=()
    )
    files = encode_frame(with_net_precipitation(make_frame(lead_hours)), chosen, tmp_path)
    assert len(files) == 7
    for (_, kind), file in files.items():
        opened = open_with_cfgrib(file.path)
        one = {"probability-t850-below-273p15": {"t"}}.get(kind, {"ws"} if "probability" in kind else None)
        assert set(opened.data_vars) == (one or {"t", "ws", "thick", "unknown"})
        members = {"number": 4} if kind == "members" else {}
        levels = {} if one else {"isobaricInhPa": 3}
        assert dict(opened.sizes) == levels | {"latitude": 37, "longitude": 72} | members
        assert opened.step.values == np.timedelta64(lead_hours, "h")
        assert opened.time.values == np.datetime64("1959-01-02T00")
        assert (float(opened.latitude[0]), float(opened.longitude[0])) == (90.0, 0.0)


def test_cfgrib_finds_all_standard_fields(encoded: Files):
    opened = open_with_cfgrib(encoded[".grib2", "p50"].path)
    assert set(opened.data_vars) == FIELDS
    assert opened.vo.attrs["GRIB_cfName"] == "atmosphere_relative_vorticity"
    assert opened.thick.attrs["GRIB_typeOfLevel"] == "isobaricLayer"


def test_every_value_of_every_member_is_the_frames_within_the_packing_precision(
    encoded: Files, settings: ProductSettings
):
    control = open_with_cfgrib(encoded[".grib2", "control"].path)
    members = open_with_cfgrib(encoded[".grib2", "members"].path)
    for slab in slabs(make_frame(), settings):
        at = {} if slab.level is None else {"isobaricInhPa": slab.level}
        name = SHORT_NAMES.get(slab.field.short_name, slab.field.short_name)
        np.testing.assert_array_equal(members[name].sel(at).isel(number=0).values, control[name].sel(at).values)
        for values, found in zip(slab.values, members[name].sel(at).values, strict=True):
            span = values.max() - values.min()
            assert np.abs(found - values).max() <= span / 2**15 + 2e-7 * np.abs(values).max()


def test_files_of_statistics_hold_the_statistics(encoded: Files, settings: ProductSettings):
    expected = {each.item: statistics(each, settings) for each in slabs(make_frame(), settings)}
    for name in settings.statistics:
        opened = open_with_cfgrib(encoded[".grib2", name].path)
        for item, found in expected.items():
            at = {} if item.level is None else {"isobaricInhPa": item.level}
            short_name = SHORT_NAMES.get(item.field.short_name, item.field.short_name)
            values = next(values for statistic, values in found.maps.items() if statistic.name == name)
            tolerance = grib2.packing_tolerance(values, 16)
            np.testing.assert_allclose(opened[short_name].sel(at).values, values, rtol=0, atol=tolerance + 1e-12)


def test_probabilities_are_shares_of_the_members_in_percent(encoded: Files, settings: ProductSettings):
    slab = next(each for each in slabs(make_frame(), settings) if (each.field.short_name, each.level) == ("t", 850))
    opened = open_with_cfgrib(encoded[".grib2", "probability-t850-below-273p15"].path)
    np.testing.assert_allclose(opened.t.values, 100 * (slab.values < 273.15).mean(axis=0), atol=1e-3)
    assert set(np.unique(opened.t.values.round())) == {0, 25, 50, 75, 100}


def test_ensemble_keys_of_control_and_members(encoded: Files):
    names = ("productDefinitionTemplateNumber", "typeOfEnsembleForecast", "perturbationNumber", "dataType")
    names += ("numberOfForecastsInEnsemble", "typeOfProcessedData", "typeOfGeneratingProcess")
    control = (1, 1, 0, "fc", 4, 1, 4)
    assert keys(encoded[".grib2", "control"].path, *names) == {control}
    expected = {(1, 3, number, "fc", 4, 1, 4) for number in (1, 2, 3)}
    assert keys(encoded[".grib2", "members"].path, *names) == expected | {control}


def test_ensemble_keys_of_mean_spread_and_extremes(encoded: Files):
    names = ("productDefinitionTemplateNumber", "derivedForecast", "numberOfForecastsInEnsemble", "typeOfProcessedData")
    assert keys(encoded[".grib2", "mean"].path, *names) == {(2, 0, 4, 5)}
    assert keys(encoded[".grib2", "spread"].path, *names) == {(2, 4, 4, 5)}
    assert keys(encoded[".grib2", "min"].path, *names) == {(2, 8, 4, 5)}
    assert keys(encoded[".grib2", "max"].path, *names) == {(2, 9, 4, 5)}


def test_issuer_packing_and_earth_are_as_configured(tmp_path: Path):
    chosen = ProductSettings(levels=(500,), centre=181, production_status=0, generating_process=7)
    path = encode_frame(make_frame(), chosen, tmp_path)[".grib2", "control"].path
    names = ("centre", "productionStatusOfProcessedData", "generatingProcessIdentifier", "packingType")
    names += ("bitsPerValue", "shapeOfTheEarth", "scanningMode")
    assert keys(path, *names) == {(181, 0, 7, "grid_ccsds", 16, 6, 0)}


def test_by_default_no_centre_is_claimed_and_the_product_is_research(encoded: Files):
    names = ("centre", "productionStatusOfProcessedData")
    assert keys(encoded[".grib2", "members"].path, *names) == {(255, 2)}


def test_single_level_fields_have_the_short_names_that_users_type(encoded: Files):
    found = keys(encoded[".grib2", "control"].path, "shortName", "typeOfLevel")
    assert {("msl", "meanSea"), ("sp", "surface"), ("tcwv", "entireAtmosphere"), ("gh", "isobaricInhPa")} <= found


def test_a_dropped_member_is_absent_and_the_rest_keep_their_numbers(settings: ProductSettings, tmp_path: Path):
    files = encode_frame(make_frame(members=(0, 1, 3)), settings, tmp_path)
    names = ("perturbationNumber", "numberOfForecastsInEnsemble")
    assert keys(files[".grib2", "members"].path, *names) == {(0, 4), (1, 4), (3, 4)}
    assert keys(files[".grib2", "mean"].path, "numberOfForecastsInEnsemble") == {(3,)}
    assert files[".grib2", "members"].members == (0, 1, 3)


def test_without_control_there_is_no_control_file(tmp_path: Path):
    files = encode_frame(make_frame(members=(1, 2)), SMALL, tmp_path)
    assert {kind for _, kind in files} == {"members", "mean", "spread"}


def test_a_lone_control_has_neither_members_nor_statistics(tmp_path: Path):
    files = encode_frame(make_frame(members=(0,)), SMALL, tmp_path, ensemble_size=1)
    assert set(files) == {(".grib2", "control")}


def test_members_are_left_out_where_only_statistics_are_wanted(tmp_path: Path):
    files = encode_frame(make_frame(), replace(SMALL, publish_members=False), tmp_path)
    assert {kind for _, kind in files} == {"mean", "spread"}


def test_the_native_grid_is_the_models_own_point_by_point(tmp_path: Path):
    frame = make_frame()
    files = encode_frame(frame, replace(SMALL, native_grid=True), tmp_path)
    members = open_with_cfgrib(files[".grib2", "members-n8"].path)
    control = open_with_cfgrib(files[".grib2", "control-n8"].path)
    assert members.t.attrs["GRIB_gridType"] == "regular_gg"
    assert (members.t.attrs["GRIB_N"], control.t.shape) == (8, (16, 32))
    np.testing.assert_allclose(members.latitude.values, frame.data["latitude"].values[::-1], atol=1e-6)
    expected = frame.data["air_temperature"].sel(level=500).transpose("member", "latitude", "longitude").values[:, ::-1]
    tolerance = grib2.packing_tolerance(expected, 16)
    np.testing.assert_allclose(members.t.values, expected, rtol=0, atol=tolerance)


def test_constant_fields_and_the_fields_after_them_survive(tmp_path: Path):
    frame = make_frame()
    frame.data["air_temperature"][:] = 280.0
    chosen = ProductSettings(levels=(500, 850))
    files = encode_frame(frame, chosen, tmp_path)
    assert (open_with_cfgrib(files[".grib2", "spread"].path).t == 0).all()
    members = open_with_cfgrib(files[".grib2", "members"].path)
    assert (members.t == 280).all()
    assert float(members.u.std()) > 1


def test_the_same_frame_gives_the_same_octets(encoded: Files, settings: ProductSettings, tmp_path: Path):
    again = encode_frame(make_frame(6), settings, tmp_path)
    for kind, file in encoded.items():
        assert again[kind].path.read_bytes() == file.path.read_bytes(), kind


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_gives_the_same_octets(
    threads: int, encoded: Files, settings: ProductSettings, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(os, "cpu_count", lambda: threads)
    chosen = replace(settings, formats=("grib2",))
    for kind, file in encode_frame(make_frame(6), chosen, tmp_path).items():
        assert encoded[kind].path.read_bytes() == file.path.read_bytes(), kind


def wrong_values(monkeypatch: pytest.MonkeyPatch) -> None:
    true_values = eccodes.codes_set_values
    monkeypatch.setattr(eccodes, "codes_set_values", lambda handle, values: true_values(handle, values * 1.001))


def wrong_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(octets, "_octets", lambda row, true=octets._octets: true(renumbered(row)))
    octets.section.cache_clear()


def renumbered(row: octets.Row) -> octets.Row:
    return row._replace(value=9) if row == octets.Row("perturbationNumber", 1, 3) else row


def shifted_level(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(row: octets.Row, true=octets._octets) -> bytes:
        return true(row._replace(value=40_000) if row.key == "scaledValueOfFirstFixedSurface" else row)

    monkeypatch.setattr(octets, "_octets", shifted)
    octets.section.cache_clear()


def lost_octet(monkeypatch: pytest.MonkeyPatch) -> None:
    true = grib2.message.Draft.message
    monkeypatch.setattr(grib2.message.Draft, "message", lambda draft, packed: true(draft, packed[:-1]))


@pytest.mark.parametrize("fault", [wrong_values, wrong_number, shifted_level, lost_octet])
def test_a_message_that_reads_back_differently_is_never_written(fault, tmp_path: Path, monkeypatch):
    octets.section.cache_clear()
    fault(monkeypatch)
    with pytest.raises((WriterError, eccodes.CodesInternalError)):
        encode_frame(make_frame(), SMALL, tmp_path)
    octets.section.cache_clear()


def test_more_members_than_an_octet_counts_are_refused(tmp_path: Path):
    with pytest.raises(WriterError, match="254 members at most.*this run has 255"):
        encode_frame(make_frame(), SMALL, tmp_path, ensemble_size=255)


def test_read_field_finds_a_field_by_name_and_level(encoded: Files, settings: ProductSettings):
    slab = next(each for each in slabs(make_frame(), settings) if (each.field.short_name, each.level) == ("gh", 500))
    found = grib2.read_field(encoded[".grib2", "control"].path, PUBLISHABLE["geopotential_height"], 500)
    np.testing.assert_allclose(found, slab.values[0], atol=1.0)
    with pytest.raises(WriterError, match="z at 500 hPa"):
        grib2.read_field(encoded[".grib2", "control"].path, PUBLISHABLE["geopotential"], 500)


@pytest.fixture(scope="module")
def for_tigge(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The fields that TIGGE knows, on two of its levels."""
    chosen = ProductSettings(
        levels=(500, 850), fields=TIGGE_FIELDS, formats=("grib2",), statistics=("mean",), places=()
    )
    return encode_frame(make_frame(6), replace(chosen, probabilities=()), tmp_path_factory.mktemp("tigge"))


def tigge_failures(path: Path, status: int, directory: Path) -> int:
    """How many failures grib-check tells of a file, its production status changed; it may end well in spite of them."""
    program = Path(sysconfig.get_path("scripts")) / "grib-check"
    if not program.exists():
        pytest.skip("grib-check is not installed")
    patched = directory / "patched.grib2"
    with patched.open("wb") as file:
        for handle in messages(path):
            eccodes.codes_set(handle, "productionStatusOfProcessedData", status)
            eccodes.codes_write(handle, file)
    checked = subprocess.run([program, "-C", "tigge", "-f", patched], capture_output=True, text=True, check=False)
    return checked.stdout.count("FAIL") + checked.returncode


@pytest.mark.parametrize("kind", ["control", "members"])
def test_control_and_members_pass_the_tigge_check(kind: str, for_tigge: Files, tmp_path: Path):
    assert tigge_failures(for_tigge[".grib2", kind].path, 5, tmp_path) == 0


def test_the_tigge_check_tells_of_what_is_no_product_of_tigge(for_tigge: Files, tmp_path: Path):
    assert tigge_failures(for_tigge[".grib2", "control"].path, 2, tmp_path) > 0
