"""The API under load: `python -m tests.bench_api [--database URL] [--rate 500] [--seconds 20] [--json FILE]`.

Fills a database with 100 000 runs and their products, starts `sigmacast serve` and drives it from another process at a
constant rate. A request has a moment at which it is due, whatever became of those before it, and its latency counts
from that moment (an open loop): a server that stalls is charged for everybody who waited.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from ops.commands.output import say, table
from tests import bench_api_data as data
from tests.servers import free_port

CONNECTIONS = 64
GATE_SECONDS = 0.050
PARTS = {
    "runs, newest": 15,
    "runs of a state": 10,
    "runs of a model, between two cycles": 10,
    "runs, a page deep inside": 15,
    "one run": 20,
    "a run's events": 5,
    "products of a run": 15,
    "products of a lead time": 5,
    "a product's head": 5,
}
"""What is asked for, in percent."""


def address(part: str, chosen: random.Random, runs: int) -> str:
    """A request of this kind for something chosen at random."""
    index = chosen.randrange(runs)
    name = data.name_of(index)
    since, until = (f"{data.cycle_of(min(runs - 1, index + back)):%Y-%m-%dT%H:00:00Z}" for back in (200, 0))
    path = {
        "runs, newest": "",
        "runs of a state": f"?state={chosen.choice(data.STATES)}",
        "runs of a model, between two cycles": f"?model={data.model_of(index)}&since={since}&until={until}",
        "runs, a page deep inside": f"?after={name}",
        "one run": f"/{name}",
        "a run's events": f"/{name}/events",
        "products of a run": f"/{data.name_of(index % data.LARGE)}/products",
        "products of a lead time": f"/{name}/products?lead_time_hours=6",
        "a product's head": f"/{name}/products/{data.key_of(index, 0)}",
    }[part]
    return f"/api/v1/runs{path}"


@dataclass
class Told:
    """What became of the requests: seconds by kind, answers by status."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)


class Connection(asyncio.Protocol):
    """One connection kept open, with one request under way at a time (HTTP/1.1)."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._buffer = bytearray()
        self._answer: asyncio.Future[int] | None = None
        self._no_body = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))

    async def ask(self, method: str, path: str) -> int:
        """The status of the answer, once all of it is there."""
        self._answer = asyncio.get_running_loop().create_future()
        self._no_body = method == "HEAD"
        self._transport.write(f"{method} {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        size = 0 if self._no_body else int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._buffer) >= end + 4 + size and self._answer is not None:
            self._buffer.clear()
            self._answer.set_result(int(head[9:12]))


async def drive(port: int, rate: float, seconds: float, runs: int, seed: int) -> Told:
    """Ask at a constant rate for so long."""
    loop, chosen, told = asyncio.get_running_loop(), random.Random(seed), Told()
    kinds = chosen.choices(list(PARTS), list(PARTS.values()), k=round(rate * seconds))
    wanted = [(kind, "HEAD" if "head" in kind else "GET", address(kind, chosen, runs)) for kind in kinds]
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait((await loop.create_connection(Connection, "127.0.0.1", port))[1])

    async def one(kind: str, method: str, path: str, due: float) -> None:
        connection = await free.get()
        status = await connection.ask(method, path)
        told.seconds[kind].append(loop.time() - due)
        told.statuses[status] += 1
        free.put_nowait(connection)

    begin, tasks = loop.time() + 0.5, []
    for number, request in enumerate(wanted):
        due = begin + number / rate
        if (pause := due - loop.time()) > 0:
            await asyncio.sleep(pause)
        tasks.append(asyncio.create_task(one(*request, due)))
    await asyncio.gather(*tasks)
    return told


def driven(port: int, options: argparse.Namespace) -> Told:
    """The load, from a process of its own."""
    command = [sys.executable, "-m", "tests.bench_api", "--drive", str(port), "--rate", str(options.rate)]
    command += ["--seconds", str(options.seconds), "--runs", str(options.runs), "--seed", str(options.seed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    return Told(found["seconds"], Counter({int(status): count for status, count in found["statuses"].items()}))


@contextmanager
def serving(url: str, processes: int):
    """`sigmacast serve` over a database: its port and its process."""
    port = free_port()
    environment = os.environ | {"SIGMACAST_DATABASE__URL": url, "SIGMACAST_LOG__LEVEL": "warning"}
    code = "from ops.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", str(port), "--processes", str(processes)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        _await(f"http://127.0.0.1:{port}/healthz", process)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(60) != 0:
            raise RuntimeError(f"the server ended with {process.returncode}")


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


def _cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """What the server's processes have spent so far, by the operating system's account (proc(5), stat)."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in (process.pid, *children)]
    return sum(int(ticks) for stat in stats for ticks in stat[11:13]) / os.sysconf("SC_CLK_TCK")


