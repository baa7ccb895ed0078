"""Mishaps on the way through a run: no memory, a lost device, a history that is away, time that is up, a full disk."""

import errno
import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

import db
from db import runs, workers
from ops import mishaps, worker
from ops.errors import DeviceLost, OutOfMemory, TimedOut
from ops.failures import explained
from ops.mishaps import Mishap
from ops.progress import LogProgress
from publish.stores import LocalStore
from publish.stores.base import StoreUnavailable
from tests.ops.fakes import FakeForecaster, JaxRuntimeError
from tests.ops.histories import History


@pytest.fixture
def history(tmp_path) -> History:
    return History(tmp_path, worker__pause_seconds=0.01, worker__database_seconds=20.0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    quiet = History(tmp_path_factory.mktemp("undisturbed"))
    quiet.run()
    return quiet.contents()


def told(history: History, kind: str) -> list[str]:
    return [one.message for one in history.told(runs.events, history.rows()[0].id) if one.kind == kind]


def last_worker(history: History):
    return history.told(workers.of_run, history.rows()[0].id)[-1]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), Mishap.MEMORY),
        (JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1024 bytes."), Mishap.MEMORY),
        (JaxRuntimeError("INTERNAL: Failed to allocate: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), Mishap.MEMORY),
        (JaxRuntimeError("INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access"), Mishap.DEVICE),
        (JaxRuntimeError("INTERNAL: CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error"), Mishap.DEVICE),
        (JaxRuntimeError("INVALID_ARGUMENT: shapes do not match"), Mishap.LASTING),
        (RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS in a text of ours"), Mishap.LASTING),
        (StoreUnavailable("503"), Mishap.PASSING),
        (ConnectionResetError(), Mishap.PASSING),
        (OperationalError("SELECT", {}, Exception("no answer")), Mishap.PASSING),
        (OperationalError("SELECT", {}, Exception("no such table: runs")), Mishap.LASTING),
        (ValueError("a mistake"), Mishap.LASTING),
    ],
)
def test_each_error_is_known_for_what_it_is(error, kind):
    assert mishaps.of(error) is kind


def test_an_error_is_known_by_its_cause():
    outer = RuntimeError("the window failed")
    outer.__cause__ = MemoryError()
    assert mishaps.of(outer) is Mishap.MEMORY


def test_out_of_memory_the_batch_is_halved_until_it_fits(history, undisturbed):
    forecaster = FakeForecaster(fits=1)
    history.run(forecaster)
    assert forecaster.batches == [None, 1]
    assert history.contents() == undisturbed
    assert history.attempts(history.rows()[0].id)[1:3] == [("integrate", 1, "failed"), ("integrate", 2, "done")]
    assert "with 1 members at a time" in told(history, "retry")[0]
    assert last_worker(history).batch_size == 1


def test_out_of_memory_with_one_member_the_run_fails_and_says_so(history):
    with pytest.raises(OutOfMemory, match="RESOURCE_EXHAUSTED") as error:
        history.run(FakeForecaster(fits=0))
    assert explained(error.value).exit_code == 8
    row = last_worker(history)
    assert (row.exit_code, row.kind, row.batch_size) == (8, "memory", 1)
    assert history.rows()[0].state == "failed"


def test_after_a_worker_that_died_for_memory_the_next_takes_half(history):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=12))
    run_id = history.rows()[0].id
    with db.writing(history.engine()) as session:
        number = workers.of_run(session, run_id)[-1].id
        workers.note(session, number, kind="memory", batch_size=2)
    forecaster = FakeForecaster()
    history.run(forecaster)
    assert forecaster.batches == [1]


def test_a_lost_device_ends_the_worker_at_once(history):
    lost = JaxRuntimeError("INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered")
    with pytest.raises(DeviceLost, match="CUDA_ERROR_ILLEGAL_ADDRESS") as error:
        history.run(FakeForecaster(fail_at=12, error=lost))
    assert explained(error.value).exit_code == 9
    assert (last_worker(history).kind, len(told(history, "retry"))) == ("device", 0)


