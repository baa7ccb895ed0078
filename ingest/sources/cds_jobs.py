"""Jobs in the queue of the Climate Data Store, through its own client, remembered on disk until their files are here.

A job outlives the process that asked for it: its identifier is kept in a journal, a JSON file for each request, and
who asks for the same fields again gets the job that is already queued. The key is in no file and in no message.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import cdsapi
from ecmwf import datastores

from forecast import files
from ingest.errors import Denied, SourceError
from ingest.sources.cds_errors import source_error, status_of
from ingest.sources.cds_requests import Request

_TRIES, _SECONDS_BETWEEN_TRIES = 3, 5.0
_ANSWER_SECONDS = 30
_WAITING = ("accepted", "running")
_FAILED = ("failed", "rejected")
_LOST = ("dismissed", "deleted")


class ResultFile(NamedTuple):
    """The file of a finished job: its address, length [bytes] and media type."""

    url: str
    size: int
    media_type: str


@dataclass(frozen=True)
class Job:
    """A request that is in the store's hands."""

    dataset: str
    inputs: dict[str, Any]
    request_id: str
    submitted_at: str


class LostJob(Exception):
    """The store no longer has the job; ask anew."""


def open_client() -> Any:
    """The client, configured by CDSAPI_URL and CDSAPI_KEY, or CDSAPI_RC or ~/.cdsapirc.

    It never waits longer than 30 s for an answer nor tries more than three times. Raises Denied when the
    configuration is missing, or the key is one of the store that was closed in 2024.
    """
    silent: Any = lambda *args, **kwargs: None  # noqa: E731
    try:
        client = cdsapi.Client(
            quiet=True,
            progress=False,
            timeout=_ANSWER_SECONDS,
            delete=False,
            retry_max=_TRIES,
            sleep_max=int(_SECONDS_BETWEEN_TRIES),
            wait_until_complete=False,
            info_callback=silent,
            warning_callback=silent,
            error_callback=silent,
            debug_callback=silent,
        )
    except Exception as error:
        raise Denied(
            "the Climate Data Store wants an address and a key: expected them in CDSAPI_URL and CDSAPI_KEY, or in the "
            "file that CDSAPI_RC names, or in ~/.cdsapirc; found none that can be used"
        ) from error
    if not hasattr(client, "client"):
        raise Denied(
            "expected a personal access token as key of the Climate Data Store, found one with a colon, of the store "
            "that was closed in 2024; copy the token from your profile there"
        )
    return client


class Jobs:
    """The jobs of one user. `journal` is a directory; the client is opened when first needed."""

    def __init__(self, journal: Path, client: Callable[[], Any] = open_client) -> None:
        self._journal = journal
        self._open = client
        self._client: Any = None

    def last_day(self, dataset: str) -> date | None:
        """The last day that a dataset has, None when its catalogue does not tell; raises SourceError."""
        try:
            end = self._opened().client.get_collection(dataset).end_datetime
        except (KeyError, IndexError, TypeError, ValueError):
            return None
        except Exception as error:
            if status_of(error) in (404, 410):
                return None
            raise self._error(error, dataset) from None
        return None if end is None else end.date()

    def queued(self, request: Request) -> Job | None:
        """The job of a request that is in the journal."""
        try:
            return Job(**json.loads(self._path(request).read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            self.forget(request)
            return None

    def submit(self, request: Request) -> Job:
        """Ask for the fields, and write it down; raises SourceError."""
        try:
            remote = self._opened().client.submit(request.dataset, request.inputs)
        except Exception as error:
            raise self._error(error, request) from None
        job = Job(request.dataset, request.inputs, remote.request_id, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        self._write(request, job)
        return job

    def result(self, request: Request, job: Job) -> ResultFile | None:
        """The file of a job, None while it waits or runs.

        Raises LostJob when the store does not know it any more, and SourceError when it failed. A job that is lost
        or has failed is forgotten, so that the next attempt asks anew.
        """
        try:
            remote = self._remote(job)
            status = str(remote.status)
        except Exception as error:
            raise self._problem(error, request) from None
        if status in _WAITING:
            return None
        if status in _LOST:
            self.forget(request)
            raise LostJob(f"{request}: {status}")
        try:
            results = remote.get_results()
            return ResultFile(results.location, results.content_length, results.content_type)
        except Exception as error:
            raise self._problem(error, request, status in _FAILED) from None

    def forget(self, request: Request) -> None:
        """Take a request out of the journal."""
        self._path(request).unlink(missing_ok=True)

    def _path(self, request: Request) -> Path:
        return self._journal / f"{request.digest}.json"

    def _opened(self) -> Any:
        if self._client is None:
            self._client = self._open()
        return self._client

    def _remote(self, job: Job) -> Any:
        client = self._opened()
        return datastores.Remote(
            f"{client.url}/retrieve/v1/jobs/{job.request_id}",
            headers={"PRIVATE-TOKEN": client.key},
            session=client.session,
            retry_options={"maximum_tries": _TRIES, "retry_after": _SECONDS_BETWEEN_TRIES},
            request_options={"timeout": client.timeout, "verify": client.verify},
            download_options={},
            sleep_max=_SECONDS_BETWEEN_TRIES,
            cleanup=False,
            log_callback=client.log,
        )

    def _write(self, request: Request, job: Job) -> None:
        with files.whole(self._path(request)) as file:
            file.write(json.dumps(asdict(job)).encode())

    def _problem(self, error: Exception, request: Request, failed: bool = False) -> Exception:
        """What to raise; a job that failed, or that nobody knows, leaves the journal."""
        lost = not failed and status_of(error) in (404, 410)
        if failed or lost:
            self.forget(request)
        return LostJob(f"{request}: no such job") if lost else self._error(error, request, failed)

    def _error(self, error: Exception, what: object, failed: bool = False) -> SourceError:
        if isinstance(error, SourceError):
            return error
        return source_error(error, str(what), getattr(self._client, "key", None), failed)
