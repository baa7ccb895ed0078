"""The cache of inputs gives what was fetched, once, sound, and keeps to its bound."""

import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from ingest.cache import InputCache, Origin
from ingest.errors import Broken, Busy, Denied
from ingest.feed import Item
from ingest.patience import Deadline
from tests.ingest.feeds.clock import WaitingClock

CYCLE = datetime(2026, 7, 1, 6, tzinfo=UTC)
ITEMS = [Item("air_temperature", 500), Item("surface_temperature")]


class Fill:
    """Writes some bytes and counts how often."""

    def __init__(self, content=b"x" * 1000, uri="https://host/a.grib2", **details):
        self.content, self.uri, self.details, self.calls = content, uri, details, 0

    def __call__(self, path):
        self.calls += 1
        path.write_bytes(self.content)
        return Origin(self.uri, self.details)


def get(cache, fill, items=ITEMS, cycle=CYCLE, source="ecmwf", seconds=10.0, **options):
    return cache.get(source, cycle, items, fill, Deadline.after(seconds), **options)


def test_what_is_here_is_not_fetched_again(tmp_path):
    fill = Fill(stream="oper", numbers=(1, 2))
    with InputCache(tmp_path, 10**6) as cache:
        first, second = get(cache, fill), get(cache, fill, list(reversed(ITEMS)))
    with InputCache(tmp_path, 10**6) as cache:
        third = get(cache, fill)
    assert fill.calls == 1 and first == second == third
    assert (first.items, first.source, first.bytes) == (frozenset(ITEMS), "ecmwf", 1000)
    assert first.details == {"stream": "oper", "numbers": [1, 2]}
    assert first.path.read_bytes() == fill.content
    assert datetime.now(UTC) - first.retrieved_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    "change",
    [
        {"items": ITEMS[:1]},
        {"items": [Item("air_temperature", 400), ITEMS[1]]},
        {"cycle": CYCLE + timedelta(hours=6)},
        {"source": "gfs"},
        {"variant": "member 7"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_differs_is_another_file(tmp_path, change):
    with InputCache(tmp_path, 10**6) as cache:
        one, other = get(cache, Fill(b"one")), get(cache, Fill(b"other"), **change)
        assert (one.path.read_bytes(), other.path.read_bytes()) == (b"one", b"other")


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "manifest", "no manifest", "other manifest"])
def test_what_is_damaged_is_fetched_again(tmp_path, damage):
    fill = Fill()
    with InputCache(tmp_path, 10**6) as cache:
        path = get(cache, fill).path
    manifest = path.with_suffix(".json")
    if damage == "flip":
        path.write_bytes(b"y" + fill.content[1:])
    elif damage == "cut":
        path.write_bytes(fill.content[:-1])
    elif damage == "gone":
        path.unlink()
    elif damage == "manifest":
        manifest.write_text(manifest.read_text()[:-30])
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text("[]")
    with InputCache(tmp_path, 10**6) as cache:
        assert get(cache, fill).path.read_bytes() == fill.content
    assert fill.calls == 2


def test_a_fill_that_fails_leaves_nothing_but_what_is_on_its_way(tmp_path):
    def fail(path):
        path.with_name(path.name + ".part").write_bytes(b"half")
        raise Denied("no")

    def resume(path):
        part = path.with_name(path.name + ".part")
        assert part.read_bytes() == b"half"
        part.replace(path)
        return Origin("https://host/a")

    with InputCache(tmp_path, 10**6) as cache:
        with pytest.raises(Denied):
            get(cache, fail)
        assert get(cache, resume).path.read_bytes() == b"half"
        with pytest.raises(Broken, match="nothing was written"):
            get(cache, lambda path: Origin("https://host/b"), source="gfs")


def test_the_least_recently_used_goes_first_and_what_is_in_use_stays(tmp_path):
    clock = WaitingClock()
    cache = InputCache(tmp_path, 45_000, clock)
    fill = Fill(b"x" * 10_000)
    sources = ["a", "b", "c", "d"]
    paths = {}
    for clock.now, source in enumerate(sources):
        paths[source] = get(cache, fill, source=source).path
    cache.release(paths["b"])
    cache.release(paths["c"])
    clock.now = 10
    get(cache, fill, source="b")
    cache.release(paths["b"])
    get(cache, fill, source="e")
    assert [source for source in sources if paths[source].exists()] == ["a", "b", "d"]
    get(cache, fill, source="f")
    assert [source for source in sources if paths[source].exists()] == ["a", "d"]
    cache.close()
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.*") if path.parent.name != "locks") <= 45_000


def test_one_file_beyond_the_bound_serves_and_goes_when_released(tmp_path):
    with InputCache(tmp_path, 100) as cache:
        path = get(cache, Fill()).path
        assert path.exists()
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == []


