"""A crash campaign: kills at random moments, and what must hold after each of them and at the end.

Nothing is lost: all that was ordered is published. Nothing is doubled: each order has one run, and each run one
manifest. Nothing is published by half: at every moment, whatever a reader can find by a manifest or by `latest.json` is
there, whole and with the hashes on record.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import db
from db import products
from db.schema import Run
from publish.layout import LATEST
from publish.manifest import Manifest, parse
from publish.stores import ObjectNotFound, Store
from publish.verify import check
from tests.failure.grounds import RESULT, Grounds, named, until
from tests.ops.histories import History

NOT_COMPLETE_YET = "the run is not complete yet"
"""Said between the manifest and the last flip, and right then: the pointer does not lead to the run yet."""
BACKLOG = 2
LONGEST_PAUSE = 5.0
LONGEST_START = 60.0
"""A busy machine takes long to start a daemon and its worker; until then there is nothing new to kill."""
LINES = 16
"""About so many lines a worker writes into its log from its first to its last step."""
PATIENCE = 600.0


@dataclass
class Campaign:
    """So many kills, of victims and at moments that the seed decides."""

    grounds: Grounds
    seed: int
    points: int
    kills: Counter[str] = field(default_factory=Counter)
    ordered: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def carry_out(self) -> str:
        """All of it; what was counted, in a sentence. Raises AssertionError for whatever must not be."""
        self.grounds.start()
        for point in range(1, self.points + 1):
            self._keep_busy()
            self._wait()
            self._kill()
            assert_nothing_is_published_by_half(self.grounds.settings.store.open())
            self._tell(point)
        self._finish()
        runs = assert_all_is_published_once(self.grounds, self.ordered)
        return f"{self._killed()} over {runs} runs: {runs} published, 0 lost, 0 doubled, 0 published by half"

    def _killed(self) -> str:
        kills = ", ".join(f"{count} of {victim}" for victim, count in sorted(self.kills.items()))
        return f"seed {self.seed}: {sum(self.kills.values())} kills ({kills})"

    def _tell(self, point: int) -> None:
        """How far it has come, for whoever waits or cuts it off."""
        ended = sum(one.ended_at is not None for one in self.grounds.orders())
        sys.stdout.write(f"{point} of {self.points}: {self._killed()}, {ended} of {self.ordered} orders done\n")

    def _keep_busy(self) -> None:
        open_orders = sum(one.ended_at is None for one in self.grounds.orders())
        for _ in range(BACKLOG - open_orders):
            self.ordered += 1
            self.grounds.order(self.ordered)

    def _wait(self) -> None:
        """Until a moment by the clock, or until a worker has come so far."""
        if self._chance.random() < 0.3:
            time.sleep(self._chance.uniform(0.0, LONGEST_PAUSE))
            return
        seen, more = self.grounds.log_lines(), self._chance.randint(1, LINES)
        until(lambda: self.grounds.log_lines() >= seen + more, LONGEST_START)
        time.sleep(self._chance.uniform(0.0, 0.3))

    def _kill(self) -> None:
        """Kill one victim, or everything at once, and start again what does not start by itself."""
        victims = {"the worker": 8, "the daemon": 4, **dict.fromkeys(self.grounds.servers.there, 2), "everything": 2}
        victim = self._chance.choices(list(victims), weights=list(victims.values()))[0]
        pause = self._chance.uniform(0.0, 1.0)
        if victim == "the worker" and not until(lambda: bool(self.grounds.workers()), LONGEST_START):
            victim = "the daemon"
        if _KILLS.get(victim, _kill_server(victim))(self.grounds, pause) != 0:
            self.kills[victim] += 1

    def _finish(self) -> None:
        """Leave the daemon alone until it has done all that was ordered."""
        done = until(lambda: all(one.ended_at for one in self.grounds.orders()), PATIENCE)
        still = [(one.id, one.run_id) for one in self.grounds.orders() if one.ended_at is None]
        log = (self.grounds.directory / "daemon.log").read_text(errors="replace")[-3000:]
        assert done, f"seed {self.seed}: after {PATIENCE} s these orders are open: {still}\n{log}"


def _kill_worker(grounds: Grounds, _pause: float) -> int:
    """How many were there to be killed."""
    return grounds.kill_workers()


def _kill_daemon(grounds: Grounds, pause: float) -> None:
    grounds.kill_daemon()
    time.sleep(pause)
    grounds.start()


def _kill_server(name: str) -> Callable[[Grounds, float], None]:
    def kill(grounds: Grounds, pause: float) -> None:
        server = grounds.servers.there[name]
        server.kill()
        time.sleep(pause)
        server.start()

    return kill


def _kill_everything(grounds: Grounds, pause: float) -> None:
    """As a power cut does."""
    grounds.kill_daemon()
    grounds.kill_workers()
    for server in grounds.servers.there.values():
        server.kill()
    time.sleep(pause)
    for server in grounds.servers.there.values():
        server.start()
    grounds.start()


_KILLS = {"the worker": _kill_worker, "the daemon": _kill_daemon, "everything": _kill_everything}


def assert_nothing_is_published_by_half(store: Store) -> None:
    """What a reader can find now is whole."""
    for key in _manifests(store):
        problems = [one for one in check(store, key).problems if not one.endswith(NOT_COMPLETE_YET)]
        assert not problems, f"{key} is published by half: {problems}"
    try:
        pointer = parse(store.get(LATEST))
    except ObjectNotFound:
        return
    assert check(store, pointer["manifest"], pointer["manifest_sha256"]).problems == ()


def assert_all_is_published_once(grounds: Grounds, ordered: int) -> int:
    """Every order has its run, published whole, once; returns how many there are."""
    store = grounds.settings.store.open()
    with grounds.engine() as engine, db.reading(engine) as session:
        runs = session.query(Run).all()
        orders = grounds.orders()
        assert len(orders) == ordered
        lost = [(one.id, one.outcome) for one in orders if one.outcome != "published" or one.run_id is None]
        assert not lost, f"lost: {lost}"
        assert len({one.run_id for one in orders}) == len(runs) == ordered, "a run is doubled, or there is one too many"
        assert {run.state for run in runs} == {"published"}
        listed = {run.id: {one.key: one.sha256 for one in products.of_run(session, run.id)} for run in runs}
    manifests = {key: Manifest.from_json(store.get(key)) for key in _manifests(store)}
    assert sorted(one.run_id for one in manifests.values()) == sorted(listed), "manifests and runs are not the same"
    for key, manifest in manifests.items():
        assert check(store, key).problems == ()
        there = listed[manifest.run_id]
        assert {one.key: one.sha256 for one in manifest.objects} == {k: v for k, v in there.items() if k != key}
        stray = _data(store, key) - there.keys()
        assert not stray, f"objects that no run names: {stray}"
    _assert_first_is_as_if_nothing_had_happened(grounds, store)
    return ordered


def _assert_first_is_as_if_nothing_had_happened(grounds: Grounds, store: Store) -> None:
    """The first run has the products that it has when nobody kills anything."""
    undisturbed = History(grounds.directory / "undisturbed", **(RESULT | named(1)))
    ended = undisturbed.run()
    expected = Manifest.from_json(undisturbed.store.get(ended.manifest_key))
    found = Manifest.from_json(store.get(ended.manifest_key))
    assert {one.key: one.sha256 for one in found.objects} == {one.key: one.sha256 for one in expected.objects}


def _manifests(store: Store) -> list[str]:
    return sorted(info.key for info in store.list() if info.key.endswith("/manifest.json"))


def _data(store: Store, manifest_key: str) -> set[str]:
    """The files of fields beside a manifest."""
    prefix = manifest_key.rpartition("/")[0] + "/"
    return {info.key for info in store.list(prefix) if info.key.endswith((".nc", ".grib2", ".index"))}
