"""What a reader of the store can rely on, whatever happens to the publisher."""

import json
import threading
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from forecast.frame import Frame
from publish import discovery
from publish.layout import LATEST
from publish.manifest import Manifest, ManifestError, RunInfo, verify
from publish.product import ProductError, ProductSettings
from publish.publisher import AlreadyPublished, IncompleteRun, Publisher, QuorumMissed, TakenOver
from publish.stac import Entry
from publish.status import State, Status
from publish.stores import LocalStore, ObjectInfo, StoreUnavailable
from tests.publish.frames import INIT_TIME, make_frame, make_run

SMALL = ProductSettings(
    levels=(500,),
    fields=("geopotential", "surface_air_pressure"),
    statistics=("mean", "spread"),
    formats=("grib2", "netcdf"),
    chart_lead_hours=(),
    places=(),
)
NOW = datetime(1959, 1, 2, 7, tzinfo=UTC)
MANIFEST = "19590102/00z/sigmacast/5p0/manifest.json"
STATUS = "19590102/00z/sigmacast/5p0/status.json"
CATALOGUE = discovery.keys(Entry(INIT_TIME, "sigmacast", "5p0"))


def publisher(store: Any, run: RunInfo | None = None, settings: ProductSettings = SMALL, **options: Any) -> Publisher:
    return Publisher(store, run or make_run(), settings, clock=lambda: NOW, **options)


def publish_all(store: Any, run: RunInfo | None = None, settings: ProductSettings = SMALL) -> Manifest:
    each = publisher(store, run, settings)
    for hours in (run or make_run()).lead_hours:
        each.publish(make_frame(hours))
    return each.close()


def keys(store: LocalStore) -> set[str]:
    return {info.key for info in store.list()}


class CuttingStore(LocalStore):
    """A store that fails for good at its n-th change, as if the process were killed there."""

    def __init__(self, directory: Path, changes: int) -> None:
        super().__init__(directory)
        self.changes = changes

    def _spend(self) -> None:
        self.changes -= 1
        if self.changes < 0:
            raise StoreUnavailable("cut")

    def put(
        self, key: str, content: Path | bytes, if_absent: bool = False, if_version: str | None = None
    ) -> ObjectInfo:
        self._spend()
        return super().put(key, content, if_absent, if_version)

    def delete(self, key: str, if_version: str | None = None) -> None:
        self._spend()
        super().delete(key, if_version)


def test_a_complete_run_is_published_whole_and_verifies(store: LocalStore):
    manifest = publish_all(store)
    assert verify(store, manifest) == []
    assert {each.key for each in manifest.objects} == keys(store) - {MANIFEST, LATEST, STATUS} - CATALOGUE
    assert {(each.kind, each.lead_hours) for each in manifest.objects} == {
        (kind, hours)
        for kind in ("control", "members", "mean", "spread", "statistics", "index", "inventory")
        for hours in (0, 6)
    } | {(kind, None) for kind in ("statistics of the run", "index", "inventory")}


def test_the_manifest_in_the_store_is_the_one_returned_and_says_where_the_numbers_come_from(store: LocalStore):
    manifest = publish_all(store)
    content = store.get(MANIFEST)
    assert Manifest.from_json(content) == manifest
    document = json.loads(content)
    assert document["provenance"]["model_hash"] == "ab" * 32
    assert document["provenance"]["inputs"][0]["sha256"] == "cd" * 32
    assert document["provenance"]["seeds"] == {"cycle": 1959010200}
    assert document["provenance"]["versions"]["eccodes"] == "2.50.0"
    assert document["members"] == [0, 1, 2, 3]
    assert document["partial"] is False
    assert document["init_time"] == "1959-01-02T00:00:00Z"


def test_latest_points_to_the_manifest_by_key_and_hash(store: LocalStore):
    publish_all(store)
    latest = json.loads(store.get(LATEST))
    assert latest["manifest"] == MANIFEST
    assert latest["manifest_sha256"] == store.head(MANIFEST).sha256
    assert latest["run_id"] == "run-1"


def test_nothing_is_visible_as_complete_before_the_end(store: LocalStore):
    each = publisher(store)
    each.publish(make_frame(0))
    each.publish(make_frame(6))
    assert not {MANIFEST, LATEST} & keys(store)
    each.close()
    assert {MANIFEST, LATEST} <= keys(store)


def test_lead_times_may_come_in_any_order(store: LocalStore, tmp_path: Path):
    each = publisher(store)
    each.publish(make_frame(6))
    each.publish(make_frame(0))
    assert each.close() == publish_all(LocalStore(tmp_path / "other"))


def test_publishing_a_lead_time_again_changes_nothing(store: LocalStore):
    each = publisher(store)
    first = each.publish(make_frame(0))
    before = {info.key: store.path(info.key).stat().st_mtime_ns for info in store.list() if info.key != STATUS}
    assert each.publish(make_frame(0)) == first
    after = {info.key: store.path(info.key).stat().st_mtime_ns for info in store.list() if info.key != STATUS}
    assert after == before