def _cpu_seconds_of_children() -> float:
    """What processes have spent that this one has waited for, such as that which asks."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def quantile(values: list[float], share: float) -> float:
    """The value that so large a share does not exceed."""
    return sorted(values)[max(0, -(-round(share * 1e6) * len(values) // 1_000_000) - 1)]


def summary(values: list[float]) -> dict[str, float]:
    """Milliseconds: median, and what 99 and 99.9 percent of requests did not exceed."""
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {name: round(1000 * quantile(values, share), 2) for name, share in shares.items()}


def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """One run of the load, after a short one that does not count."""
    with serving(url, options.processes) as (port, process):
        warm = argparse.Namespace(**{**vars(options), "seconds": 3.0, "rate": min(100.0, options.rate), "seed": 1})
        driven(port, warm)
        before, own, begin = _cpu_seconds(process), _cpu_seconds_of_children(), time.monotonic()
        told = driven(port, options)
        busy, took = _cpu_seconds(process) - before, time.monotonic() - begin
        own = _cpu_seconds_of_children() - own
    everything = [each for values in told.seconds.values() for each in values]
    return {
        "database": url.partition(":")[0],
        "rate": options.rate,
        "requests": len(everything),
        "statuses": dict(told.statuses),
        "server_cpu_ms_per_request": round(1000 * busy / len(everything), 3),
        "client_cpu_ms_per_request": round(1000 * own / len(everything), 3),
        "load_average": os.getloadavg()[0],
        "seconds": round(took, 1),
        "milliseconds": {"all": summary(everything)} | {kind: summary(told.seconds[kind]) for kind in PARTS},
    }


def tell(found: dict[str, Any]) -> None:
    """The table for people."""
    say(
        f"\n{found['database']}: {found['requests']} requests at {found['rate']:g}/s, statuses {found['statuses']}, "
        f"{found['server_cpu_ms_per_request']} ms of processor each "
        f"(and {found['client_cpu_ms_per_request']} to ask), load {found['load_average']:.1f}"
    )
    columns = ("p50", "p90", "p99", "p999", "max")
    rows = [(kind, *(f"{times[name]:.1f}" for name in columns)) for kind, times in found["milliseconds"].items()]
    table(("MILLISECONDS", *columns), rows)
    good = found["milliseconds"]["all"]["p99"] < 1000 * GATE_SECONDS and set(found["statuses"]) == {200}
    say(f"{'holds' if good else 'MISSED'}: p99 under {1000 * GATE_SECONDS:g} ms, every answer 200")


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", action="append", help="sqlite (default), or the address of an empty PostgreSQL")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=500.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--processes", type=int, default=2, help="processes of the server")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="directory for the filled SQLite database, used again if it is there")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--drive", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive is not None:
        gc.disable()
        told = uvloop.run(drive(options.drive, options.rate, options.seconds, options.runs, options.seed))
        say(json.dumps({"seconds": told.seconds, "statuses": told.statuses}))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        wanted = [
            f"sqlite:///{folder}/bench.db" if each == "sqlite" else each for each in options.database or ["sqlite"]
        ]
        found = []
        for url in wanted:
            say(f"filling {url.partition(':')[0]} took {data.fill(url, options.runs):.0f} s")
            for _ in range(options.repeat):
                found.append(measure(url, options))
                tell(found[-1])
    if options.json:
        about = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "runs": options.runs}
        options.json.write_text(
            json.dumps({**about, "processes": options.processes, "measured": found}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
