"""ECMWF's own open-data client reads a run that we published, from an S3 server and from a plain web server."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import eccodes
import numpy as np
import pytest
import requests
from ecmwf.opendata import Client

from forecast.frame import Frame
from publish.product import ProductSettings, slabs
from publish.publisher import Publisher
from publish.statistics import statistics
from publish.stores import LocalStore, S3Store, Store
from tests.publish.frames import make_frame, make_run
from tests.publish.http_files import served
from tests.servers import S3Server

LEVELS = (500, 850)
HOURS = (0, 24, 240, 246)
SETTINGS = ProductSettings(levels=LEVELS, fields=("air_temperature", "eastward_wind"), formats=("grib2",))
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def readable_by_all(bucket: str) -> dict[str, Any]:
    everything = f"arn:aws:s3:::{bucket}/*"
    statement = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": [everything]}
    return {"Version": "2012-10-17", "Statement": [statement]}


def frame_of(hours: int, init_time: datetime = TODAY) -> Frame:
    return replace(make_frame(hours, levels=LEVELS), init_time=init_time)


def publish(store: Store, init_time: datetime = TODAY) -> None:
    publisher = Publisher(store, make_run(HOURS, init_time=init_time), SETTINGS)
    for hours in HOURS:
        publisher.publish(frame_of(hours, init_time))
    publisher.close()


@pytest.fixture(scope="module")
def web_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store in a directory, behind a plain web server."""
    directory = tmp_path_factory.mktemp("web")
    publish(LocalStore(directory))
    with served(directory) as server:
        yield server.url


@pytest.fixture(scope="module")
def bucket_url(s3_server: S3Server) -> str:
    """A bucket that everybody may read."""
    bucket, client = s3_server.new_bucket(), s3_server.client()
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(readable_by_all(bucket)))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.credentials.items():
            patch.setenv(name, value)
        publish(S3Store(bucket, "global", s3_server.endpoint_url))
    return f"{s3_server.endpoint_url}/{bucket}/global"


@pytest.fixture(params=["bucket_url", "web_url"])
def client(request: pytest.FixtureRequest) -> Client:
    """ECMWF's client, as docs/reading.md tells users to make it."""
    return client_of(request.getfixturevalue(request.param))


def client_of(url: str) -> Client:
    capabilities = {"source_accept_ranges": True, "source_accept_multiple_ranges": False}
    return Client(source=url, model="sigmacast", resol="5p0", maximum_retries=1, **capabilities)


def fields(path: Path) -> dict[tuple[Any, ...], np.ndarray]:
    """Values by short name, level, lead time, member (or derived forecast)."""
    found = {}
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            who = "number" if eccodes.codes_is_defined(handle, "number") else "derivedForecast"
            names = ("shortName", "level", "endStep", who)
            key = tuple(eccodes.codes_get(handle, name) for name in names)
            assert key not in found
            found[key] = eccodes.codes_get_values(handle).reshape(37, 72)
            eccodes.codes_release(handle)
    return found


def published(hours: int, value: Callable[[Any], Any]) -> dict[tuple[str, int | None], np.ndarray]:
    return {(slab.field.short_name, slab.level): value(slab) for slab in slabs(frame_of(hours), SETTINGS)}


def test_one_field_of_the_perturbed_members(client: Client, tmp_path: Path):
    client.retrieve(type="pf", param="t", levelist=500, step=24, target=str(tmp_path / "t.grib2"))
    found = fields(tmp_path / "t.grib2")
    assert set(found) == {("t", 500, 24, number) for number in (1, 2, 3)}
    expected = published(24, lambda slab: slab.values)["t", 500]
    for number in (1, 2, 3):
        np.testing.assert_allclose(found["t", 500, 24, number], expected[number], atol=2e-3)


@pytest.mark.parametrize("file_type", ["cf", "fc"])
def test_the_control_from_among_the_members_and_from_its_own_stream(file_type: str, client: Client, tmp_path: Path):
    client.retrieve(type=file_type, param="u", levelist=[850, 500], step=24, target=str(tmp_path / "u.grib2"))
    found = fields(tmp_path / "u.grib2")
    assert set(found) == {("u", 500, 24, 0), ("u", 850, 24, 0)}
    expected = published(24, lambda slab: slab.values[0])
    np.testing.assert_allclose(found["u", 850, 24, 0], expected["u", 850], atol=2e-3)


@pytest.mark.parametrize(
    ("file_type", "derived", "steps"), [("em", 0, [24, 240]), ("es", 4, [246]), ("em", 0, [0, 246])]
)
def test_mean_and_spread_of_any_step(file_type: str, derived: int, steps: list[int], client: Client, tmp_path: Path):
    client.retrieve(type=file_type, param="t", levelist=850, step=steps, target=str(tmp_path / "t.grib2"))
    found = fields(tmp_path / "t.grib2")
    assert set(found) == {("t", 850, step, derived) for step in steps}
    name = "mean" if file_type == "em" else "spread"
    for step in steps:
        expected = published(step, lambda slab: getattr(statistics(slab, SETTINGS), name))["t", 850]
        np.testing.assert_allclose(found["t", 850, step, derived], expected, atol=2e-3)


def test_lists_of_fields_levels_members_and_steps(client: Client, tmp_path: Path):
    wanted = {"type": "pf", "param": ["t", "u"], "levelist": [500, 850], "number": [1, 3], "step": [0, 24]}
    client.retrieve(wanted, str(tmp_path / "many.grib2"))
    expected = {(p, level, s, n) for p in ("t", "u") for level in LEVELS for s in (0, 24) for n in (1, 3)}
    assert set(fields(tmp_path / "many.grib2")) == expected


def test_a_whole_file(client: Client, tmp_path: Path):
    client.download(type="fc", step=24, target=str(tmp_path / "all.grib2"))
    assert set(fields(tmp_path / "all.grib2")) == {(p, level, 24, 0) for p in ("t", "u") for level in LEVELS}


@pytest.mark.parametrize("request_of", [{"type": "pf", "step": 246}, {"type": "fc", "step": 24}, {"type": "em"}])
def test_latest_is_the_cycle_published_last(request_of: dict[str, Any], client: Client):
    assert client.latest(**request_of) == TODAY.replace(tzinfo=None)


def test_latest_of_a_step_is_no_cycle_that_lacks_it(tmp_path: Path):
    earlier = TODAY - timedelta(hours=24)
    publish(LocalStore(tmp_path), earlier)
    running = Publisher(LocalStore(tmp_path), make_run(HOURS, run_id="2", init_time=TODAY), SETTINGS)
    running.publish(frame_of(24))
    with served(tmp_path) as server:
        reader = client_of(server.url)
        assert reader.latest(type="pf", step=24) == TODAY.replace(tzinfo=None)
        assert reader.latest(type="pf", step=240) == earlier.replace(tzinfo=None)
        assert reader.latest(type="em", step=24) == earlier.replace(tzinfo=None)


def test_without_a_date_the_latest_is_retrieved(web_url: str, tmp_path: Path):
    result = client_of(web_url).retrieve(type="pf", param="t", levelist=500, step=24, target=str(tmp_path / "t.grib2"))
    assert result.datetime == TODAY.replace(tzinfo=None)


def test_a_bucket_without_the_policy_is_closed(s3_server: S3Server):
    bucket = s3_server.new_bucket()
    s3_server.client().put_object(Bucket=bucket, Key="x", Body=b"x")
    assert requests.get(f"{s3_server.endpoint_url}/{bucket}/x", timeout=10).status_code == 403
