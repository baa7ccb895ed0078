"""One run's way into a store: files per lead time, charts, manifest, pointer; resumable at any moment.

Order is the guarantee. An object is stored whole, under a key that nothing had; a lead time whose objects are all
stored is released, which is to be named in `status.json`; the manifest comes after the last release, and
`latest.json` last of all. What is released never changes. Killed anywhere, the same run continues after its last
release, and publishing a lead time again changes nothing.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forecast.frame import Frame
from forecast.times import format_cycle, lead_hours
from publish import discovery, index, latest, whole_run
from publish.errors import AlreadyPublished, IncompleteRun, PublishError, QuorumMissed, TakenOver
from publish.layout import Layout, signature
from publish.manifest import Manifest, PublishedObject, RunInfo
from publish.product import Past, ProductSettings, default_spacing, slabs
from publish.signature import Signer
from publish.statistics import statistics
from publish.status import Claim, State, Status, change, claim, read_status
from publish.stores.base import ObjectChanged, ObjectExists, ObjectNotFound, Store, sha256_of
from publish.writers import EncodedFile, FrameHeader, Writer, open_writers

__all__ = ["AlreadyPublished", "IncompleteRun", "PublishError", "Publisher", "QuorumMissed", "TakenOver", "encode"]

INDEX_SUFFIXES = (".index", ".idx")
"""Files that say where the messages of another file are; they follow it."""


class Publisher:
    """Publishes the frames of one run.

    Takes the run up at once: raises AlreadyPublished when another run has published, or is publishing, the same
    product, grid and cycle, and TakenOver when `token` is below that of a process that came later. The runs
    `given_up` may be replaced. With a `signer` the manifest is signed. `seal` is called right before the manifest
    is written, and may raise to keep it from that: whoever gives publishers their right to publish has its say there.
    """

    def __init__(
        self,
        store: Store,
        run: RunInfo,
        settings: ProductSettings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        token: int | None = None,
        given_up: Collection[str] = (),
        signer: Signer | None = None,
        seal: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._run = run
        self._settings = settings
        self._clock = clock
        self._signer = signer
        self._seal = seal
        self._spacing = settings.grid_spacing or default_spacing(run.longitude_count)
        self._layout = Layout(settings.product, run.init_time, self._spacing)
        self._complete = self._find_complete()
        self._claim = None if self._complete else self._take_up(token, given_up)
        self.chart_failures: tuple[str, ...] = ()

    @property
    def objects(self) -> tuple[PublishedObject, ...]:
        """All objects published so far, by this and earlier attempts at the run, in the order of their keys."""
        return tuple(self._released[key] for key in sorted(self._released))

    @property
    def missing_lead_hours(self) -> tuple[int, ...]:
        """Lead times that are not published yet."""
        there = {each.lead_hours for each in self._released.values()}
        return tuple(hours for hours in self._run.lead_hours if hours not in there)

    @property
    def manifest_key(self) -> str:
        """Key under which the manifest is, or will be."""
        return self._layout.manifest

    @property
    def _released(self) -> Mapping[str, PublishedObject]:
        if self._claim is not None:
            return self._claim.status.objects
        return {each.key: each for each in self._complete.objects} if self._complete else {}

    def publish(self, frame: Frame, past: Past | None = None) -> list[PublishedObject]:
        """Encode, verify and store one lead time, then release it; objects stored already are left alone.

        `past` gives fields over intervals that end at the frame, where the settings ask for them.
        Raises ValueError for a frame of another run, ProductError or WriterError when it cannot be encoded,
        StoreError when it cannot be stored, AlreadyPublished when it was released with other content, TakenOver
        when another process has taken the run; nothing of it counts as published then.
        """
        self._require_ours(frame)
        with TemporaryDirectory(prefix="sigmacast-publish-") as directory:
            size, all_hours = self._run.ensemble_size, self._run.lead_hours
            header = FrameHeader.of(frame, self._settings, size, self._attributes(), all_hours)
            files = encode(frame, header, self._settings, Path(directory), past)
            files += [sidecar for file in files for sidecar in index.sidecars(file, self._settings.product)]
            return self._release(files, lead_hours(frame.lead_time))

    def close(self, lost: Iterable[Mapping[str, Any]] = ()) -> Manifest:
        """Publish what is made of the whole run, the manifest, and last `latest.json`; the run is visible from then on.

        `lost` describes members that were dropped; `chart_failures` tells afterwards what was not drawn.
        Raises IncompleteRun when lead times or objects are missing, QuorumMissed when members are. Calling it
        again for a complete run changes nothing.
        """
        if self._complete is None:
            self._require_all()
            self._require_quorum(self._manifest(tuple(lost)))
            self._publish_whole_run()
            manifest = self._manifest(tuple(lost))
            self._complete = self._declare(manifest)
        self._announce(self._complete)
        return self._complete

    def _find_complete(self) -> Manifest | None:
        try:
            manifest = Manifest.from_json(self._store.get(self._layout.manifest))
        except ObjectNotFound:
            return None
        found = read_status(self._store, self._layout.status)
        state = found[0].state if found else State.COMPLETE
        if manifest.run_id != self._run.run_id or state is State.RETRACTED:
            raise AlreadyPublished(
                f"run {manifest.run_id} has published cycle {format_cycle(manifest.init_time)} as "
                f"{self._layout.prefix} in {self._store.url}{' and was retracted' * (state is State.RETRACTED)}; "
                f"publish run {self._run.run_id} under another product name or into another store"
            )
        return manifest

    def _take_up(self, token: int | None, given_up: Collection[str]) -> Claim:
        """Claim the run. A Zarr store that another run has left open is closed before its shards are replaced."""
        run, now = self._run, self._clock()
        status = Status(
            run_id=run.run_id,
            product=self._settings.product,
            init_time=run.init_time,
            state=State.RUNNING,
            updated_at=now,
            token=token or 1,
            ensemble_size=run.ensemble_size,
            quorum=run.quorum,
        )
        root = self._layout.zarr_root
        former = self._store.head(root) if "zarr" in self._settings.formats else None
        taken = claim(self._store, self._layout.status, status, self._clock, token, given_up)
        if former is not None and root not in taken.status.objects:
            with suppress(ObjectChanged):
                self._store.delete(root, if_version=former.version)
        return taken

    def _require_ours(self, frame: Frame) -> None:
        if frame.init_time != self._run.init_time or lead_hours(frame.lead_time) not in self._run.lead_hours:
            raise ValueError(
                f"expected a frame of cycle {self._run.init_time} at one of the lead times {self._run.lead_hours} h, "
                f"got cycle {frame.init_time}, lead time {frame.lead_time}"
            )
        if frame.data.sizes["longitude"] != self._run.longitude_count:
            raise ValueError(
                f"expected frames with {self._run.longitude_count} longitudes, got {frame.data.sizes['longitude']}"
            )

    def _attributes(self) -> dict[str, str]:
        """Global attributes of self-describing files."""
        run, version = self._run, self._run.versions.get("sigmacast", "")
        return {
            "title": f"{self._settings.product} ensemble forecast from {format_cycle(run.init_time)} UTC",
            "institution": run.institution,
            "source": f"{run.model}, sigmacast {version}".rstrip(),
            "history": f"forecast by run {run.run_id}",
            "references": "Kochkov et al. 2024, Nature 632, 1060-1066, doi:10.1038/s41586-024-07744-y",
            "license": run.licence,
            "run_id": run.run_id,
            "model_hash": run.model_hash,
            "inputs": json.dumps([dict(document) for document in run.inputs]),
            "seeds": json.dumps(dict(run.seeds)),
            "software_versions": json.dumps(dict(run.versions)),
            **({"degraded": json.dumps(run.extra["degraded"])} if run.extra.get("degraded") else {}),
        }

    def _release(self, files: Iterable[EncodedFile], hours: int | None) -> list[PublishedObject]:
        """Store files, those that point into others last, and name them to readers."""
        ordered = sorted(files, key=lambda file: file.path.suffix in INDEX_SUFFIXES)
        fixed = self._complete is not None or (hours is not None and hours not in self.missing_lead_hours)
        published = [self._put(file, hours, fixed) for file in ordered]
        if self._claim is not None and any(each.key not in self._released for each in published):
            self._claim.release(hours, tuple(published))
        return published

    def _put(self, file: EncodedFile, hours: int | None, fixed: bool) -> PublishedObject:
        """Store one file; `fixed` says that nothing may be added any more."""
        size, digest = file.path.stat().st_size, sha256_of(file.path)
        one = PublishedObject(file.key, size, digest, file.kind, file.media_type, hours, file.members)
        known = self._released.get(one.key)
        if known is not None and (known.bytes, known.sha256) == (size, digest):
            one = known
        elif known is not None or fixed:
            raise AlreadyPublished(
                f"run {self._run.run_id} has published {hours} h without {one.key}, or with other content; what "
                f"is published is never changed"
            )
        try:
            self._store.put(one.key, file.path, if_absent=True)
        except ObjectExists:
            self._replace_remains(one, file.path)
        return one

    def _replace_remains(self, one: PublishedObject, path: Path) -> None:
        """Replace what an attempt has left that was cut off before it released it, if it is not the same anyway.

        The order fences: remains seen before the claim is found to hold are not those of a later attempt.
        """
        there = self._store.head(one.key)
        if there is None:
            raise TakenOver(f"{one.key} was removed from {self._store.url} while it was published")
        if (there.bytes, there.sha256) == (one.bytes, one.sha256):
            return
        if self._claim is None or one.key in self._released:
            raise IncompleteRun(
                f"{one.key} in {self._store.url} is damaged: expected SHA-256 {one.sha256}, got {there.sha256}; "
                f"remove the object and publish again"
            )
        self._claim.check()
        try:
            self._store.put(one.key, path, if_version=there.version)
        except ObjectChanged:
            raise TakenOver(f"another process publishes {one.key} in {self._store.url}") from None

    def _require_all(self) -> None:
        if missing := self.missing_lead_hours:
            raise IncompleteRun(f"run {self._run.run_id} has not published lead times {missing} h")
        sizes = {info.key: info.bytes for info in self._store.list(self._layout.prefix)}
        gone = [each.key for each in self.objects if sizes.get(each.key) != each.bytes]
        if gone:
            raise IncompleteRun(f"{self._store.url} lost objects of run {self._run.run_id}: {', '.join(sorted(gone))}")

    def _require_quorum(self, manifest: Manifest) -> None:
        present, wanted = len(manifest.members), manifest.quorum * manifest.ensemble_size
        if present < wanted:
            raise QuorumMissed(
                f"{present} of {manifest.ensemble_size} members of run {manifest.run_id} reached the last lead "
                f"time, and the quorum is {manifest.quorum:g}"
            )

    def _publish_whole_run(self) -> None:
        """Charts, and files that join lead times; made of what is published, so once for all attempts.

        The Zarr store's root, by which readers see the whole of it, comes after the release of all the rest. What
        draws charts is loaded here, when the forecast no longer needs the memory.
        """
        from publish import charts

        with TemporaryDirectory(prefix="sigmacast-run-") as directory:
            opening = whole_run.zarr_metadata(
                self.objects, self._run, self._settings, self._layout, self._attributes(), Path(directory)
            )
            if all(each.lead_hours is not None for each in self.objects):
                drawn = charts.draw(self._store, self.objects, self._run, self._settings, self._layout, Path(directory))
                self.chart_failures = tuple(drawn.failures)
                joined = whole_run.statistics(self._store, self.objects, self._layout, Path(directory))
                self._release([*drawn.files, *joined, *opening[:-1]], None)
            self._release(opening[-1:], None)

    def _manifest(self, lost: tuple[Mapping[str, Any], ...]) -> Manifest:
        run, last = self._run, max(self._run.lead_hours)
        members = {member for each in self.objects if each.lead_hours == last for member in each.members}
        return Manifest(
            run_id=run.run_id,
            product=self._settings.product,
            init_time=run.init_time,
            published_at=self._clock(),
            lead_hours=run.lead_hours,
            ensemble_size=run.ensemble_size,
            members=tuple(sorted(members)),
            lost=lost,
            quorum=run.quorum,
            grid_spacing=self._spacing,
            institution=run.institution,
            licence=run.licence,
            provenance=run.provenance,
            objects=self.objects,
        )

    def _declare(self, manifest: Manifest) -> Manifest:
        """Store the manifest, once and for ever; that of the same run from another process is as good.

        Whoever takes the run up from here on finds all of it released, so what is not can be removed for good.
        """
        if self._claim is not None:
            self._claim.update(self._claim.status)
        self._seal()
        self._remove_remains()
        try:
            self._store.put(self._layout.manifest, manifest.to_json(), if_absent=True)
        except ObjectExists:
            return self._find_complete() or manifest
        return manifest

    def _remove_remains(self) -> None:
        """Files of attempts that were cut off, which no run names."""
        for info in list(self._store.list(self._layout.prefix)):
            if self._layout.is_product(info.key) and info.key not in self._released:
                self._store.delete(info.key)

    def _announce(self, manifest: Manifest) -> None:
        """Sign the manifest, say that the run is complete, enter it in the catalogue, and flip the pointer."""
        if self._signer is not None:
            signed = self._signer.sign(self._store.get(self._layout.manifest))
            with suppress(ObjectExists):
                self._store.put(signature(self._layout.manifest), signed, if_absent=True)
        change(self._store, self._layout.status, self._clock, self._completed)
        discovery.refresh(self._store, self._layout.manifest)
        latest.advance(self._store, self._layout.manifest)

    def _completed(self, status: Status) -> Status:
        if status.state is not State.RUNNING:
            return status
        return replace(status, state=State.COMPLETE, manifest=self._layout.manifest)


def encode(
    frame: Frame, header: FrameHeader, settings: ProductSettings, directory: Path, past: Past | None = None
) -> list[EncodedFile]:
    """All files of one lead time."""
    writers: list[Writer] = []
    try:
        writers += open_writers(header, settings, directory)
        for slab in slabs(frame, settings, past):
            moments = statistics(slab, settings) if header.has_statistics else None
            for writer in writers:
                writer.write(slab, moments)
        return [file for writer in writers for file in writer.close()]
    except BaseException:
        for writer in writers:
            writer.abort()
        raise