def refused(monkeypatch, times: int, error: Exception) -> None:
    """The store refuses the next puts of data."""
    put, left = LocalStore.put, [times]

    def refuse(self, key, content, *args, **options):
        if key.endswith(".nc") and left[0] > 0:
            left[0] -= 1
            raise error
        return put(self, key, content, *args, **options)

    monkeypatch.setattr(LocalStore, "put", refuse)


def test_a_store_that_is_away_for_a_moment_costs_tries_and_not_the_run(history, undisturbed, monkeypatch):
    refused(monkeypatch, 2, StoreUnavailable("503 Slow Down"))
    history.run()
    assert history.contents() == undisturbed
    assert [state for stage, _, state in history.attempts(history.rows()[0].id) if stage == "integrate"] == [
        "failed",
        "failed",
        "done",
    ]


def test_a_stage_is_not_tried_for_ever(history, monkeypatch):
    refused(monkeypatch, 1000, StoreUnavailable("503 Slow Down"))
    with pytest.raises(StoreUnavailable):
        history.run()
    assert history.attempts(history.rows()[0].id)[-1] == ("integrate", 3, "failed")


def test_a_mistake_is_not_tried_again(history):
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=12))
    assert told(history, "retry") == []


def test_a_stage_that_takes_too_long_is_broken_off(tmp_path):
    history = History(tmp_path, worker__integrate_seconds=0.5)
    with pytest.raises(TimedOut, match=r"integrate took longer than it may: 0.5 s \(worker.integrate_seconds\)"):
        history.run(FakeForecaster(hang_at=12))
    assert history.attempts(history.rows()[0].id)[-1] == ("integrate", 1, "failed")
    assert last_worker(history).kind == "timeout"
    history.settings = history.settings.model_copy(update={"worker": type(history.settings.worker)()})
    again = FakeForecaster()
    history.run(again)
    assert again.started_from == [12]


class Outage:
    """A history that answers nobody between two lead times."""

    def __init__(self, monkeypatch, seconds: float) -> None:
        self.until = 0.0
        self.refused = 0
        self.seconds = seconds
        writing, reading = db.writing, db.reading
        monkeypatch.setattr(db, "writing", lambda engine: (self.ask(), writing(engine))[1])
        monkeypatch.setattr(db, "reading", lambda engine: (self.ask(), reading(engine))[1])

    def begin(self) -> None:
        self.until = time.monotonic() + self.seconds

    def ask(self) -> None:
        if time.monotonic() < self.until:
            self.refused += 1
            raise OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))


class Interrupted(FakeForecaster):
    """Calls something when it reaches a lead time."""

    def __init__(self, at: int, action) -> None:
        super().__init__()
        self.at, self.action = at, action

    def start(self, *arguments):
        forecast = super().start(*arguments)
        mishap = forecast._mishap

        def also(hours: int) -> None:
            if hours == self.at:
                self.action()
            mishap(hours)

        forecast._mishap = also
        return forecast


def test_a_history_that_is_away_holds_up_no_forecast_and_learns_all_of_it_later(history, undisturbed, monkeypatch):
    outage = Outage(monkeypatch, 2.0)
    forecaster = Interrupted(12, outage.begin)
    ended = history.run(forecaster)
    assert outage.refused > 0
    assert forecaster.started_from == [0]
    assert history.contents() == undisturbed
    keys = {row.key for row in history.told(db.products.of_run, ended.run_id)}
    assert keys == set(undisturbed) | {ended.manifest_key}
    assert history.rows()[0].state == "published"


def test_nothing_is_declared_while_the_history_is_away(history, monkeypatch):
    monkeypatch.setattr("ops.recorder.LONGEST_PAUSE", 0.1)
    outage = Outage(monkeypatch, 3.0)
    seen: list[bool] = []

    def watch() -> None:
        outage.begin()
        end = outage.until

        def look() -> None:
            while time.monotonic() < end - 0.1:
                seen.append(any(key.key.endswith("manifest.json") for key in history.store.list()))
                time.sleep(0.05)

        threading.Thread(target=look).start()

    history.run(Interrupted(24, watch))
    assert len(seen) > 10 and not any(seen)