def test_what_another_process_uses_stays(tmp_path, repository):
    with InputCache(tmp_path, 10**6) as cache:
        path = get(cache, Fill()).path
    user = subprocess.Popen([sys.executable, "-c", _USER, str(tmp_path)], cwd=repository, stdout=subprocess.PIPE)
    try:
        assert user.stdout.readline() == b"in use\n"
        InputCache(tmp_path, 0).evict()
        assert path.exists()
    finally:
        user.kill()
        user.wait()
        user.stdout.close()
    InputCache(tmp_path, 0).evict()
    assert not path.exists()


_USER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from ingest.cache import InputCache
from ingest.feed import Item
from ingest.patience import Deadline
def fill(path):
    raise AssertionError("it is here already")
cache = InputCache(Path(sys.argv[1]), 10**6)
items = [Item("air_temperature", 500), Item("surface_temperature")]
cache.get("ecmwf", datetime(2026, 7, 1, 6, tzinfo=UTC), items, fill, Deadline.after(5))
print("in use", flush=True)
time.sleep(60)
"""

_FILLER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from ingest.cache import InputCache, Origin
from ingest.feed import Item
from ingest.patience import Deadline
def fill(path):
    with open(sys.argv[2], "a") as log:
        log.write("filled\\n")
    print("filling", flush=True)
    time.sleep(float(sys.argv[3]))
    path.write_bytes(b"x" * 1000)
    return Origin("https://host/a")
items = [Item("air_temperature", 500), Item("surface_temperature")]
with InputCache(Path(sys.argv[1]), 10**6) as cache:
    found = cache.get("ecmwf", datetime(2026, 7, 1, 6, tzinfo=UTC), items, fill, Deadline.after(20))
    print(found.bytes, flush=True)
"""


def filler(folder, repository, seconds):
    arguments = [sys.executable, "-c", _FILLER, str(folder / "cache"), str(folder / "log"), str(seconds)]
    return subprocess.Popen(arguments, cwd=repository, stdout=subprocess.PIPE, text=True)


def test_processes_that_want_the_same_fetch_it_once(tmp_path, repository):
    processes = [filler(tmp_path, repository, 0.3) for _ in range(3)]
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [output[-1] for output in outputs] == ["1000"] * 3
    assert (tmp_path / "log").read_text() == "filled\n"


def test_a_killed_process_leaves_no_lock(tmp_path, repository):
    process = filler(tmp_path, repository, 60)
    assert process.stdout.readline() == "filling\n"
    with InputCache(tmp_path / "cache", 10**6) as cache:
        with pytest.raises(Busy, match="another process"):
            get(cache, Fill(), seconds=0.2)
        process.kill()
        process.wait()
        process.stdout.close()
        assert get(cache, Fill(), seconds=0.2).bytes == 1000


def test_nobody_is_evicted_while_he_fetches(tmp_path):
    begun, go = threading.Event(), threading.Event()

    def slow(path):
        path.with_name(path.name + ".part").write_bytes(b"x" * 1000)
        begun.set()
        go.wait(10)
        path.with_name(path.name + ".part").replace(path)
        return Origin("https://host/a")

    found = []
    thread = threading.Thread(target=lambda: found.append(get(InputCache(tmp_path, 10**6), slow)))
    thread.start()
    begun.wait(10)
    InputCache(tmp_path, 0, lambda: time.time() + 1e7).evict()
    go.set()
    thread.join()
    assert found[0].bytes == 1000


def test_what_was_on_its_way_is_kept_for_days_and_then_removed(tmp_path):
    def fail(path):
        path.with_name(path.name + ".part").write_bytes(b"half")
        path.with_name(path.name + ".journal").write_bytes(b"{}")
        raise Denied("no")

    with InputCache(tmp_path, 10**6) as cache, pytest.raises(Denied):
        get(cache, fail)
    InputCache(tmp_path, 10**6, lambda: time.time() + 2 * 86400.0).evict()
    assert len(list(tmp_path.rglob("*.data.*"))) == 2
    InputCache(tmp_path, 10**6, lambda: time.time() + 4 * 86400.0).evict()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_no_secret_is_written(tmp_path):
    with InputCache(tmp_path, 10**6) as cache:
        found = get(cache, Fill(uri="https://user:secret@host/a?token=secret"))
        assert found.uri == "https://host/a"
        for path in tmp_path.rglob("*.json"):
            assert "secret" not in path.read_text()
            assert json.loads(path.read_text())["uri"] == "https://host/a"


@pytest.mark.parametrize("source", ["", "../up", "A", "a/b", "a b"])
def test_a_source_is_a_plain_name(tmp_path, source):
    with InputCache(tmp_path, 10**6) as cache, pytest.raises(ValueError, match="source's name"):
        get(cache, Fill(), source=source)