def test_cut_at_any_change_of_the_store_the_run_resumes_to_the_same_end(tmp_path: Path):
    run, settings = make_run(lead_hours=(6,)), replace(SMALL, formats=("netcdf",))
    whole = publish_all(LocalStore(tmp_path / "whole"), run, settings)
    for changes in range(100):
        directory = tmp_path / f"cut-{changes}"
        try:
            publish_all(CuttingStore(directory, changes), run, settings)
        except StoreUnavailable:
            survivor = LocalStore(directory)
            if MANIFEST in keys(survivor):
                assert verify(survivor, Manifest.from_json(survivor.get(MANIFEST))) == []
            resumed = publisher(survivor, run, settings)
            for hours in resumed.missing_lead_hours:
                resumed.publish(make_frame(hours))
            assert resumed.close() == whole
            assert verify(survivor, whole) == []
            assert keys(survivor) == keys(LocalStore(tmp_path / "whole"))
        else:
            assert changes == 13
            return
    pytest.fail("the run never ended")


def test_a_resumed_run_knows_what_is_missing(store: LocalStore):
    publisher(store).publish(make_frame(0))
    resumed = publisher(store)
    assert resumed.missing_lead_hours == (6,)
    assert {each.lead_hours for each in resumed.objects} == {0}


def test_a_run_with_missing_lead_times_cannot_be_completed(store: LocalStore):
    each = publisher(store)
    each.publish(make_frame(6))
    with pytest.raises(IncompleteRun, match=r"lead times \(0,\) h"):
        each.close()
    assert MANIFEST not in keys(store)


def test_a_run_whose_objects_were_lost_cannot_be_completed(store: LocalStore):
    each = publisher(store)
    each.publish(make_frame(0))
    each.publish(make_frame(6))
    store.delete(each.objects[0].key)
    with pytest.raises(IncompleteRun, match="lost objects"):
        each.close()


def test_a_run_with_dropped_members_publishes_the_rest_and_says_so(store: LocalStore):
    each = publisher(store, make_run(quorum=0.75))
    each.publish(make_frame(0))
    objects = each.publish(make_frame(6, members=(0, 1, 3)))
    lost = {"member": 2, "lead_time_hours": 6, "reason": "temperature out of bounds"}
    manifest = each.close(lost=[lost])
    assert manifest.members == (0, 1, 3)
    assert manifest.lost == (lost,)
    assert manifest.partial
    assert next(file.members for file in objects if file.kind == "members" and file.key.endswith("grib2")) == (0, 1, 3)
    assert json.loads(store.get(MANIFEST))["partial"] is True


def test_a_run_below_its_quorum_is_not_declared_complete(store: LocalStore):
    each = publisher(store)
    each.publish(make_frame(0))
    each.publish(make_frame(6, members=(0, 1, 3)))
    with pytest.raises(QuorumMissed, match=r"3 of 4 members .* the quorum is 0\.9"):
        each.close()
    assert not {MANIFEST, LATEST} & keys(store)


