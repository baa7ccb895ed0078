"""GRIB2 as its readers see it: ecCodes, cfgrib, grib-check."""

import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import eccodes
import numpy as np
import pytest
import xarray as xr

from publish.product import PUBLISHABLE, ProductSettings, slabs
from publish.statistics import statistics
from publish.writers import EncodedFile, WriterError, grib2
from tests.publish.conftest import encode_frame
from tests.publish.frames import make_frame

Files = dict[tuple[str, str], EncodedFile]
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


def test_files_are_named_control_members_mean_and_spread(encoded: Files):
    names = {kind: file.path.name for (suffix, kind), file in encoded.items() if suffix == ".grib2"}
    assert names == {
        "control": "19590102000000-6h-oper-fc.grib2",
        "members": "19590102000000-6h-enfo-ef.grib2",
        "mean": "19590102000000-6h-enfo-em.grib2",
        "spread": "19590102000000-6h-enfo-es.grib2",
    }


@pytest.mark.parametrize("lead_hours", [0, 6, 360])
def test_cfgrib_opens_each_file_in_one_line_with_all_fields(lead_hours: int, tmp_path: Path):
    files = encode_frame(
        make_frame(lead_hours), ProductSettings(levels=(500, 850), formats=("grib2",), places=()), tmp_path
    )
    for (_, kind), file in files.items():
        opened = open_with_cfgrib(file.path)
        assert set(opened.data_vars) == FIELDS
        members = {"number": 4} if kind == "members" else {}
        assert dict(opened.sizes) == {"isobaricInhPa": 2, "latitude": 37, "longitude": 72} | members
        assert opened.step.values == np.timedelta64(lead_hours, "h")
        assert opened.time.values == np.datetime64("1959-01-02T00")
        assert (float(opened.latitude[0]), float(opened.longitude[0])) == (90.0, 0.0)


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


def test_mean_and_spread_files_hold_mean_and_spread(encoded: Files, settings: ProductSettings):
    mean = open_with_cfgrib(encoded[".grib2", "mean"].path)
    spread = open_with_cfgrib(encoded[".grib2", "spread"].path)
    for slab in slabs(make_frame(), settings):
        expected = statistics(slab, settings)
        at = {} if slab.level is None else {"isobaricInhPa": slab.level}
        name = SHORT_NAMES.get(slab.field.short_name, slab.field.short_name)
        for found, values in ((mean, expected.mean), (spread, expected.spread)):
            tolerance = grib2.packing_tolerance(values, 16)
            np.testing.assert_allclose(found[name].sel(at).values, values, rtol=0, atol=tolerance + 1e-12)


def test_ensemble_keys_of_control_and_members(encoded: Files):
    names = ("productDefinitionTemplateNumber", "typeOfEnsembleForecast", "perturbationNumber", "dataType")
    names += ("numberOfForecastsInEnsemble", "typeOfProcessedData", "typeOfGeneratingProcess")
    control = (1, 1, 0, "fc", 4, 1, 4)
    assert keys(encoded[".grib2", "control"].path, *names) == {control}
    expected = {(1, 3, number, "fc", 4, 1, 4) for number in (1, 2, 3)}
    assert keys(encoded[".grib2", "members"].path, *names) == expected | {control}


def test_ensemble_keys_of_mean_and_spread(encoded: Files):
    names = ("productDefinitionTemplateNumber", "derivedForecast", "numberOfForecastsInEnsemble", "typeOfProcessedData")
    assert keys(encoded[".grib2", "mean"].path, *names) == {(2, 0, 4, 5)}
    assert keys(encoded[".grib2", "spread"].path, *names) == {(2, 4, 4, 5)}


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


def test_without_control_there_is_no_control_file(settings: ProductSettings, tmp_path: Path):
    files = encode_frame(make_frame(members=(1, 2)), settings, tmp_path)
    assert {kind for suffix, kind in files if suffix == ".grib2"} == {"members", "mean", "spread"}


def test_a_lone_control_has_neither_members_nor_statistics(settings: ProductSettings, tmp_path: Path):
    files = encode_frame(make_frame(members=(0,)), settings, tmp_path, ensemble_size=1)
    assert set(files) == {(".grib2", "control"), (".nc", "members")}


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


@pytest.mark.parametrize("fault", ["codes_set_values", "number"])
def test_a_message_that_reads_back_differently_is_never_written(
    fault: str, settings: ProductSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if fault == "number":
        true_set = eccodes.codes_set
        wrong = lambda handle, key, value: true_set(handle, key, 9 if key == "perturbationNumber" else value)  # noqa: E731
        monkeypatch.setattr(eccodes, "codes_set", wrong)
    else:
        true_values = eccodes.codes_set_values
        monkeypatch.setattr(eccodes, fault, lambda handle, values: true_values(handle, values * 1.001))
    with pytest.raises(WriterError, match="GRIB message of gh at 50 hPa"):
        encode_frame(make_frame(), settings, tmp_path)


def test_read_field_finds_a_field_by_name_and_level(encoded: Files, settings: ProductSettings):
    slab = next(each for each in slabs(make_frame(), settings) if (each.field.short_name, each.level) == ("gh", 500))
    found = grib2.read_field(encoded[".grib2", "control"].path, PUBLISHABLE["geopotential_height"], 500)
    np.testing.assert_allclose(found, slab.values[0], atol=1.0)
    with pytest.raises(WriterError, match="z at 500 hPa"):
        grib2.read_field(encoded[".grib2", "control"].path, PUBLISHABLE["geopotential"], 500)


@pytest.mark.parametrize("kind", ["control", "members"])
def test_control_and_members_pass_the_tigge_check(kind: str, encoded: Files, tmp_path: Path):
    program = Path(sysconfig.get_path("scripts")) / "grib-check"
    if not program.exists():
        pytest.skip("grib-check is not installed")
    patched = tmp_path / f"{kind}.grib2"
    with patched.open("wb") as file:
        for handle in messages(encoded[".grib2", kind].path):
            eccodes.codes_set(handle, "productionStatusOfProcessedData", 5)
            eccodes.codes_write(handle, file)
    checked = subprocess.run([program, "-C", "tigge", "-f", patched], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout[-2000:]
