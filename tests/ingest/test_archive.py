"""Archives are unpacked into the folder and nowhere else, and not without end."""

import zipfile

import pytest

from ingest.archive import is_archive, unpack
from ingest.errors import Broken, Refused
from tests.ingest.examples import example, write_grib, write_netcdf
from tests.ingest.feeds.era5_files import zipped
from tests.ingest.test_files import assert_same, fetch


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return fetch(write_grib(example(), tmp_path_factory.mktemp("reference") / "a.grib2"))


def archive(folder, *members):
    path = folder / "data.zip"
    path.write_bytes(zipped(*members))
    return path


def test_members_come_out_in_order_with_their_bytes(tmp_path):
    path = archive(tmp_path, ("a/instant.nc", b"one"), ("b/instant.nc", b"two"))
    assert is_archive(path)
    found = unpack(path, tmp_path, 10)
    assert [file.read_bytes() for file in found] == [b"one", b"two"]
    assert [file.name for file in found] == ["data-1-instant.nc", "data-2-instant.nc"]


@pytest.mark.parametrize("name", ["../../outside", "/etc/outside", "..\\outside", "C:\\outside", "..", "a/../../.."])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    (found,) = unpack(archive(tmp_path, (name, b"x")), folder, 10)
    assert found.parent == folder
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {found, tmp_path / "data.zip"}


def test_an_archive_that_grows_beyond_the_bound_is_refused_and_leaves_nothing(tmp_path):
    path = archive(tmp_path, ("small", b"x"), ("bomb", bytes(50_000_000)))
    assert path.stat().st_size < 100_000
    with pytest.raises(Refused, match="at most"):
        unpack(path, tmp_path, 1_000_000)
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_with_nothing_or_too_much_in_it_is_refused(tmp_path):
    with pytest.raises(Refused, match="found 0"):
        unpack(archive(tmp_path), tmp_path, 10)
    with pytest.raises(Refused, match="found 65"):
        unpack(archive(tmp_path, *((f"{n}", b"") for n in range(65))), tmp_path, 10)


def test_a_damaged_archive_is_broken_and_leaves_nothing(tmp_path):
    path = archive(tmp_path, ("first", b"whole"), ("second", bytes(range(256)) * 40))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"second", 0, content.index(b"PK\x01\x02")) + 40
    content[at : at + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(Broken, match="fetch it again"):
        unpack(path, tmp_path, 100_000)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(Broken, match="fetch it again"):
        unpack(path, tmp_path, 100_000)
    assert list(tmp_path.iterdir()) == [path]


def test_an_encrypted_archive_is_refused(tmp_path):
    path = archive(tmp_path, ("secret", b"x"))
    content = path.read_bytes()
    for start in (b"PK\x03\x04", b"PK\x01\x02"):
        at = content.index(start) + (6 if start.endswith(b"\x04") else 8)
        content = content[:at] + bytes([content[at] | 1]) + content[at + 1 :]
    path.write_bytes(content)
    assert zipfile.ZipFile(path).infolist()[0].flag_bits & 1
    with pytest.raises(Refused, match="encryption"):
        unpack(path, tmp_path, 10)


def test_an_archive_as_the_climate_data_store_sends_it_becomes_an_analysis(tmp_path, reference):
    """One member for each kind of step; the other has nothing of ours."""
    instant = write_netcdf(example(), tmp_path / "instant.nc").read_bytes()
    folder = tmp_path / "given"
    folder.mkdir()
    archive(folder, ("data_stream-oper_stepType-instant.nc", instant))
    assert_same(fetch(folder), reference)
    assert_same(fetch(folder / "data.zip"), reference)
