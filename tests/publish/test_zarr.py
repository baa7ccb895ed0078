"""Zarr as its readers see it: `xr.open_zarr` of a directory and of an address; nothing before the run is whole."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from publish.manifest import RunInfo, verify
from publish.product import ProductSettings, Slab, slabs
from publish.publisher import Publisher
from publish.statistics import statistics
from publish.stores import LocalStore, StoreError, StoreUnavailable
from publish.writers import cf
from tests.publish.frames import make_frame, make_run
from tests.publish.http_files import FileServer, served

HOURS = (0, 6, 12)
STORE = "19590102/00z/sigmacast/5p0/19590102000000-enfo.zarr"
SETTINGS = ProductSettings(
    levels=(500, 850),
    fields=("air_temperature", "surface_air_pressure"),
    statistics=("mean", "spread", "min", "max", "p50"),
    probabilities=("air_temperature@850<273.15",),
    formats=("zarr",),
    places=(),
)
LOST_AT_12 = {0: (0, 1, 2, 3), 6: (0, 1, 2, 3), 12: (0, 1, 3)}


def publisher(store: LocalStore, run: RunInfo | None = None, settings: ProductSettings = SETTINGS) -> Publisher:
    return Publisher(store, run or make_run(HOURS, quorum=0.5), settings)


def publish_all(store: LocalStore, settings: ProductSettings = SETTINGS) -> None:
    each = publisher(store, settings=settings)
    for hours, members in LOST_AT_12.items():
        each.publish(make_frame(hours, members))
    each.close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run of three lead times that lost member 2 before the last."""
    path = tmp_path_factory.mktemp("zarr")
    publish_all(LocalStore(path))
    return path


@pytest.fixture(scope="module")
def opened(directory: Path) -> xr.Dataset:
    return open_zarr(str(directory / STORE))


def open_zarr(where: str) -> xr.Dataset:
    return xr.open_zarr(where, decode_timedelta=True)


def slabs_of(hours: int) -> list[Slab]:
    return list(slabs(make_frame(hours, LOST_AT_12[hours]), SETTINGS))


