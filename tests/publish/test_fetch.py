"""Fetching: resumed, checked, and no more than is wanted."""

import json
from dataclasses import replace
from pathlib import Path

import eccodes
import pytest

from publish import fetch
from publish.manifest import Manifest, ManifestError, PublishedObject
from publish.product import ProductSettings
from publish.publisher import Publisher
from publish.selection import Wanted, index_key, suffix_of
from publish.stores import HttpReader, LocalStore, ObjectDamaged, ObjectNotFound, RangesRefused, StoreUnavailable
from publish.stores.base import sha256_of
from tests.publish.frames import make_frame, make_run
from tests.publish.http_files import served

SETTINGS = ProductSettings(
    levels=(500, 850), fields=("air_temperature", "eastward_wind"), chart_lead_hours=(), places=()
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStore, Manifest]:
    store = LocalStore(tmp_path_factory.mktemp("fetch"))
    publisher = Publisher(store, make_run(lead_hours=(6,)), SETTINGS)
    publisher.publish(make_frame(6))
    return store, publisher.close()


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(fetch, "STEP_BYTES", 1000)
    return bytes(number * 7 % 251 for number in range(10_500))


class Cutting(LocalStore):
    """A store that gives so many ranges, and then none."""

    ranges = 10**6

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.asked: list[tuple[int, int]] = []

    def get_range(self, key: str, begin: int, end: int) -> bytes:
        self.ranges -= 1
        if self.ranges < 0:
            raise StoreUnavailable("cut")
        self.asked.append((begin, end))
        return super().get_range(key, begin, end)


def stored(store: LocalStore, content: bytes) -> PublishedObject:
    store.put("a/b.bin", content)
    return PublishedObject("a/b.bin", len(content), sha256_of(content), "x", "", None, ())


def test_a_download_goes_on_where_it_was_cut_off(tmp_path: Path, content: bytes):
    store = Cutting(tmp_path / "store")
    each, path = stored(store, content), tmp_path / "here" / "b.bin"
    store.ranges = 4
    with pytest.raises(StoreUnavailable):
        fetch.whole(store, each, path)
    assert not path.exists()
    assert (path.parent / ".b.bin.part").stat().st_size == 4000
    store.ranges = 10**6
    assert fetch.whole(store, each, path)
    assert path.read_bytes() == content
    assert store.asked == [(at, min(at + 1000, 10_500)) for at in range(0, 10_500, 1000)]
    assert not fetch.whole(store, each, path)
    assert [one.name for one in path.parent.iterdir()] == ["b.bin"]


def test_a_part_of_something_else_is_begun_again(tmp_path: Path, content: bytes):
    store = Cutting(tmp_path / "store")
    each, path = stored(store, content), tmp_path / "b.bin"
    for left in (b"?" * 3000, b"?" * 20_000):
        (tmp_path / ".b.bin.part").write_bytes(left)
        assert fetch.whole(store, each, path)
        assert path.read_bytes() == content
        path.unlink()


def test_damage_leaves_nothing(tmp_path: Path, content: bytes):
    store = LocalStore(tmp_path / "store")
    each = replace(stored(store, content), sha256="0" * 64)
    with pytest.raises(ObjectDamaged, match="expected SHA-256 000"):
        fetch.whole(store, each, tmp_path / "here" / "b.bin")
    assert list((tmp_path / "here").iterdir()) == []


def test_a_file_that_is_there_and_wrong_is_fetched_again(tmp_path: Path, content: bytes):
    store = LocalStore(tmp_path / "store")
    each, path = stored(store, content), tmp_path / "b.bin"
    path.write_bytes(b"?" * len(content))
    assert fetch.whole(store, each, path)
    assert path.read_bytes() == content


