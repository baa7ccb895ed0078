"""Log lines: bound to what they are about whichever thread writes them, in a documented form, without a secret."""

import json
import logging
import threading
from collections.abc import Iterator

import jsonschema
import pytest
from pydantic import SecretStr

from ops import log
from ops.config import LogSettings, load
from tests.ops.fakes import FakeForecaster
from tests.ops.histories import History

AS_JSON = LogSettings(level="debug", format="json")


@pytest.fixture(autouse=True)
def unbound() -> Iterator[None]:
    """What a test binds is bound to its own lines."""
    before = dict(log._bound)
    log.unbind(*before)
    yield
    log.unbind(*list(log._bound))
    log.bind(**before)


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


@pytest.fixture
def schema(repository) -> dict:
    return json.loads((repository / "docs" / "logs.schema.json").read_text())


def test_the_lines_of_a_run_say_which_run_cycle_stage_worker_and_member_they_are_about(tmp_path, capsys, schema):
    history = History(tmp_path, forecast__quorum=0.5, forecast__days=1.0)
    log.configure(AS_JSON)
    ended = history.run(FakeForecaster(lose_at=12))
    found = lines(capsys)
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for line in found for error in validator.iter_errors(line)] == []
    about = [line for line in found if line["event"] == "published"]
    assert about and {(line["run"], line["cycle"], line["stage"]) for line in about} == {
        (ended.run_id, "19590102T00", "integrate")
    }
    assert all(":" in line["worker"] for line in about)
    (lost,) = [line for line in found if line["event"] == "member lost"]
    assert (lost["member"], lost["lead_time_hours"], lost["stage"]) == (2, 12, "integrate")


def test_every_field_that_a_line_is_bound_to_is_in_the_schema(schema):
    assert {"run", "cycle", "stage", "member", "worker", "daemon"} <= set(schema["properties"])


def test_lines_of_other_threads_and_of_libraries_are_bound_too(capsys):
    log.configure(AS_JSON)
    log.bind(run="run-1")
    thread = threading.Thread(target=lambda: log.get().info("from a thread"))
    thread.start()
    thread.join()
    logging.getLogger("forecast.ensemble").warning("from a library")
    assert [(line["run"], line["event"], line.get("logger")) for line in lines(capsys)] == [
        ("run-1", "from a thread", None),
        ("run-1", "from a library", "forecast.ensemble"),
    ]


def test_a_stage_is_bound_for_as_long_as_it_lasts(capsys):
    log.configure(AS_JSON)
    with log.bound(stage="fetch"):
        with log.bound(stage="download"):
            log.get().info("inner")
        log.get().info("outer")
    log.get().info("after")
    assert [line.get("stage") for line in lines(capsys)] == ["download", "fetch", None]


@pytest.mark.parametrize(
    "values",
    [
        {"url": "postgresql://app:s3cret@host/db"},
        {"password": "s3cret"},
        {"webhook_token": "s3cret"},
        {"settings": {"inner": [{"api_key": "s3cret"}]}},
        {"value": SecretStr("s3cret")},
        {"header": "Authorization: Bearer s3cret"},
        {"link": "https://host/x?X-Amz-Signature=s3cret&X-Amz-Expires=9"},
        {"reason": "login failed, password=s3cret, user=app"},
        {"error": ValueError("postgresql://app:s3cret@host/db")},
        {"deep": ("a", ["postgresql://app:s3cret@host/db"])},
    ],
)
def test_no_secret_is_in_a_line(values, capsys):
    for kind in ("json", "text"):
        log.configure(LogSettings(format=kind))
        log.get().warning("something", **values)
        told = capsys.readouterr().err
        assert "something" in told and "s3cret" not in told


def test_no_secret_of_the_configuration_is_in_a_line_whatever_its_name(capsys):
    settings = load(
        options={
            "database.url": "postgresql://app:pa55word@host/db",
            "notify.url": "https://h.example.org/t0kenOne",
            "alerts.webhook_secret": "t0kenTwo",
            "alerts.mail_password": "t0kenThree",
            "alerts.ping_url": "https://hc.example.org/t0kenFour",
        }
    )
    log.configure(AS_JSON, log.secrets_of(settings))
    try:
        log.get().warning("POST https://h.example.org/t0kenOne", a="t0kenTwo", b=["x t0kenThree"], c="is pa55word")
        raise RuntimeError("https://hc.example.org/t0kenFour")
    except RuntimeError:
        log.get().exception("failed")
    told = capsys.readouterr().err
    assert "RuntimeError" in told and "t0ken" not in told and "pa55word" not in told


def test_what_is_no_secret_is_told(capsys):
    log.configure(AS_JSON)
    log.get().info("published", objects=12, keys=["a/b.grib2"], lead_time_hours=6, url="s3://bucket/prefix")
    (line,) = lines(capsys)
    assert (line["objects"], line["keys"], line["url"]) == (12, ["a/b.grib2"], "s3://bucket/prefix")
