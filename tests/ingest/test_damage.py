"""A damaged file never reaches the model: it is refused, or the damage is too small to matter."""

import numpy as np
import pytest

from forecast.fields import FIELDS
from ingest.errors import Broken, Gone, Refused, SourceError
from ingest.framing import read_messages
from ingest.sources import open_source
from tests.ingest.examples import CYCLE, NEEDS, dataset, example, messages, write_netcdf

SEEDS = range(12)


@pytest.fixture(scope="module", params=[1, 2], ids=["edition 1", "edition 2"])
def parts(request):
    return messages(example(edition=request.param))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "a.grib2"
    path.write_bytes(b"".join(messages(example())))
    return fetch(path)


def fetch(path):
    return open_source("files", path).fetch(CYCLE, NEEDS)


def written(content, tmp_path, name="a.grib"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("seed", SEEDS)
def test_cut_off_anywhere_is_refused(tmp_path, parts, seed):
    content = b"".join(parts)
    length = int(np.random.default_rng(seed).integers(1, len(content)))
    with pytest.raises(SourceError):
        fetch(written(content[:length], tmp_path))


def test_cut_off_within_a_message_is_called_truncated(tmp_path, parts):
    content = b"".join(parts)
    for missing in (1, 3, 4, 50, len(parts[-1]) - 5):
        with pytest.raises(Broken, match="truncated|ends within"):
            fetch(written(content[:-missing], tmp_path))


def test_cut_off_between_messages_lacks_what_is_gone(tmp_path, parts):
    with pytest.raises(SourceError, match="expected.*missing|expected.*none"):
        fetch(written(b"".join(parts[:-8]), tmp_path))


def test_a_missing_end_marker_is_broken(tmp_path, parts):
    damaged = [*parts[:4], parts[4][:-4] + b"7778", *parts[5:]]
    with pytest.raises(Broken, match="message 5.*7777"):
        fetch(written(b"".join(damaged), tmp_path))


def test_a_message_whose_start_is_lost_is_not_passed_over(tmp_path, parts):
    damaged = [*parts[:4], b"GRIX" + parts[4][4:], *parts[5:]]
    with pytest.raises(Broken, match="after message 4"):
        fetch(written(b"".join(damaged), tmp_path))


def test_a_hole_of_zeros_is_broken(tmp_path, parts):
    content = bytearray(b"".join(parts))
    content[10_000:14_000] = bytes(4_000)
    with pytest.raises(SourceError):
        fetch(written(bytes(content), tmp_path))


def test_bulletin_headers_between_messages_are_passed_over(tmp_path, parts):
    header, trailer = b"\x01\r\r\n123 \r\r\nHPXA85 KWBC 010600\r\r\n", b"\r\r\n\x03"
    path = written(b"".join(header + part + trailer for part in parts), tmp_path)
    with open(path, "rb") as file:
        assert [message.content for message in read_messages(file, "a")] == parts


@pytest.mark.parametrize("seed", SEEDS)
def test_flipped_bytes_are_refused_or_leave_a_plausible_analysis(tmp_path, parts, sound, seed):
    """GRIB has no checksum: what passes must lie within the bounds of any weather."""
    rng = np.random.default_rng(100 + seed)
    content = bytearray(b"".join(parts))
    for position in rng.integers(0, len(content), 8):
        content[position] ^= int(rng.integers(1, 256))
    try:
        analysis = fetch(written(bytes(content), tmp_path))
    except SourceError:
        return
    for name, variable in analysis.dataset.items():
        low, high = FIELDS[str(name)].valid_range
        assert np.isfinite(variable).all()
        assert float(variable.min()) >= low and float(variable.max()) <= high
    difference = np.abs(analysis.dataset["air_temperature"] - sound.dataset["air_temperature"])
    assert float(difference.max()) < 20.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_netcdf_file_cut_off_anywhere_is_refused(tmp_path, seed):
    content = write_netcdf(example(), tmp_path / "whole.nc").read_bytes()
    length = int(np.random.default_rng(seed).integers(0, len(content)))
    with pytest.raises((Broken, Refused)):
        fetch(written(content[:length], tmp_path, "cut.nc"))


@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
@pytest.mark.parametrize("seed", range(6))
def test_a_classic_netcdf_file_cut_off_anywhere_is_refused(tmp_path, kind, seed):
    dataset(example()).to_netcdf(tmp_path / "whole.nc", format=kind)
    content = (tmp_path / "whole.nc").read_bytes()
    length = int(np.random.default_rng(seed).integers(0, len(content)))
    with pytest.raises(SourceError):
        fetch(written(content[:length], tmp_path, "cut.nc"))


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_is_no_grib(tmp_path, seed):
    noise = np.random.default_rng(seed).bytes(5_000)
    with pytest.raises((Broken, Refused, Gone)):
        fetch(written(b"GRIB" + noise, tmp_path))
