"""Notices of runs: every lead time and the run at least once, whatever happens, and never in the run's way."""

import json
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from db import notices, products
from ops import log
from ops.clock import utc_now
from ops.config import LogSettings, load
from ops.courier import Courier
from ops.errors import ConfigurationError
from tests.ops.fakes import FakeForecaster
from tests.ops.histories import History
from tests.publish.receiver import Receiver


def told(receiver: Receiver) -> list[dict]:
    return [json.loads(json.loads(got.body)["Message"]) for got in receiver.got]


def ids(receiver: Receiver) -> list[str]:
    return [json.loads(got.body)["MessageId"] for got in receiver.got]


def with_webhook(directory: Path, receiver: Receiver, **options: object) -> History:
    return History(directory, forecast__days=1.0, **({"notify__url": receiver.url, "notify__seconds": 20.0} | options))


def test_every_lead_time_and_the_run_are_told_once(tmp_path):
    with Receiver() as receiver:
        history = with_webhook(tmp_path, receiver, notify__secret="s3cret")
        ended = history.run()
    messages = told(receiver)
    assert [one["event"] for one in messages] == ["lead time"] * 3 + ["run"]
    assert [one.get("lead_hours") for one in messages] == [0, 12, 24, None]
    assert len(set(ids(receiver))) == 4
    rows = {row.key: row.sha256 for row in history.told(products.of_run, ended.run_id)}
    for one in messages[:3]:
        assert one["objects"] and all(rows[each["key"]] == each["sha256"] for each in one["objects"])
    assert messages[3]["manifest"] == ended.manifest_key
    assert all((one["run_id"], one["init_time"]) == (ended.run_id, "1959-01-02T00:00:00Z") for one in messages)


def test_a_receiver_that_is_away_holds_up_nothing_and_gets_all_with_the_next_run(tmp_path):
    with Receiver([503] * 100_000) as receiver:
        history = with_webhook(tmp_path, receiver, notify__seconds=0.3)
        begun = time.monotonic()
        first = history.run()
        assert time.monotonic() - begun < 30
        assert history.rows()[0].state == "published"
        for courier in [thread for thread in threading.enumerate() if thread.name == "courier"]:
            courier.join()
        receiver.faults.clear()
        receiver.got.clear()
        history.settings = load(options=flat(history) | {"forecast.members": 2, "notify.seconds": 20.0})
        second = history.run()
    assert [one["run_id"] for one in told(receiver)] == [first.run_id] * 4 + [second.run_id] * 4
    assert len(set(ids(receiver))) == 8


def flat(history: History) -> dict[str, object]:
    tree = history.settings
    sections = {name: getattr(tree, name) for name in type(tree).model_fields}
    return {f"{name}.{key}": getattr(part, key) for name, part in sections.items() for key in type(part).model_fields}


def test_a_notice_between_delivery_and_its_record_comes_again_with_the_same_id(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("threading.excepthook", lambda *_: None)
    with Receiver() as receiver:
        history = with_webhook(tmp_path, receiver)
        with monkeypatch.context() as patch:
            patch.setattr("ops.courier.notices.told", killed)
            history.run()
        lost = ids(receiver)
        assert len(lost) == 1
        history.settings = load(options=flat(history) | {"forecast.members": 2})
        history.run()
    assert len(receiver.got) == 9 and len(set(ids(receiver))) == 8
    assert ids(receiver)[1] == lost[0]


def test_a_run_that_fails_owes_what_it_published(tmp_path):
    with Receiver() as receiver:
        history = with_webhook(tmp_path, receiver)
        with pytest.raises(RuntimeError):
            history.run(FakeForecaster(fail_at=24))
        history.run()
    assert sorted({one.get("lead_hours") or 99 * (one["event"] == "run") for one in told(receiver)}) == [0, 12, 24, 99]


def test_old_runs_are_no_news(tmp_path):
    history = History(tmp_path, forecast__days=0.5)
    ended = history.run()
    row = history.rows()[0]
    since = row.created_at
    assert [one.name for one in history.told(notices.owed, since)] == ["T+0 h", "T+12 h", "run"]
    assert history.told(notices.owed, since + timedelta(seconds=1)) == []
    assert {one.run_id for one in history.told(notices.owed, since)} == {ended.run_id}


def test_the_secret_is_in_no_log_line_and_no_error(tmp_path, capsys):
    log.configure(LogSettings(level="debug"))
    with Receiver([503] * 100_000) as receiver:
        history = with_webhook(tmp_path, receiver, notify__secret="s3cret", notify__seconds=0.2)
        history.run()
        wanted = history.settings.notify
        assert Courier(history.engine(), wanted, wanted.webhook(), utc_now).deliver() == 0
    told_of = capsys.readouterr()
    assert "notices wait for the next round" in told_of.err
    for hidden in ("s3cret", "/hook"):
        assert hidden not in told_of.out + told_of.err
    settings = load(options={"notify.url": "https://h.example.org/t0ken", "notify.secret": "s3cret"})
    assert "s3cret" not in repr(settings) and "t0ken" not in repr(settings)


def test_a_wrong_address_is_told():
    with pytest.raises(ConfigurationError, match="notify.url: expected the address"):
        load(options={"notify.url": "gopher://x"}).notify.webhook()


def test_the_secret_may_be_in_a_file(tmp_path):
    (tmp_path / "secret").write_text("from a file\n")
    with Receiver() as receiver:
        history = with_webhook(tmp_path, receiver, notify__secret_file=tmp_path / "secret")
        history.run()
    assert all("X-Sigmacast-Signature" in got.headers for got in receiver.got)
