"""What outlives a process that asks for ERA5, and what must not: its requests, and the key."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback

import pytest

from ingest.errors import Busy, Denied, SourceError
from tests.ingest.examples import CYCLE
from tests.ingest.feeds.cds_server import KEY, LICENCE, Says
from tests.ingest.feeds.era5_files import FEW, ONE, era5_feed, journal
from tests.ingest.feeds.server import Refuse, Slow, Status

KILLED = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from ingest.cache import InputCache
from ingest.download import Transfer
from ingest.feed import Item
from ingest.sources.cds import Cds

with InputCache(Path(sys.argv[1]), 1 << 30) as inputs:
    items = [Item(*item) for item in json.loads(sys.argv[3])]
    Cds(inputs, transfer=Transfer(1)).fetch(datetime.fromisoformat(sys.argv[2]), items)
"""


def killed_once(cds_server, repository, folder, when):
    """Run a fetch in a process of its own, and kill it when the cds_server has seen something."""
    environment = os.environ | {"PYTHONPATH": str(repository)}
    arguments = [str(folder), CYCLE.isoformat(), json.dumps(sorted(FEW, key=str))]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], cwd=repository, env=environment)
    deadline = time.monotonic() + 120
    while not when():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_in_the_queue_it_finds_its_requests_again(cds_server, inputs, clock, repository):
    cds_server.statuses = ["accepted"]

    def asked():
        return cds_server.count("execution") == 2 and cds_server.count("job") > 4

    killed_once(cds_server, repository, inputs.directory, asked)
    assert len(journal(inputs)) == 2
    for job in cds_server.jobs.values():
        job.to_come = ["running", "successful"]
    files = era5_feed(inputs, clock).fetch(CYCLE, FEW)
    assert sorted(file.details["request_id"] for file in files) == ["job-0001", "job-0002"]
    assert cds_server.count("execution") == 2


def test_killed_while_it_downloads_it_goes_on_with_the_same_file(cds_server, inputs, clock, repository):
    cds_server.inject(Slow(0.5, every=500), method="GET", path="/files/", times=99)
    killed_once(cds_server, repository, inputs.directory, lambda: cds_server.count("file") > 0)
    cds_server.forget()
    files = era5_feed(inputs, clock).fetch(CYCLE, FEW)
    assert {item for file in files for item in file.items} == FEW
    assert len(cds_server.jobs) == 2


@pytest.mark.parametrize("key", [None, "1234:5ec7e7c0-de00-4dea-9a55-0123456789ab"], ids=["none", "old"])
def test_without_a_key_that_can_be_used_it_is_denied(cds_server, era5, monkeypatch, key):
    if key is None:
        monkeypatch.delenv("CDSAPI_KEY")
    else:
        monkeypatch.setenv("CDSAPI_KEY", key)
    with pytest.raises(Denied, match="key") as caught:
        era5.fetch(CYCLE, ONE)
    assert KEY not in str(caught.value)
    assert cds_server.requests == []


def test_the_configuration_may_be_a_file(cds_server, era5, monkeypatch, tmp_path):
    monkeypatch.delenv("CDSAPI_URL")
    monkeypatch.delenv("CDSAPI_KEY")
    (tmp_path / "rc").write_text(f"url: {cds_server.address}\nkey: {cds_server.key}\n")
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "rc"))
    assert era5.fetch(CYCLE, ONE)


def test_the_key_is_in_no_file_no_log_and_no_message(cds_server, inputs, clock, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    told = []
    spoilers = [
        lambda: None,
        lambda: cds_server.inject(Says(403, LICENCE | {"detail": f"the key {KEY} may not"}), path="execution", times=9),
        lambda: cds_server.inject(Says(500, {"title": f"token {KEY} caused this"}), path="jobs", times=99),
        lambda: cds_server.inject(Refuse(), path="jobs", times=99),
        lambda: cds_server.inject(Status(403), path="/files/", times=99),
        lambda: setattr(cds_server, "key", "another"),
    ]
    for day, spoil in enumerate(spoilers, start=2):
        cds_server.forget()
        spoil()
        try:
            era5_feed(inputs, clock).fetch(CYCLE.replace(day=day), ONE)
        except SourceError as error:
            told.append("".join(traceback.format_exception(error)) + repr(error) + str(error.__dict__))
    assert len(told) == 5
    texts = [caplog.text, *capfd.readouterr(), *told]
    texts += [path.read_bytes().decode("latin-1") for path in inputs.directory.rglob("*") if path.is_file()]
    assert not [text for text in texts if KEY in text]


def test_the_journal_says_what_was_asked_for(cds_server, inputs, clock):
    cds_server.statuses = ["accepted"]
    with pytest.raises(Busy):
        era5_feed(inputs, clock, fetch_seconds=0.5).fetch(CYCLE, ONE)
    (path,) = journal(inputs)
    written = json.loads(path.read_text())
    assert written["request_id"] == "job-0001"
    assert written["inputs"] == cds_server.jobs["job-0001"].request
