"""Power cuts, failing or full disks, clocks that jump: what has a name is on the disk, and the next start mends all."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops import worker
from ops.progress import LogProgress
from publish.stores import LocalStore
from publish.verify import check
from tests.failure.campaign import assert_nothing_is_published_by_half
from tests.ops.fakes import FakeForecaster
from tests.ops.histories import History
from tests.servers import require_server

SMALL = {"forecast__members": 2, "forecast__days": 0.5, "worker__pause_seconds": 0.1}
PROGRAM = (
    "import sys; from pathlib import Path; from ops import worker; from ops.progress import LogProgress; "
    "from tests.ops.fakes import FakeForecaster, settings; "
    f"worker.run(settings(Path(sys.argv[1]), **{SMALL}), FakeForecaster(), LogProgress())"
)
NAMING = re.compile(
    r'^\d+ +(?P<call>rename|link)\w*\((?:AT_FDCWD\S*, )?"(?P<source>[^"]+)", (?:AT_FDCWD\S*, )?"(?P<name>[^"]+)"'
)
SYNCHRONISING = re.compile(r"^\d+ +f(?:data)?sync\(\d+<(?P<path>[^>]+)>(?!\) += -1)")


@pytest.fixture
def history(tmp_path) -> History:
    return History(tmp_path, **SMALL)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    history = History(tmp_path_factory.mktemp("undisturbed"), **SMALL)
    history.run()
    return history.contents()


def traced(history: History, *options: str) -> tuple[int, list[str]]:
    """A worker under strace: its exit code, and the calls that were traced."""
    require_server(shutil.which("strace"), "strace is not installed (Debian: apt-get install strace)")
    calls = history.directory / "calls"
    strace = ["strace", "-f", "-y", "-qq", "-e", "signal=none", "-o", str(calls), *options]
    command = [*strace, sys.executable, "-c", PROGRAM, str(history.directory)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    require_server("ptrace" not in ended.stderr.lower(), "strace may not trace here")
    return ended.returncode, calls.read_text().splitlines()


def test_everything_is_on_the_disk_before_it_gets_its_name_and_the_name_after_it(history):
    code, calls = traced(history, "--seccomp-bpf", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat")
    assert code == 0
    kept = (str(history.directory / "products"), str(history.directory / "work/1959"))
    seen, synchronised = 0, set[str]()
    named: list[tuple[str, str]] = []
    for call in calls:
        if found := SYNCHRONISING.match(call):
            synchronised.add(found["path"])
            named = [one for one in named if one[1] != found["path"]]
        elif (found := NAMING.match(call)) and found["name"].startswith(kept):
            assert found["source"] in synchronised, f"{found['name']} got its name before it was on the disk"
            synchronised.discard(found["source"])
            named.append((found["name"], str(Path(found["name"]).parent)))
            seen += 1
    assert seen > len(history.contents()) >= 4
    unsafe = [name for name, directory in named if directory.startswith(kept[0])]
    assert unsafe == [], "these names may be gone after a power cut"


@pytest.mark.slow
def test_a_disk_that_fails_publishes_nothing_by_half_and_the_next_run_ends_the_same(history, undisturbed):
    code, _ = traced(history, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=12+")
    assert code != 0
    assert_nothing_is_visible(history.store)
    history.run()
    assert history.contents() == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("number", [3, 17, 30])
def test_a_power_cut_at_a_synchronisation_leaves_what_the_next_run_ends_the_same(history, undisturbed, number):
    code, _ = traced(history, "-e", "trace=fsync", "-e", f"inject=fsync:signal=KILL:when={number}")
    assert code != 0
    assert_nothing_is_published_by_half(history.store)
    history.run()
    assert history.contents() == undisturbed


def assert_nothing_is_visible(store: LocalStore) -> None:
    """Readers find no run."""
    assert not [info.key for info in store.list() if info.key.endswith(("manifest.json", "latest.json"))]


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of four megabytes; only root can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_fails_the_run_with_its_reason_and_room_lets_it_go_on(tmp_path, small_disk, undisturbed):
    history = History(tmp_path, **SMALL, store__url=str(small_disk / "products"))
    with (small_disk / "ballast").open("wb") as file:
        file.write(bytes(4000 * 1024))
    with pytest.raises(Exception, match="No space left|full"):
        history.run()
    row = history.rows()[0]
    assert row.state == "failed" and re.search("No space left|full", row.error)
    assert_nothing_is_visible(history.store)
    (small_disk / "ballast").unlink()
    history.run()
    assert history.contents() == undisturbed
    assert check(history.store, _manifest(history)).problems == ()


def _manifest(history: History) -> str:
    return next(info.key for info in history.store.list() if info.key.endswith("manifest.json"))


@pytest.mark.parametrize("step", [timedelta(days=2), timedelta(days=-2)])
def test_a_clock_that_jumps_while_a_run_goes_on_changes_no_product(history, undisturbed, step):
    jumped = [timedelta(0)]

    class Jumping(FakeForecaster):
        def start(self, *arguments, **options):
            jumped[0] = step
            return super().start(*arguments, **options)

    ended = worker.run(history.settings, Jumping(), LogProgress(), clock=lambda: datetime.now(UTC) + jumped[0])
    assert not ended.already
    assert history.contents() == undisturbed
    assert [row.state for row in history.rows()] == ["published"]
    assert history.run().already
    assert [one.name for one in (history.settings.paths.work / ended.run_id).iterdir()] == ["analysis.nc"]
