"""How a run's publication stands, for readers; and the claim that keeps other publishers out.

`status.json` stands beside a run's objects from its first moment. Whoever publishes the run writes it under the
condition that nobody else has written since: so of two publishers one goes on and the other learns that it has
been taken over, before anything that it would release is named anywhere. It names whole objects only.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from forecast.times import format_cycle, require_utc
from publish.errors import AlreadyPublished, TakenOver
from publish.manifest import ManifestError, PublishedObject, moment_text, parse
from publish.stores.base import ObjectChanged, ObjectExists, ObjectNotFound, Store

SCHEMA = "sigmacast-status/1"

Clock = Callable[[], datetime]


class State(StrEnum):
    """How a run stands in the store."""

    RUNNING = "running"
    COMPLETE = "complete"
    RETRACTED = "retracted"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Release:
    """One lead time that is published, whole; `lead_hours` is None for what belongs to the whole run."""

    lead_hours: int | None
    released_at: datetime
    members: tuple[int, ...]
    objects: tuple[PublishedObject, ...]


@dataclass(frozen=True)
class Status:
    """What a reader may take of a run, now.

    `token` grows with every process that takes the run up. `manifest` is the key of the manifest, once
    there is one. `reason` tells why a run was retracted, `superseded_by` which run stands in its place.
    """

    run_id: str
    product: str
    init_time: datetime
    state: State
    updated_at: datetime
    token: int
    ensemble_size: int
    quorum: float
    manifest: str | None = None
    reason: str | None = None
    superseded_by: str | None = None
    releases: tuple[Release, ...] = ()

    def __post_init__(self) -> None:
        require_utc(self.init_time)

    @cached_property
    def objects(self) -> Mapping[str, PublishedObject]:
        """Every object released, by key."""
        return {each.key: each for release in self.releases for each in release.objects}

    def releasing(self, lead_hours: int | None, objects: tuple[PublishedObject, ...], now: datetime) -> "Status":
        """The status with one more lead time, in order; one released before has its objects and these."""
        others = [each for each in self.releases if each.lead_hours != lead_hours]
        before = {each.key: each for one in self.releases if one not in others for each in one.objects}
        objects = tuple((before | {each.key: each for each in objects}).values())
        members = tuple(sorted({member for each in objects for member in each.members}))
        releases = [*others, Release(lead_hours, now, members, objects)]
        releases.sort(key=lambda each: (each.lead_hours is None, each.lead_hours or 0))
        return replace(self, releases=tuple(releases))

    def to_json(self) -> bytes:
        """The status as a JSON document."""
        return (json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, default=moment_text) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Status":
        """Read a status back. Raises ManifestError for anything else."""
        document = parse(content)
        if document.pop("schema", None) != SCHEMA:
            raise ManifestError(f"expected a document of schema {SCHEMA}, got {content[:60]!r}")
        try:
            for name in ("init_time", "updated_at"):
                document[name] = datetime.fromisoformat(document[name])
            document["releases"] = tuple(map(_release, document["releases"]))
            document["state"] = State(document["state"])
            return cls(**document)
        except (KeyError, TypeError, ValueError) as error:
            raise ManifestError(f"expected a complete status, but: {error}") from error


def _release(document: Mapping[str, Any]) -> Release:
    return Release(
        document["lead_hours"],
        datetime.fromisoformat(document["released_at"]),
        tuple(document["members"]),
        tuple(map(PublishedObject.from_document, document["objects"])),
    )


def read_status(store: Store, key: str) -> tuple[Status, str] | None:
    """The status under this key and its version in the store, None when there is none. Raises ManifestError."""
    try:
        content, version = store.read(key)
    except ObjectNotFound:
        return None
    return Status.from_json(content), version


class Claim:
    """The right to publish one run, as long as nobody else has taken it."""

    def __init__(self, store: Store, key: str, status: Status, version: str, clock: Clock) -> None:
        self.status = status
        self._store = store
        self._key = key
        self._version = version
        self._clock = clock

    def check(self) -> None:
        """Raises TakenOver when another process has taken the run."""
        found = self._store.head(self._key)
        if found is None or found.version != self._version:
            raise self._taken_over()

    def release(self, lead_hours: int | None, objects: tuple[PublishedObject, ...]) -> None:
        """Name the objects of a lead time to readers. Raises TakenOver."""
        self.update(self.status.releasing(lead_hours, objects, self._clock()))

    def update(self, status: Status) -> None:
        """Write a new status in the place of the one that this claim knows. Raises TakenOver."""
        status = replace(status, updated_at=self._clock())
        try:
            info = self._store.put(self._key, status.to_json(), if_version=self._version)
        except ObjectChanged:
            raise self._taken_over() from None
        self.status, self._version = status, str(info.version)

    def _taken_over(self) -> TakenOver:
        return TakenOver(
            f"another process has taken over the publication of run {self.status.run_id} in {self._store.url}; "
            f"this one publishes nothing more"
        )


def claim(
    store: Store, key: str, wanted: Status, clock: Clock, token: int | None = None, given_up: Collection[str] = ()
) -> Claim:
    """Take a run up, from nobody, from an earlier process, or from one of the runs `given_up`.

    `token`, if given, must not be below that of whoever had it before. Raises TakenOver when it is, AlreadyPublished
    when another run, or a retracted one, has the place.
    """
    while True:
        found = read_status(store, key)
        if found is None:
            status, version = replace(wanted, token=token or 1), None
        else:
            status, version = _taken_up(found[0], wanted, token, given_up, store), found[1]
        status = replace(status, updated_at=clock())
        try:
            info = store.put(key, status.to_json(), if_absent=version is None, if_version=version)
        except (ObjectExists, ObjectChanged):
            continue
        return Claim(store, key, status, str(info.version), clock)


def change(store: Store, key: str, clock: Clock, changed: Callable[[Status], Status]) -> Status | None:
    """Change the status of a run that is complete, whoever else changes it meanwhile; None when it has none."""
    while True:
        found = read_status(store, key)
        if found is None:
            return None
        status = changed(found[0])
        if status == found[0]:
            return status
        status = replace(status, updated_at=clock())
        try:
            store.put(key, status.to_json(), if_version=found[1])
        except ObjectChanged:
            continue
        return status


def retract(store: Store, key: str, reason: str, clock: Clock) -> None:
    """Tell readers that a complete run is not to be used, and why."""
    change(store, key, clock, lambda status: replace(status, state=State.RETRACTED, reason=reason))


def supersede(store: Store, key: str, by: str | None, clock: Clock) -> None:
    """Tell readers that another run stands in the place of a complete one; or, with None, that it stands again."""

    def changed(status: Status) -> Status:
        if status.state not in (State.COMPLETE, State.SUPERSEDED):
            return status
        return replace(status, state=State.SUPERSEDED if by else State.COMPLETE, superseded_by=by)

    change(store, key, clock, changed)


def _taken_up(found: Status, wanted: Status, token: int | None, given_up: Collection[str], store: Store) -> Status:
    """The status with which a run goes on."""
    ours = found.run_id == wanted.run_id
    if ours and token is not None and found.token > token:
        raise TakenOver(f"another process has taken over the publication of run {found.run_id} in {store.url}")
    if found.state is not State.RUNNING or not (ours or found.run_id in given_up):
        raise AlreadyPublished(
            f"run {found.run_id} of cycle {format_cycle(found.init_time)} is {found.state} in {store.url} as "
            f"{found.product}; publish run {wanted.run_id} under another product name or into another store"
        )
    return replace(found if ours else wanted, token=token or found.token + 1)
