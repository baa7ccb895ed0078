"""Publishes run after run into a store, and kills the process that does it at random moments, again and again.

`python -m tests.publish.killing STORE ENDPOINT KILLS SEED ACKNOWLEDGED`. The publishers are forks of one process that
has everything loaded, so that a kill falls into the publication itself. A run's key is written to the file
ACKNOWLEDGED, one line each, when its publisher has returned.
"""

import os
import random
import signal
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from publish.layout import Layout
from publish.publisher import Publisher
from publish.stores import S3Options, open_store
from tests.publish.frames import INIT_TIME, make_frame, make_run
from tests.publish.test_publisher import SMALL

LEAD_HOURS = (0, 6)
SETTINGS = replace(SMALL, fields=("geopotential",))


def cycle(number: int) -> datetime:
    """The cycle of the n-th run."""
    return INIT_TIME + timedelta(hours=6 * number)


def layout(number: int) -> Layout:
    """Where the n-th run is."""
    return Layout(SETTINGS.product, cycle(number), 5.0)


def publish(url: str, endpoint: str | None, number: int) -> None:
    """Publish the n-th run, or what is missing of it."""
    store = open_store(url, endpoint, S3Options(deadline_seconds=120, timeout_seconds=5))
    run = make_run(lead_hours=LEAD_HOURS, run_id=f"run-{number}", init_time=cycle(number))
    each = Publisher(store, run, SETTINGS)
    for hours in each.missing_lead_hours:
        each.publish(replace(make_frame(hours), init_time=cycle(number)))
    each.close()


def _begin(url: str, endpoint: str | None, number: int, acknowledged: Path) -> int:
    """A process that publishes the n-th run and acknowledges it; its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        publish(url, endpoint, number)
        descriptor = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{layout(number).manifest}\n".encode())
        os.fsync(descriptor)
        status = 0
    except BaseException as error:
        sys.stderr.write(f"run {number}: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
    finally:
        os._exit(status)


def _ended(child: int, seconds: float) -> int | None:
    """How the process ended within so many seconds, None when it goes on."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def main(url: str, endpoint: str, kills: int, seed: int, acknowledged: Path) -> None:
    """Kill so often, and let every run be published in the end."""
    dice = random.Random(seed)
    with TemporaryDirectory() as directory:
        begun = time.monotonic()
        publish(directory, None, 0)
        publish(directory, None, 1)
        usual = (time.monotonic() - begun) / 2
    killed = number = 0
    while killed < kills:
        code = None
        while code != 0:
            child = _begin(url, endpoint or None, number, acknowledged)
            begun = time.monotonic()
            code = _ended(child, dice.uniform(0, usual) if killed < kills else 600)
            if code is None:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                killed += 1
            elif code == 0:
                usual = 0.8 * usual + 0.2 * (time.monotonic() - begun)
            else:
                sys.exit(f"the publisher of run {number} ended with {code}")
        number += 1
    sys.stdout.write(f"{killed} kills, {number} runs\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
