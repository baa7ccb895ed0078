"""The demonstration beside the reference: `python -m tests.bench_demo [--repetitions N] [--json FILE]`.

Runs `sigmacast demo` in a process of its own that finds nothing kept from before: four members over 15 days with all
their products. Before it and after it, as a machine's speed drifts, the reference forecasts six hours of one member and
decodes them, N times in all; it is charged with the median for each of the same member days, and neither with its
start and its compilation nor with any product.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ops.commands.output import table
from ops.start import MEMORY, TUNABLES

MEMBER_DAYS = 60
HOURS = 6
SETTINGS = """
[paths]
work = "{0}/work"
models = "{0}/models"
[database]
url = "sqlite:///{0}/history.db"
[store]
url = "file://{0}/products"
"""


def demo(directory: Path) -> dict[str, float]:
    """What the demonstration took: seconds, seconds of all cores, and most memory [MiB] by the system's account.

    This process is small until then: the system counts what it held when it began the other as that one's.
    """
    config = directory / "sigmacast.toml"
    config.write_text(SETTINGS.format(directory), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != TUNABLES}
    command = [sys.executable, "-c", "from ops.start import main; main()", "demo", "--config", str(config)]
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {
        "seconds": time.monotonic() - began,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mebibytes": usage.ru_maxrss / 1024,
    }


def six_hours_of_the_reference(repetitions: int) -> list[float]:
    """Seconds that they took, by the reference's loop."""
    from ops.demo import checkpoint_file
    from tests.bench import LOOP, TheReference, in_turns

    return in_turns({LOOP: TheReference(checkpoint_file()).one()[LOOP]}, repetitions)[LOOP]


def elsewhere(repetitions: int) -> list[float]:
    """The same in a process of its own, which ends before the demonstration begins."""
    command = [sys.executable, "-m", "tests.bench_demo", "--reference", str(repetitions)]
    done = subprocess.run(command, env=os.environ | {TUNABLES: MEMORY}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print, and write."""
    options = argparse.ArgumentParser(description="The demonstration beside the reference.")
    options.add_argument("--repetitions", type=int, default=12)
    options.add_argument("--json", type=Path)
    options.add_argument("--reference", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.reference:
        sys.stdout.write(json.dumps(six_hours_of_the_reference(given.reference)) + "\n")
        return
    half = -(-given.repetitions // 2)
    times = elsewhere(half)
    with TemporaryDirectory() as directory:
        ours = demo(Path(directory))
    times += elsewhere(half)
    charged = statistics.median(times) * MEMBER_DAYS * 24 / HOURS
    result: dict[str, Any] = {"demo": ours, "reference_seconds": charged, "six_hours_of_the_reference": times}
    result |= {"ratio": result["reference_seconds"] / ours["seconds"], "load": os.getloadavg()}
    rows = [
        ("sigmacast demo, all of it", f"{ours['seconds']:.0f}", ""),
        ("reference, without products", f"{result['reference_seconds']:.0f}", f"{result['ratio']:.2f}"),
    ]
    table((f"{MEMBER_DAYS} MEMBER DAYS", "SECONDS", "RATIO"), rows)
    sys.stdout.write(f"\nprocessor {ours['processor_seconds']:.0f} s, at most {ours['peak_mebibytes']:.0f} MiB\n")
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
