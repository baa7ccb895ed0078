"""ERA5 and its preliminary ERA5T from the Climate Data Store, whose queue may take minutes or a day.

All that is asked for is queued at once. Who asks again, after a kill as well, finds the jobs that wait already.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from threading import Event
from typing import ClassVar

import requests

from ingest.cache import InputCache, Origin
from ingest.download import Promise, Transfer
from ingest.errors import Broken, Busy, Denied, Gone, NotYetAvailable, Refused
from ingest.feed import Availability, Fetched, Item, OnBytes
from ingest.http import HttpRemote, new_session
from ingest.patience import Deadline
from ingest.sources.cds_files import experiments, prove_file, unpack_fields
from ingest.sources.cds_jobs import Job, Jobs, LostJob, ResultFile
from ingest.sources.cds_requests import DATASETS, ITEMS, Request, requests_for

LATENCY = timedelta(days=5)
"""From a cycle to its ERA5T, usually; final ERA5 replaces it after two to three months."""

_SOONEST = timedelta(days=4)
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0


class _Waiting(Exception):
    """The job is not finished."""


@dataclass(frozen=True)
class Cds:
    """The feed `era5`. Address and key are those of the client: CDSAPI_URL and CDSAPI_KEY, CDSAPI_RC, or ~/.cdsapirc.

    A request asks for `fields_per_request` fields at most. `fetch_seconds` bounds a fetch, with the wait in the
    queue. The jobs that wait are noted in the directory of the cache.
    """

    cache: InputCache
    fields_per_request: int = 80
    transfer: Transfer = field(default_factory=lambda: Transfer(2))
    fetch_seconds: float = 3600.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    deadline: Callable[[float], Deadline] = Deadline.after
    session: requests.Session = field(default_factory=lambda: new_session(2))
    name: ClassVar[str] = "era5"

    def capability(self, cycle: datetime) -> frozenset[Item]:
        """Every field of ours that ERA5 has."""
        return ITEMS

    def available(self, cycle: datetime, items: Collection[Item]) -> Availability:
        """Whether ERA5T has come as far as the cycle, by the catalogue, or by the usual latency where that is silent.

        Asks nobody in the first four days. Raises SourceError.
        """
        offered = frozenset(items) & ITEMS
        present = offered if self._is_published(cycle) else frozenset[Item]()
        expected = cycle + LATENCY
        known = not present and expected > self.now()
        return Availability(cycle, present, frozenset(items) - present, expected if known else None)

    def fetch(
        self, cycle: datetime, items: Collection[Item], progress: OnBytes = lambda had, total: None
    ) -> list[Fetched]:
        """The items, a file for each request, from the cache or the store.

        Raises NotYetAvailable when ERA5T has not come that far, Busy when jobs still wait at the deadline, Denied
        when key or licence are not accepted, Incomplete for items that ERA5 does not offer.
        """
        deadline = self.deadline(self.fetch_seconds)
        waiting = requests_for(cycle, items, self.fields_per_request)
        fetched: list[Fetched] = []
        pause = _FIRST_WAIT
        while waiting:
            waiting = [one for one in waiting if not self._take(one, deadline, fetched, progress)]
            if waiting and deadline.left() <= pause:
                raise Busy(
                    f"{len(waiting)} requests still wait in the queue of the Climate Data Store, the first is "
                    f"{waiting[0]}; ask again, they keep their places"
                )
            if waiting:
                deadline.pause(Event(), pause)
                pause = min(1.5 * pause, _LONGEST_WAIT)
        return fetched

    def _is_published(self, cycle: datetime) -> bool:
        if self.now() < cycle + _SOONEST:
            return False
        last = [day for day in map(self._jobs.last_day, DATASETS) if day is not None]
        return cycle.date() <= min(last) if last else self.now() >= cycle + LATENCY

    def _take(self, request: Request, deadline: Deadline, fetched: list[Fetched], progress: OnBytes) -> bool:
        """Whether the file of a request was added to those fetched; its job is submitted if there is none."""
        done = sum(file.bytes for file in fetched)
        load = partial(self._load, request, deadline, lambda had, total: progress(done + had, None))
        with suppress(_Waiting):
            fetched.append(self.cache.get(self.name, request.cycle, request.items, load, deadline))
            self._jobs.forget(request)
            return True
        return False

    def _load(self, request: Request, deadline: Deadline, progress: OnBytes, path: Path) -> Origin:
        """Write the fields of a request to the path. Raises _Waiting while its job is not finished."""
        job = self._jobs.queued(request) or self._jobs.submit(request)
        try:
            result = self._jobs.result(request, job)
        except LostJob:
            job = self._jobs.submit(request)
            result = self._jobs.result(request, job)
        if result is None:
            raise _Waiting
        return self._download(request, job, result, deadline, progress, path)

    def _download(
        self, request: Request, job: Job, result: ResultFile, deadline: Deadline, progress: OnBytes, path: Path
    ) -> Origin:
        remote = HttpRemote(result.url, self.session)
        with self._forgetting(request):
            self._require_size(remote, result.size, deadline)
        promise = Promise(check=partial(self._prove, request))
        self.transfer.download(remote, path, deadline=deadline, promise=promise, progress=progress)
        with self._forgetting(request):
            unpack_fields(path, request)
        details = {"dataset": request.dataset, "request_id": job.request_id, "expver": experiments(path)}
        return Origin(remote.uri, details)

    def _require_size(self, remote: HttpRemote, expected: int, deadline: Deadline) -> None:
        try:
            size = self.transfer.size(remote, deadline)
        except (NotYetAvailable, Gone, Denied) as error:
            raise Broken(f"{remote.uri}: the store no longer keeps this file; ask again for a new one") from error
        if size != expected:
            raise Broken(f"{remote.uri}: expected {expected} bytes as the store says, found {size}; ask again")

    def _prove(self, request: Request, path: Path) -> None:
        with self._forgetting(request):
            prove_file(request, path)

    @contextmanager
    def _forgetting(self, request: Request) -> Iterator[None]:
        """A job whose file is not as it should be is forgotten, so that the next attempt asks for another."""
        try:
            yield
        except (Broken, Refused):
            self._jobs.forget(request)
            raise

    @cached_property
    def _jobs(self) -> Jobs:
        return Jobs(self.cache.directory / "era5-jobs")