def test_a_history_that_stays_away_ends_the_worker_and_the_next_goes_on(history, undisturbed, monkeypatch):
    history.settings = history.settings.model_copy(
        update={"worker": history.settings.worker.model_copy(update={"database_seconds": 0.3})}
    )
    monkeypatch.setattr("ops.recorder.HASTE_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        outage = Outage(patch, 600.0)
        with pytest.raises(OperationalError) as error:
            history.run(Interrupted(24, outage.begin))
    assert explained(error.value).exit_code == 7
    assert history.rows()[0].state == "running"
    monkeypatch.setattr("ops.process.is_dead", lambda _owner: True)
    again = FakeForecaster()
    history.run(again)
    assert again.started_from == []
    assert history.contents() == undisturbed


def test_an_answer_that_got_lost_does_no_harm(history, undisturbed, monkeypatch):
    """The commit is done, and the connection breaks before the client hears of it; every third time."""
    from contextlib import contextmanager

    writing, count = db.writing, [0]

    @contextmanager
    def unheard(engine):
        with writing(engine) as session:
            yield session
        count[0] += 1
        if count[0] % 3 == 0:
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr("ops.recorder.db.writing", unheard)
    monkeypatch.setattr("ops.claim.db.writing", writing)
    ended = history.run()
    assert history.contents() == undisturbed
    assert history.rows()[0].state == "published"
    assert {state for _, _, state in history.attempts(ended.run_id)} <= {"done", "interrupted"}


def test_a_full_disk_fails_the_run_clearly_and_the_next_goes_on(history, undisturbed, monkeypatch):
    with monkeypatch.context() as patch:
        refused(patch, 1000, OSError(errno.ENOSPC, "No space left on device", "/var/products/x.nc"))
        with pytest.raises(OSError, match="No space left") as error:
            history.run()
    assert "the disk is full" in str(explained(error.value))
    assert history.rows()[0].state == "failed"
    assert not [one for one in history.store.list() if one.key.endswith("manifest.json")]
    history.run()
    assert history.contents() == undisturbed


def test_how_far_a_run_is_stands_in_the_history(history):
    seen: list[dict] = []
    history.run(Interrupted(36, lambda: seen.append(history.rows()[0].progress)))
    assert seen[0]["stage"] == "integrate"
    assert seen[0]["members"] == 3 and seen[0]["of_lead_hours"] == 48
    last = history.rows()[0].progress
    assert last["stage"] == "finish" and last["lead_hours"] <= 48 and last["at"]


def test_once_its_products_are_complete_a_run_cannot_be_cancelled_any_more(history, monkeypatch):
    from db import leases
    from ops.recorder import Recorder

    seal, told_off = Recorder.seal, []

    def then_cancelled(self):
        seal(self)
        complete = pytest.raises(db.IllegalTransition, match="products are complete and being published")
        with complete as refusal, db.writing(self.engine) as session:
            leases.revoke(session, self.run_id, self.clock())
        told_off.append(refusal)

    monkeypatch.setattr(Recorder, "seal", then_cancelled)
    history.run()
    assert told_off and history.rows()[0].state == "published"


def test_cancelled_at_the_last_moment_before_that_nothing_is_published(history, monkeypatch):
    from db import leases
    from ops.recorder import Recorder

    seal = Recorder.seal

    def cancelled_first(self):
        with db.writing(self.engine) as session:
            leases.revoke(session, self.run_id, self.clock())
        seal(self)

    monkeypatch.setattr(Recorder, "seal", cancelled_first)
    with pytest.raises(db.LeaseLost):
        worker.run(history.settings, FakeForecaster(), LogProgress())
    assert history.rows()[0].state == "cancelled"
    assert not [one for one in history.store.list() if one.key.endswith(("manifest.json", "latest.json"))]