def test_an_empty_object_can_be_fetched(tmp_path: Path):
    store = LocalStore(tmp_path / "store")
    fetch.whole(store, stored(store, b""), tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == b""


def test_a_server_without_ranges_gives_the_whole(tmp_path: Path, content: bytes):
    class Whole(LocalStore):
        def get_range(self, key: str, begin: int, end: int) -> bytes:
            raise RangesRefused("no")

    store = Whole(tmp_path / "store")
    each = stored(store, content)
    fetch.whole(store, each, tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == content
    assert not list(tmp_path.glob(".*part*"))


@pytest.mark.parametrize("open_reader", [lambda url, _path: HttpReader(url), lambda _url, path: LocalStore(path)])
def test_readers_give_ranges_and_tell_what_is_not_there(tmp_path: Path, content: bytes, open_reader):
    stored(LocalStore(tmp_path), content)
    with served(tmp_path) as server:
        reader = open_reader(server.url, tmp_path)
        assert reader.get_range("a/b.bin", 100, 300) == content[100:300]
        with pytest.raises(ObjectNotFound):
            reader.get_range("a/c.bin", 0, 10)
        with pytest.raises(ObjectDamaged, match="ends at octet 10500"):
            reader.get_range("a/b.bin", 10_400, 10_600)


def test_s3_gives_ranges(s3_environment, tmp_path: Path, content: bytes):
    from publish.stores import S3Store

    store = S3Store(s3_environment.new_bucket(), "p", s3_environment.endpoint_url)
    each = PublishedObject("a/b.bin", len(content), sha256_of(content), "x", "", None, ())
    store.put(each.key, content)
    assert store.get_range(each.key, 100, 300) == content[100:300]
    fetch.whole(store, each, tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == content
    for begin in (10_400, 20_000):
        with pytest.raises(ObjectDamaged):
            store.get_range(each.key, begin, begin + 200)


def read(path: Path) -> list[tuple[str, int, int]]:
    """Short name, level and member of every message of a file."""
    found = []
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            found.append(tuple(eccodes.codes_get(handle, key) for key in ("shortName", "level", "number")))
            eccodes.codes_release(handle)
    return found


def members_of(manifest: Manifest) -> PublishedObject:
    return next(each for each in manifest.objects if each.kind == "members" and each.key.endswith(".grib2"))


def test_only_the_messages_wanted_cross_the_wire(published: tuple[LocalStore, Manifest], tmp_path: Path):
    store, manifest = published
    wanted = Wanted(params=("t", "u"), levels=(500,), members=(0, 2))
    each = members_of(manifest)
    with served(store.path("x").parent) as server:
        reader = HttpReader(server.url)
        spans = wanted.spans(reader.get(index_key(each.key)), "index")
        server.forget()
        fetch.messages(reader, each.key, spans, tmp_path / "t.grib2")
        assert server.bytes_sent == sum(length for _, length in spans) < each.bytes / 3
    assert sorted(read(tmp_path / "t.grib2")) == [("t", 500, 0), ("t", 500, 2), ("u", 500, 0), ("u", 500, 2)]


def test_messages_side_by_side_come_in_one_request(published: tuple[LocalStore, Manifest], tmp_path: Path):
    store = Cutting(published[0].path("x").parent)
    each = members_of(published[1])
    spans = Wanted(params=("t", "u")).spans(store.get(index_key(each.key)), "index")
    fetch.messages(store, each.key, spans, tmp_path / "t.grib2")
    assert store.asked == [(0, each.bytes)]
    assert (tmp_path / "t.grib2").read_bytes() == store.get(each.key)


def test_an_index_that_lies_is_found_out(published: tuple[LocalStore, Manifest], tmp_path: Path):
    store, each = published[0], members_of(published[1])
    spans = Wanted(params=("t",)).spans(store.get(index_key(each.key)), "index")
    with pytest.raises(ObjectDamaged, match="1 of 2 messages are not what the index says"):
        fetch.messages(store, each.key, [spans[0], (spans[1][0] + 1, spans[1][1])], tmp_path / "t.grib2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("index", [b"nonsense", b"{}", b'{"type": "pf", "param": "t"}'])
def test_what_is_no_index_is_not_read_as_one(index: bytes):
    with pytest.raises(ManifestError, match="expected an index"):
        Wanted(params=("t",)).spans(index, "x.index")


def test_objects_are_chosen_by_everything_known_of_them(published: tuple[LocalStore, Manifest]):
    objects = published[1].objects

    def chosen(**wanted: tuple) -> set[tuple[str, str]]:
        return {(each.kind, suffix_of(each.key)) for each in Wanted(**wanted).objects(objects)}

    assert len(Wanted().objects(objects)) == len(objects)
    assert chosen(formats=("netcdf",)) == {("members", ".nc"), ("statistics", ".nc")}
    assert chosen(kinds=("members",), formats=("grib2",)) == {("members", ".grib2")}
    assert chosen(lead_hours=(12,)) == set()
    assert {suffix for _, suffix in chosen(params=("t",))} == {".grib2"}
    assert ("members", ".grib2") not in chosen(members=(9,))
    assert suffix_of("20261121/06z/a/2p5/run.zarr/t/c/0") == ".zarr"


def test_a_file_of_messages_is_named_for_them():
    assert Wanted(params=("t", "u"), levels=(500,), members=(0, 1)).name == "t-u_500_m0-m1"
    assert Wanted(members=(3,)).name == "m3"


def test_lines_of_single_levels_and_statistics_have_no_number():
    lines = [
        {"type": "pf", "number": "3", "levelist": "500", "param": "t", "_offset": 0, "_length": 5},
        {"type": "cf", "param": "msl", "_offset": 5, "_length": 5},
        {"type": "em", "levelist": "500", "param": "t", "_offset": 10, "_length": 5},
    ]
    index = "\n".join(map(json.dumps, lines)).encode()
    assert Wanted(members=(3,)).spans(index, "") == [(0, 5)]
    assert Wanted(members=(0,)).spans(index, "") == [(5, 5)]
    assert Wanted(levels=(500,)).spans(index, "") == [(0, 5), (10, 5)]
