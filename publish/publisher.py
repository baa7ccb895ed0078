"""One run's way into a store: files per lead time, charts, manifest, pointer; resumable at any moment.

Order is the guarantee: an object is stored whole, then recorded as published in `in-progress.json`;
the manifest comes after the last object, `latest.json` after the manifest. Killed anywhere, the same
run continues where the record ends, and publishing a lead time again changes nothing.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forecast.frame import Frame
from forecast.times import format_cycle, lead_hours
from publish import charts, index, whole_run
from publish.layout import LATEST, Layout
from publish.manifest import (
    Manifest,
    ManifestError,
    PublishedObject,
    RunInfo,
    latest_document,
    objects_document,
    parse,
)
from publish.product import Past, ProductSettings, default_spacing, slabs
from publish.statistics import statistics
from publish.stores.base import ObjectNotFound, Store, sha256_of
from publish.writers import EncodedFile, FrameHeader, Writer, open_writers


class PublishError(RuntimeError):
    """A run cannot be published as asked."""


class AlreadyPublished(PublishError):
    """Another run, or another version of this one, is published under the same name; choose another name."""


class IncompleteRun(PublishError):
    """Lead times are missing, so the run must not be declared complete; publish them first."""


class Publisher:
    """Publishes the frames of one run.

    Raises AlreadyPublished at once when the store holds a complete run of another id for the same
    product, grid and cycle.
    """

    def __init__(
        self,
        store: Store,
        run: RunInfo,
        settings: ProductSettings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._run = run
        self._settings = settings
        self._clock = clock
        spacing = settings.grid_spacing or default_spacing(run.longitude_count)
        self._spacing = spacing
        self._layout = Layout(settings.product, run.init_time, spacing)
        self._complete = self._find_complete()
        published = self._complete.objects if self._complete else self._find_progress()
        self._objects = {each.key: each for each in published}

    @property
    def objects(self) -> tuple[PublishedObject, ...]:
        """All objects published so far, by this and earlier attempts at the run, in the order of their keys."""
        return tuple(self._objects[key] for key in sorted(self._objects))

    @property
    def missing_lead_hours(self) -> tuple[int, ...]:
        """Lead times that are not published yet."""
        there = {each.lead_hours for each in self._objects.values()}
        return tuple(hours for hours in self._run.lead_hours if hours not in there)

    @property
    def manifest_key(self) -> str:
        """Key under which the manifest is, or will be."""
        return self._layout.manifest

    def publish(self, frame: Frame, past: Past | None = None) -> list[PublishedObject]:
        """Encode, verify and store one lead time; objects already stored with the same bytes are left alone.

        `past` gives fields over intervals that end at the frame, where the settings ask for them.
        Raises ValueError for a frame of another run, ProductError or WriterError when it cannot be
        encoded, StoreError when it cannot be stored; nothing of it counts as published then.
        """
        self._require_ours(frame)
        hours = lead_hours(frame.lead_time)
        with TemporaryDirectory(prefix="sigmacast-publish-") as directory:
            size, all_hours = self._run.ensemble_size, self._run.lead_hours
            header = FrameHeader.of(frame, self._settings, size, self._attributes(), all_hours)
            files = encode(frame, header, self._settings, Path(directory), past)
            files += [sidecar for file in files for sidecar in index.sidecars(file, self._settings.product)]
            published = [self._put(file, hours) for file in files]
        self._record(published, replaced_lead_hours=hours)
        return published

    def close(self, lost: Iterable[Mapping[str, Any]] = ()) -> Manifest:
        """Publish the charts, then the manifest, then `latest.json`; the run is visible from then on.

        `lost` describes members that were dropped. Raises IncompleteRun when lead times or objects are
        missing. Calling it again for a complete run changes nothing.
        """
        if self._complete is None:
            self._require_all()
            self._publish_charts()
            self._publish_whole_run()
            self._complete = self._manifest(tuple(lost))
            self._store.put(self._layout.manifest, self._complete.to_json())
        self._point_to(self._complete)
        self._store.delete(self._layout.progress)
        return self._complete

    def _find_complete(self) -> Manifest | None:
        try:
            manifest = Manifest.from_json(self._store.get(self._layout.manifest))
        except ObjectNotFound:
            return None
        if manifest.run_id != self._run.run_id:
            raise AlreadyPublished(
                f"run {manifest.run_id} has published cycle {format_cycle(manifest.init_time)} as "
                f"{self._layout.prefix} in {self._store.url}; publish run {self._run.run_id} under another "
                f"product name or into another store, or remove that run's objects first"
            )
        return manifest

    def _find_progress(self) -> tuple[PublishedObject, ...]:
        """What an earlier attempt at this run has published."""
        try:
            document = parse(self._store.get(self._layout.progress))
        except ObjectNotFound:
            return ()
        if document.get("run_id") != self._run.run_id:
            return ()
        return tuple(map(PublishedObject.from_document, document["objects"]))

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

    def _put(self, file: EncodedFile, hours: int | None) -> PublishedObject:
        size, digest = file.path.stat().st_size, sha256_of(file.path)
        there = self._store.head(file.key)
        if there is None or (there.bytes, there.sha256) != (size, digest):
            if self._complete is not None:
                raise AlreadyPublished(
                    f"{file.key} is named in the manifest of run {self._run.run_id} with other content; "
                    f"a complete run is never changed"
                )
            self._store.put(file.key, file.path)
        return PublishedObject(file.key, size, digest, file.kind, file.media_type, hours, file.members)

    def _record(self, published: list[PublishedObject], replaced_lead_hours: int) -> None:
        """Remember what is stored; objects of an earlier attempt at the lead time that are no more go away."""
        if self._complete is not None:
            return
        keys = {each.key for each in published}
        stale = [k for k, each in self._objects.items() if each.lead_hours == replaced_lead_hours and k not in keys]
        for key in stale:
            del self._objects[key]
        self._objects |= {each.key: each for each in published}
        self._store.put(self._layout.progress, objects_document(self._run.run_id, self.objects))
        for key in stale:
            self._store.delete(key)

    def _require_all(self) -> None:
        if missing := self.missing_lead_hours:
            raise IncompleteRun(f"run {self._run.run_id} has not published lead times {missing} h")
        sizes = {info.key: info.bytes for info in self._store.list(self._layout.prefix)}
        gone = [each.key for each in self._objects.values() if sizes.get(each.key) != each.bytes]
        if gone:
            raise IncompleteRun(f"{self._store.url} lost objects of run {self._run.run_id}: {', '.join(sorted(gone))}")

    def _publish_charts(self) -> None:
        with TemporaryDirectory(prefix="sigmacast-charts-") as directory:
            files = charts.draw(self._store, self.objects, self._run, self._settings, self._layout, Path(directory))
            for file in files:
                self._objects[file.key] = self._put(file, None)

    def _publish_whole_run(self) -> None:
        with TemporaryDirectory(prefix="sigmacast-run-") as directory:
            for file in whole_run.statistics(self._store, self.objects, self._layout, Path(directory)):
                self._objects[file.key] = self._put(file, None)

    def _manifest(self, lost: tuple[Mapping[str, Any], ...]) -> Manifest:
        run, last = self._run, max(self._run.lead_hours)
        members = {m for each in self._objects.values() if each.lead_hours == last for m in each.members}
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

    def _point_to(self, manifest: Manifest) -> None:
        """Flip `latest.json` to this run, unless it points to a later cycle."""
        current = self._latest_init_time()
        if current is None or current <= manifest.init_time:
            digest = sha256_of(self._store.get(self._layout.manifest))
            self._store.put(LATEST, latest_document(manifest, self._layout.manifest, digest))

    def _latest_init_time(self) -> datetime | None:
        try:
            return datetime.fromisoformat(parse(self._store.get(LATEST))["init_time"])
        except (ObjectNotFound, ManifestError, KeyError, TypeError, ValueError):
            return None


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
