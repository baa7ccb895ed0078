"""`sigmacast alerts`: what is wrong, whether people can be told, and the end of an alert by hand."""

import json

import pytest

from ops import alerts, cli
from ops.errors import ExitCode
from tests.ops.histories_of_alerts import CYCLE, Watched
from tests.publish.receiver import Receiver


@pytest.fixture
def watched(tmp_path, monkeypatch) -> Watched:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGMACAST_DATABASE__URL", f"sqlite:///{tmp_path}/history.db")
    watched = Watched(tmp_path)
    alerts.raise_(watched.engine, "late", "tiny 2026-11-21 06 UTC", "not published", now=CYCLE)
    return watched


@pytest.fixture
def shell(capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return call


@pytest.mark.usefixtures("watched")
def test_open_alerts_are_listed_with_what_to_do(shell):
    code, out, _ = shell("alerts")
    assert code == ExitCode.OK
    assert "tiny 2026-11-21 06 UTC" in out and "What to do: /" in out and "docs/runbook.md#late" in out
    (row,) = json.loads(shell("alerts", "--json")[1])
    assert (row["kind"], row["resolved_at"]) == ("late", None)


@pytest.mark.usefixtures("watched")
def test_an_alert_is_resolved_by_hand_once(shell):
    assert (
        "Alert 1 (late: tiny 2026-11-21 06 UTC) is resolved."
        in shell("alerts", "resolve", "1", "--reason", "mended")[1]
    )
    assert "was resolved already" in shell("alerts", "resolve", "1", "--reason", "again")[1]
    assert "No alert is open." in shell("alerts")[1]
    (row,) = json.loads(shell("alerts", "--all", "--json")[1])
    assert row["resolution"] == "mended"
    assert shell("alerts", "resolve", "9", "--reason", "x")[0] == ExitCode.NOT_FOUND


@pytest.mark.usefixtures("watched")
def test_each_way_of_telling_people_is_tried(shell, monkeypatch):
    assert shell("alerts", "test")[0] == ExitCode.USAGE
    with Receiver() as receiver:
        monkeypatch.setenv("SIGMACAST_ALERTS__WEBHOOK_URL", receiver.url)
        assert json.loads(shell("alerts", "test", "--json")[1]) == [
            {"channel": "webhook", "taken": True, "error": None}
        ]
        assert json.loads(receiver.got[0].body)["Subject"] == "sigmacast test: nothing is wrong"
        monkeypatch.setenv("SIGMACAST_ALERTS__COMMAND", '["false"]')
        code, out, err = shell("alerts", "test")
    assert code == ExitCode.FAILED and "exited with 1" in out and "not every way" in err