def hashes(path: Path) -> dict[str, str]:
    files = [each for each in (path / STORE).rglob("*") if each.is_file()]
    return {str(each.relative_to(path)): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


def test_a_directory_opens_as_one_run(opened: xr.Dataset):
    sizes = {"lead_time": 3, "realization": 4, "percentile": 3, "level": 2, "latitude": 37, "longitude": 72}
    assert dict(opened.sizes) == sizes
    assert set(opened.data_vars) >= {"t", "t_mean", "t_spread", "t_percentile", "sp", "t850_probability_below_273p15"}
    assert opened.t.dims == ("lead_time", "realization", "level", "latitude", "longitude")
    assert opened.sp_mean.dims == ("lead_time", "latitude", "longitude")
    assert list(opened.percentile.values) == [0, 50, 100]
    assert opened.lead_time.values[1] == np.timedelta64(6, "h")
    assert list(opened.time.values[:2]) == [np.datetime64("1959-01-02T00"), np.datetime64("1959-01-02T06")]
    assert opened.forecast_reference_time.values == np.datetime64("1959-01-02T00")
    assert list(opened.realization_count.values) == [4, 4, 3]


def test_it_opens_by_its_address_and_reads_lazily(directory: Path, opened: xr.Dataset):
    with served(directory) as server:
        remote = open_zarr(f"{server.url}/{STORE}")
        assert not [line for line in server.requests if "/t/c." in line]
        here = {"lead_time": 1, "realization": 2, "level": 0}
        np.testing.assert_array_equal(remote.t.isel(here).values, opened.t.isel(here).values)
        assert {line.split()[1] for line in server.requests if "/t/c." in line} == {f"/{STORE}/t/c.1.0.0.0.0"}


def test_values_are_the_frames_rounded_as_in_netcdf(opened: xr.Dataset):
    for place, hours in enumerate(HOURS):
        for slab in slabs_of(hours):
            at: dict[str, Any] = {} if slab.level is None else {"level": slab.level}
            name, expected = slab.field.short_name, statistics(slab, SETTINGS)
            found = opened.isel(lead_time=place).sel(at)
            np.testing.assert_array_equal(found[name].values[list(slab.members)], cf.rounded(slab.values))
            np.testing.assert_array_equal(found[f"{name}_mean"].values, cf.rounded(expected.mean))
            np.testing.assert_array_equal(found[f"{name}_spread"].values, cf.rounded(expected.spread))
            ranks = found[f"{name}_percentile"].sel(percentile=[0, 50, 100]).values
            by_name = {each.name: values for each, values in expected.maps.items()}
            for rank, statistic in zip(ranks, ("min", "p50", "max"), strict=True):
                np.testing.assert_array_equal(rank, cf.rounded(by_name[statistic]))
            if (slab.field.short_name, slab.level) == ("t", 850):
                probability = by_name["probability_below_273p15"]
                np.testing.assert_array_equal(found.t850_probability_below_273p15.values, cf.rounded(probability))


def test_a_shard_of_one_tile_has_the_octets_that_zarr_python_gives_it(directory: Path, tmp_path: Path):
    here, again = directory / STORE, tmp_path / "again.zarr"
    shutil.copytree(here, again)
    for path in again.rglob("c.*"):
        path.unlink()
    names = [name for name, array in zarr.open_group(here, mode="r").arrays() if array.ndim > 2]
    for name in names:
        values = zarr.open_array(here / name, mode="r")
        zarr.open_array(again / name, mode="r+")[...] = values[...]
    written = {path.relative_to(again) for name in names for path in (again / name).rglob("c.*")}
    assert len(written) == len(names) * len(HOURS)
    assert {path: (again / path).read_bytes() for path in written} == {
        path: (here / path).read_bytes() for path in written
    }


def test_rounding_is_to_the_nearest_of_15_bits():
    values = np.random.default_rng(1).normal(280, 30, 10_000).astype(np.float32)
    found = cf.rounded(np.concatenate([values, -values, [0.0, np.nan, np.inf]]).astype(np.float32))
    np.testing.assert_allclose(found[:20_000], np.concatenate([values, -values]), rtol=2**-16)
    assert not (found[:20_000].view(np.uint32) & 0xFF).any()
    assert found[20_000] == 0 and np.isnan(found[20_001]) and np.isinf(found[20_002])


def test_a_member_that_was_lost_is_not_a_number_from_there_on(opened: xr.Dataset):
    assert opened.t.sel(realization=2).isel(lead_time=[0, 1]).notnull().all()
    assert opened.t.sel(realization=2).isel(lead_time=2).isnull().all()
    assert opened.t.sel(realization=[0, 1, 3]).notnull().all()
    assert opened.t_mean.notnull().all()


def test_variables_say_what_they_are(opened: xr.Dataset):
    assert opened.attrs["Conventions"] == "CF-1.11"
    assert opened.attrs["run_id"] == "run-1"
    assert opened.attrs["ensemble_size"] == 4
    assert opened.t.attrs["standard_name"] == "air_temperature"
    assert opened.t.attrs["units_metadata"] == "temperature: on_scale"
    assert opened.t_spread.attrs["cell_methods"] == "realization: standard_deviation"
    assert opened.t_spread.attrs["units_metadata"] == "temperature: difference"
    assert opened.level.attrs["positive"] == "down"
    assert opened.crs.attrs["grid_mapping_name"] == "latitude_longitude"


def test_before_the_run_is_complete_nothing_opens(tmp_path: Path):
    each = publisher(LocalStore(tmp_path))
    with served(tmp_path) as server:
        for hours in HOURS:
            each.publish(make_frame(hours))
            for where in (str(tmp_path / STORE), f"{server.url}/{STORE}"):
                with pytest.raises(FileNotFoundError):
                    open_zarr(where)
        each.close()
        assert open_zarr(f"{server.url}/{STORE}").sizes["lead_time"] == 3


def test_the_root_is_stored_after_all_else_of_the_store_and_before_the_manifest(tmp_path: Path):
    class Recording(LocalStore):
        puts: list[str] = []  # noqa: RUF012

        def put(self, key: str, *arguments: Any, **options: Any) -> Any:
            self.puts.append(key)
            return super().put(key, *arguments, **options)

    store = Recording(tmp_path)
    publish_all(store)
    of_store = [key for key in store.puts if key.startswith(STORE)]
    assert of_store[-1] == f"{STORE}/zarr.json"
    assert of_store.count(f"{STORE}/zarr.json") == 1
    manifest = next(key for key in store.puts if key.endswith("manifest.json"))
    assert store.puts.index(f"{STORE}/zarr.json") < store.puts.index(manifest)


def test_every_object_of_the_store_is_in_the_manifest(directory: Path):
    manifest = publisher(LocalStore(directory)).close()
    assert {each.key for each in manifest.objects} >= set(hashes(directory))
    assert verify(LocalStore(directory), manifest) == []


def test_a_run_resumed_in_another_order_gives_the_same_octets(directory: Path, tmp_path: Path):
    store = LocalStore(tmp_path)
    publisher(store).publish(make_frame(12, LOST_AT_12[12]))
    resumed = publisher(store)
    for hours in (6, 0):
        resumed.publish(make_frame(hours))
    publisher(store).close()
    assert hashes(tmp_path) == hashes(directory)


class CutBefore(LocalStore):
    """A store that fails when this key is to be stored, as if the process were killed there."""

    key = ""

    def put(self, key: str, *arguments: Any, **options: Any) -> Any:
        if key == self.key:
            raise StoreUnavailable("cut")
        return super().put(key, *arguments, **options)


@pytest.mark.parametrize("cut", [f"{STORE}/zarr.json", f"{STORE}/time/c/0", "19590102/00z/sigmacast/5p0/manifest.json"])
def test_a_run_cut_while_it_is_closed_opens_after_it_is_resumed(cut: str, directory: Path, tmp_path: Path):
    store = CutBefore(tmp_path)
    store.key = cut
    with pytest.raises(StoreError):
        publish_all(store)
    publisher(LocalStore(tmp_path)).close()
    assert hashes(tmp_path) == hashes(directory)


def test_what_another_run_left_open_is_closed_before_its_shards_are_replaced(tmp_path: Path):
    store = CutBefore(tmp_path)
    store.key = "19590102/00z/sigmacast/5p0/manifest.json"
    with pytest.raises(StoreError):
        publish_all(store)
    assert (tmp_path / STORE / "zarr.json").exists()
    other = Publisher(LocalStore(tmp_path), make_run(HOURS, "run-2"), SETTINGS, given_up=["run-1"])
    assert not (tmp_path / STORE / "zarr.json").exists()
    for hours in HOURS:
        other.publish(make_frame(hours))
    other.close()
    assert open_zarr(str(tmp_path / STORE)).attrs["run_id"] == "run-2"


def test_a_run_below_its_quorum_never_opens(tmp_path: Path):
    each = publisher(LocalStore(tmp_path), make_run(HOURS, quorum=0.9))
    for hours, members in LOST_AT_12.items():
        each.publish(make_frame(hours, members))
    with pytest.raises(RuntimeError, match="quorum"):
        each.close()
    assert not (tmp_path / STORE / "zarr.json").exists()


def test_a_lone_control_has_no_statistics(tmp_path: Path):
    run = make_run((6,), ensemble_size=1)
    each = publisher(LocalStore(tmp_path), run)
    each.publish(make_frame(6, (0,)))
    each.close()
    fields = {name for name, values in open_zarr(str(tmp_path / STORE)).data_vars.items() if "latitude" in values.dims}
    assert fields == {"t", "sp"}


def test_without_members_the_statistics_are_there(tmp_path: Path):
    publish_all(LocalStore(tmp_path), replace(SETTINGS, publish_members=False))
    found = open_zarr(str(tmp_path / STORE))
    assert "realization" not in found.dims
    assert "t" not in found and "t_mean" in found


def cost(server: FileServer, read: Any) -> tuple[int, int]:
    """Requests for shards of t, and octets sent in all."""
    server.forget()
    read()
    return len([line for line in server.requests if "/t/c." in line]), server.bytes_sent


def test_a_map_and_a_point_through_time_take_little_of_the_store(tmp_path: Path):
    frames_of = {"levels": (500, 850), "shape": (128, 64)}
    settings = replace(SETTINGS, grid_spacing=1.0)
    each = Publisher(LocalStore(tmp_path), make_run(HOURS, longitude_count=128), settings)
    for hours in HOURS:
        each.publish(make_frame(hours, **frames_of))
    each.close()
    store = next(tmp_path.rglob("*enfo.zarr"))
    stored = sum(path.stat().st_size for path in (store / "t").rglob("*") if path.is_file())
    with served(tmp_path) as server:
        found = open_zarr(f"{server.url}/{store.relative_to(tmp_path)}").t
        requests, octets = cost(server, lambda: found.sel(latitude=50, longitude=8, level=850).load())
        assert octets < stored / 3
        assert requests <= 2 * len(HOURS)
        requests, octets = cost(server, lambda: found.isel(lead_time=1, realization=1, level=0).load())
        assert octets < stored / 5
        assert requests <= 2 * 2
