"""A Climate Data Store on the loopback interface, with its queue, and with the faults that a test asks for.

It answers as the data stores' API at `/api` does: a request is posted for execution, its job is asked for until it
is successful, its results name a file, and the file is read in ranges. All but the file want the header
`PRIVATE-TOKEN`. What a job's file holds comes from `make`, called with the dataset and the request.
"""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

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


@dataclass
class Fault:
    """What to do instead of the proper answer, `times` times: an error status, or something with the body."""

    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    times: int = 1
    how: str = "status"


@dataclass
class Job:
    """A request that was posted; it goes through the statuses of `to_come`, one each time it is asked for."""

    dataset: str
    request: dict[str, Any]
    content: bytes
    to_come: list[str]
    failure: dict[str, Any]
    claimed_size: int

    def next_status(self) -> str:
        return self.to_come.pop(0) if len(self.to_come) > 1 else self.to_come[0]


class CdsServer:
    """Started by `with`; `url` and `key` are what a client is configured with."""

    def __init__(self, make: Callable[[str, dict[str, Any]], bytes]) -> None:
        self.make = make
        self.key = KEY
        self.statuses = ["accepted", "running", "successful"]
        self.failure: dict[str, Any] = {}
        self.last_date: str | None = None
        self.content_type = "application/x-grib"
        self.size_error = 0
        self.jobs: dict[str, Job] = {}
        self.asked: list[tuple[str, str]] = []
        self._faults: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.root = f"http://127.0.0.1:{self._http.server_port}"
        self.url = f"{self.root}/api"

    def __enter__(self) -> "CdsServer":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fail(self, route: str, **fault: Any) -> None:
        """Let the next answers of a route go wrong."""
        self._faults.setdefault(route, []).append(Fault(**fault))

    def count(self, route: str) -> int:
        """How often a route was asked for."""
        return sum(name == route for name, _ in self.asked)

    def fault(self, route: str) -> Fault | None:
        with self._lock:
            waiting = self._faults.get(route, [])
            if not waiting:
                return None
            waiting[0].times -= 1
            return waiting.pop(0) if waiting[0].times <= 0 else waiting[0]

    def submit(self, dataset: str, request: dict[str, Any]) -> str:
        with self._lock:
            name = f"job-{len(self.jobs) + 1:04d}"
            content = self.make(dataset, request)
            size = len(content) + self.size_error
            self.jobs[name] = Job(dataset, request, content, list(self.statuses), dict(self.failure), size)
            return name

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(_Handler):
            cds = server

        return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cds: CdsServer

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        for name, (method, pattern) in ROUTES.items():
            found = re.fullmatch(pattern, path)
            if found and method == self.command:
                self._answer(name, found[1] if found.groups() else "", body)
                return
        self._send(404, {"title": "not found", "detail": path})

    do_POST = do_HEAD = do_GET

    def log_message(self, *arguments: Any) -> None:
        pass

    def _answer(self, route: str, argument: str, body: bytes) -> None:
        self.cds.asked.append((route, argument))
        fault = self.cds.fault(route)
        is_file = route in ("size", "file")
        if not is_file and route != "messages" and self.headers.get("PRIVATE-TOKEN") != self.cds.key:
            self._send(401, {"title": "authentication failed", "detail": "authentication failed"})
        elif fault is not None and fault.how == "status":
            self._send(fault.status, fault.body)
        elif fault is not None and fault.how == "drop":
            self.close_connection = True
        elif is_file:
            self._send_file(argument, fault)
        else:
            self._send(*getattr(self, f"_{route}")(argument, body))

    def _messages(self, _: str, body: bytes) -> tuple[int, dict[str, Any]]:
        return 200, {"messages": []}

    def _collection(self, dataset: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if self.cds.last_date is None:
            return 404, {"title": "not found", "detail": dataset}
        interval = [["1940-01-01T00:00:00Z", self.cds.last_date]]
        return 200, {"id": dataset, "extent": {"temporal": {"interval": interval}}}

    def _process(self, dataset: str, body: bytes) -> tuple[int, dict[str, Any]]:
        return 200, {"id": dataset}

    def _execution(self, dataset: str, body: bytes) -> tuple[int, dict[str, Any]]:
        name = self.cds.submit(dataset, json.loads(body)["inputs"])
        link = {"rel": "monitor", "href": f"{self.cds.url}/retrieve/v1/jobs/{name}"}
        return 201, {"jobID": name, "processID": dataset, "status": "accepted", "links": [link]}

    def _job(self, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if name not in self.cds.jobs:
            return 404, {"title": "job not found", "detail": f"no job {name}"}
        job = self.cds.jobs[name]
        links = [{"rel": "results", "href": f"{self.cds.url}/retrieve/v1/jobs/{name}/results"}]
        return 200, {"jobID": name, "status": job.next_status(), "metadata": {}, "links": links}

    def _results(self, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
        job = self.cds.jobs[name]
        if job.failure:
            return 400, job.failure
        href = f"{self.cds.root}/files/{name}/data"
        value = {"type": self.cds.content_type, "href": href, "file:size": job.claimed_size}
        return 200, {"asset": {"value": value}}

    def _send(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_file(self, name: str, fault: Fault | None) -> None:
        content = self.cds.jobs[name].content
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found:
            first, last = int(found[1]), min(int(found[2] or len(content)), len(content) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            content = content[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("Content-Type", self.cds.content_type)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is not None and fault.how == "cut":
            self.close_connection = True
            content = content[: len(content) // 2]
        self.wfile.write(content)
