"""Keys: needed for changes, scoped, kept as hashes, ended at once."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import text

import db
from db import api_keys
from ops.cli import main
from tests.ops.web import filled

CANCEL = f"/api/v1/runs/{filled.models.A_RUN}/cancel"


@pytest.fixture(autouse=True)
def _runs(engine, tmp_path):
    filled.fill(engine, tmp_path / "store")


def status(client, headers: dict[str, str]) -> int:
    return client.post(CANCEL, headers=headers).status_code


def test_without_a_good_key_nothing_is_changed(client, engine):
    good = filled.key(engine, "cancel")["Authorization"]
    wrong = [good[:-1] + ("A" if good[-1] != "A" else "B"), "Bearer sc_x", "Bearer ", "Basic abc", "Bearer sc_1_2_3"]
    assert [status(client, {"Authorization": each}) for each in wrong] == [401] * len(wrong)
    assert client.post(CANCEL).headers["www-authenticate"] == "Bearer"
    assert status(client, {"Authorization": good}) == 409


def test_a_key_allows_what_its_scopes_name_and_nothing_else(client, engine):
    assert status(client, filled.key(engine, "retry")) == 403
    assert status(client, filled.key(engine, "retry", "cancel")) == 409


def test_a_key_is_good_until_it_expires_or_is_revoked(client, engine, clock):
    with db.writing(engine) as session:
        _, timed = api_keys.create(session, "timed", ["cancel"], clock(), clock() + timedelta(hours=1))
        _, ended = api_keys.create(session, "ended", ["cancel"], clock())
    assert status(client, {"Authorization": f"Bearer {timed}"}) == 409
    clock.now += timedelta(hours=1)
    assert status(client, {"Authorization": f"Bearer {timed}"}) == 401
    with db.writing(engine) as session:
        api_keys.revoke(session, "ended", clock())
    assert status(client, {"Authorization": f"Bearer {ended}"}) == 401


def test_the_database_holds_no_secret(engine):
    secret = filled.key(engine, "cancel")["Authorization"].split("_", 2)[2]
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM api_keys")).all()
    assert len(secret) == 43 and len(rows) == 1 and secret not in str(rows)


def test_the_use_of_a_key_is_noted_once_a_minute(client, engine, clock):
    headers = filled.key(engine, "cancel")
    used = []
    for seconds in (0, 30, 31):
        clock.now += timedelta(seconds=seconds)
        status(client, headers)
        with db.reading(engine) as session:
            used.append(api_keys.search(session)[0].last_used_at)
    assert used == [filled.NOW, filled.NOW, filled.NOW + timedelta(seconds=61)]


def command(capsys, settings, monkeypatch, *arguments: str) -> object:
    monkeypatch.setenv("SIGMACAST_DATABASE__URL", settings.database.url.get_secret_value())
    with pytest.raises(SystemExit) as ended:
        main(["keys", *arguments])
    out = capsys.readouterr()
    return json.loads(out.out) if ended.value.code == 0 else (ended.value.code, out.err)


def test_keys_are_made_listed_and_revoked_by_commands(client, capsys, settings, monkeypatch):
    made = command(capsys, settings, monkeypatch, "create", "desk", "--scope", "cancel", "--days", "3000", "--json")
    assert status(client, {"Authorization": f"Bearer {made['key']}"}) == 409
    listed = command(capsys, settings, monkeypatch, "list", "--json")
    assert [(key["name"], key["scopes"], "key" in key) for key in listed] == [("desk", ["cancel"], False)]
    assert command(capsys, settings, monkeypatch, "revoke", "desk", "--json") == {"revoked": [made["id"]]}
    assert status(client, {"Authorization": f"Bearer {made['key']}"}) == 401


def test_a_scope_or_a_key_that_does_not_exist_is_refused(capsys, settings, monkeypatch):
    code, told = command(capsys, settings, monkeypatch, "create", "desk", "--scope", "everything")
    assert code == 2 and "expected one of cancel, retry, order, got 'everything'" in told
    code, told = command(capsys, settings, monkeypatch, "revoke", "nobody")
    assert code == 6 and "no key 'nobody'" in told
