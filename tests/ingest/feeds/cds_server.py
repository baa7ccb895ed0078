"""A Climate Data Store on the loopback interface, with its queue; faults are injected as in any `Loopback`.

It answers as the data stores' API at `/api` does: a request is posted for execution, its job is asked for until it
is successful, its results name a file, and the file is read in ranges. All but the file want the header
`PRIVATE-TOKEN`. What a job's file holds comes from `make`, called with the dataset and the request.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.ingest.feeds.server import Answer, Fault, Loopback, Request

KEY = "5ec7e7c0-de00-4dea-9a55-0123456789ab"

ROUTES = {
    "messages": ("GET", r"/api/catalogue/v1/messages"),
    "collection": ("GET", r"/api/catalogue/v1/collections/([\w-]+)"),
    "execution": ("POST", r"/api/retrieve/v1/processes/([\w-]+)/execution"),
    "process": ("GET", r"/api/retrieve/v1/processes/([\w-]+)"),
    "results": ("GET", r"/api/retrieve/v1/jobs/([\w-]+)/results"),
    "job": ("GET", r"/api/retrieve/v1/jobs/([\w-]+)"),
    "size": ("HEAD", r"/files/([\w-]+)/data"),
    "file": ("GET", r"/files/([\w-]+)/data"),
}

LICENCE = {
    "title": "required licences not accepted",
    "detail": "required licences not accepted; please visit https://cds.climate.copernicus.eu/datasets?tab=licences",
}
NOT_YET = {
    "title": "invalid request",
    "detail": "None of the data you have requested is available yet, please revise the period requested. "
    "The latest date available for this dataset is: 2020-02-25 15:00",
}
NO_DATA = {
    "title": "The job has failed",
    "traceback": "Your request has not found any data, please check your selection.\n"
    "The job failed with: MultiAdaptorNoDataError",
}
QUEUE_LIMIT = {
    "title": "The job has been rejected",
    "detail": "Number of queued requests per user is limited to 50",
}


@dataclass(frozen=True)
class Says(Fault):
    """An error of the store, with its words."""

    status: int
    words: dict[str, Any]

    def spoil(self, answer, server, request):
        return _json(self.status, self.words)


@dataclass
class Job:
    """A request that was posted; it goes through the statuses `to_come`, one each time it is asked for."""

    dataset: str
    request: dict[str, Any]
    content: bytes
    to_come: list[str]
    failure: dict[str, Any]
    claimed_size: int

    def next_status(self) -> str:
        return self.to_come.pop(0) if len(self.to_come) > 1 else self.to_come[0]


class CdsServer(Loopback):
    """`address` and `key` are what a client is configured with; the other attributes hold for jobs to come."""

    def __init__(self, make: Callable[[str, dict[str, Any]], bytes]) -> None:
        super().__init__("nginx")
        self.make = make
        self.key = KEY
        self.statuses = ["accepted", "running", "successful"]
        self.failure: dict[str, Any] = {}
        self.last_date: str | None = None
        self.media_type = "application/x-grib"
        self.size_error = 0
        self.jobs: dict[str, Job] = {}

    @property
    def address(self) -> str:
        return f"{self.url}/api"

    def count(self, route: str) -> int:
        """How often a route was asked for."""
        method, pattern = ROUTES[route]
        return sum(one.method == method and bool(re.fullmatch(pattern, one.path)) for one in self.requests)

    def answer(self, request: Request) -> Answer:
        for name, (method, pattern) in ROUTES.items():
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                if name in ("size", "file"):
                    return super().answer(request)
                if name != "messages" and request.headers.get("private-token") != self.key:
                    return _json(401, {"title": "authentication failed", "detail": "authentication failed"})
                return getattr(self, f"_{name}")(*found.groups(), *([request.body] if method == "POST" else []))
        return _json(404, {"title": "not found", "detail": request.path})

    def _messages(self) -> Answer:
        return _json(200, {"messages": []})

    def _collection(self, dataset: str) -> Answer:
        if self.last_date is None:
            return _json(404, {"title": "not found", "detail": dataset})
        interval = [["1940-01-01T00:00:00Z", self.last_date]]
        return _json(200, {"id": dataset, "extent": {"temporal": {"interval": interval}}})

    def _process(self, dataset: str) -> Answer:
        return _json(200, {"id": dataset})

    def _execution(self, dataset: str, body: bytes) -> Answer:
        inputs = json.loads(body)["inputs"]
        content = self.make(dataset, inputs)
        with self._lock:
            name = f"job-{len(self.jobs) + 1:04d}"
            size = len(content) + self.size_error
            self.jobs[name] = Job(dataset, inputs, content, list(self.statuses), dict(self.failure), size)
        self.publish(f"/files/{name}/data", content)
        link = {"rel": "monitor", "href": f"{self.address}/retrieve/v1/jobs/{name}"}
        return _json(201, {"jobID": name, "processID": dataset, "status": "accepted", "links": [link]})

    def _job(self, name: str) -> Answer:
        if name not in self.jobs:
            return _json(404, {"title": "job not found", "detail": f"no job {name}"})
        links = [{"rel": "results", "href": f"{self.address}/retrieve/v1/jobs/{name}/results"}]
        status = self.jobs[name].next_status()
        return _json(200, {"jobID": name, "status": status, "metadata": {}, "links": links})

    def _results(self, name: str) -> Answer:
        job = self.jobs[name]
        if job.failure:
            return _json(400, job.failure)
        href = f"{self.url}/files/{name}/data"
        return _json(200, {"asset": {"value": {"type": self.media_type, "href": href, "file:size": job.claimed_size}}})


def _json(status: int, document: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})