def cut_off_before_the_release(store: LocalStore, frame: Frame, run: RunInfo | None = None) -> None:
    """Leave the objects of a lead time that no reader was told of."""
    each = publisher(store, run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(each._claim, "release", lambda *_: None)
        each.publish(frame)


def test_what_was_stored_and_not_released_gives_way_to_what_is_published_after_all(store: LocalStore):
    run = make_run(quorum=0.75)
    cut_off_before_the_release(store, make_frame(6), run)
    assert [key for key in keys(store) if "oper" in key]
    resumed = publisher(store, run)
    assert resumed.missing_lead_hours == (0, 6)
    for hours in (0, 6):
        resumed.publish(make_frame(hours, members=(1, 2, 3)))
    assert verify(store, resumed.close()) == []
    assert not [key for key in keys(store) if "oper" in key]


def test_what_is_released_is_never_published_otherwise(store: LocalStore):
    publisher(store).publish(make_frame(6))
    resumed = publisher(store)
    with pytest.raises(AlreadyPublished, match="never changed"):
        resumed.publish(make_frame(6, members=(1, 2, 3)))


def test_a_complete_run_of_another_id_is_never_overwritten(store: LocalStore):
    publish_all(store)
    with pytest.raises(AlreadyPublished, match="run-1 has published cycle 19590102T00"):
        publisher(store, make_run(run_id="run-2"))
    publisher(store, make_run(run_id="run-2"), replace(SMALL, product="experiment"))


def test_a_complete_run_is_never_changed_by_itself_either(store: LocalStore):
    manifest = publish_all(store)
    again = publisher(store)
    assert again.publish(make_frame(0))
    with pytest.raises(AlreadyPublished, match="other content"):
        again.publish(make_frame(6, members=(0, 1)))
    assert again.close() == manifest
    assert verify(store, manifest) == []


def test_what_a_run_given_up_has_left_is_replaced_and_removed(store: LocalStore):
    given_up = make_run(lead_hours=(0, 6, 12), run_id="old")
    publisher(store, given_up).publish(make_frame(12))
    cut_off_before_the_release(store, make_frame(0), given_up)
    with pytest.raises(AlreadyPublished, match="run old of cycle 19590102T00 is running"):
        publisher(store)
    each = publisher(store, given_up=["old"])
    for hours in (0, 6):
        each.publish(make_frame(hours))
    manifest = each.close()
    assert {each.lead_hours for each in manifest.objects} == {0, 6, None}
    assert verify(store, manifest) == []
    assert not [key for key in keys(store) if "-12h-" in key]


def test_of_two_publishers_of_a_run_the_later_one_goes_on(store: LocalStore):
    first = publisher(store)
    first.publish(make_frame(0))
    second = publisher(store)
    with pytest.raises(TakenOver, match="publishes nothing more"):
        first.publish(make_frame(6))
    assert second.missing_lead_hours == (6,)
    second.publish(make_frame(6))
    with pytest.raises(TakenOver):
        first._declare(first._manifest(()))
    assert verify(store, second.close()) == []


def test_a_process_with_an_older_token_cannot_come_back(store: LocalStore):
    publisher(store, token=2)
    with pytest.raises(TakenOver, match="another process has taken over"):
        publisher(store, token=1)
    publisher(store, token=3)


def test_of_two_runs_that_publish_the_same_cycle_at_once_exactly_one_is_published(store: LocalStore):
    outcomes: list[object] = []
    together = threading.Barrier(4)

    def publish(run_id: str) -> None:
        together.wait()
        try:
            outcomes.append(publish_all(store, make_run(run_id=run_id), replace(SMALL, formats=("netcdf",))))
        except AlreadyPublished as error:
            outcomes.append(error)

    threads = [threading.Thread(target=publish, args=(f"run-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    manifests = [each for each in outcomes if isinstance(each, Manifest)]
    assert len(manifests) == 1 and len(outcomes) == 4
    assert Manifest.from_json(store.get(MANIFEST)) == manifests[0]
    assert verify(store, manifests[0]) == []


def test_the_status_names_whole_objects_as_they_come(store: LocalStore):
    each = publisher(store)
    each.publish(make_frame(6))
    status = Status.from_json(store.get(STATUS))
    assert (status.state, status.manifest) == (State.RUNNING, None)
    assert [(one.lead_hours, one.members) for one in status.releases] == [(6, (0, 1, 2, 3))]
    assert all(store.head(key).sha256 == one.sha256 for key, one in status.objects.items())
    each.publish(make_frame(0))
    manifest = each.close()
    status = Status.from_json(store.get(STATUS))
    assert (status.state, status.manifest) == (State.COMPLETE, MANIFEST)
    assert [one.lead_hours for one in status.releases] == [0, 6, None]
    assert status.objects == {one.key: one for one in manifest.objects}


def test_latest_never_goes_back_to_an_earlier_cycle(store: LocalStore):
    newer = {"init_time": "2026-11-21T06:00:00Z", "run_id": "newer"}
    store.put(LATEST, json.dumps(newer).encode())
    publish_all(store)
    assert json.loads(store.get(LATEST)) == newer


def test_frames_of_another_run_are_refused(store: LocalStore):
    each = publisher(store)
    with pytest.raises(ValueError, match="lead time 12:00:00"):
        each.publish(make_frame(12))
    with pytest.raises(ValueError, match="cycle 1959-01-03"):
        each.publish(replace(make_frame(0), init_time=INIT_TIME.replace(day=3)))
    with pytest.raises(ValueError, match="32 longitudes, got 16"):
        each.publish(make_frame(0, shape=(16, 8)))


def test_a_frame_that_cannot_be_encoded_leaves_nothing_behind(store: LocalStore):
    frame = make_frame(0)
    frame.data["surface_air_pressure"][1] = float("inf")
    with pytest.raises(ProductError, match="sp is not finite"):
        publisher(store).publish(frame)
    assert keys(store) == {STATUS}


def test_verification_finds_what_is_missing_truncated_or_flipped(store: LocalStore):
    manifest = publish_all(store)
    missing, short, flipped = (store.path(each.key) for each in manifest.objects[:3])
    missing.unlink()
    short.write_bytes(short.read_bytes()[:-1])
    content = bytearray(flipped.read_bytes())
    content[100] ^= 1
    flipped.write_bytes(content)
    problems = verify(store, manifest)
    assert [problem.partition(": ")[0] for problem in problems] == [each.key for each in manifest.objects[:3]]
    assert "missing" in problems[0]
    assert "bytes, expected" in problems[1]
    assert "SHA-256" in problems[2]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schema": "sigmacast-manifest/1"}'])
def test_what_is_no_manifest_is_not_read_as_one(content: bytes):
    with pytest.raises(ManifestError):
        Manifest.from_json(content)


def test_the_manifest_describes_objects_with_plain_json(store: LocalStore):
    manifest = publish_all(store)
    described = json.loads(store.get(MANIFEST))["objects"][0]
    assert described == {**asdict(manifest.objects[0]), "members": list(manifest.objects[0].members)}
