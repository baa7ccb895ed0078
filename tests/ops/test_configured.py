"""Secrets from files and credentials, the origin of every value, and what `config check` and `config show` tell."""

import json

import pytest

from ops import cli, config
from ops.config import load, resolve
from ops.configured import problems, values
from ops.errors import ConfigurationError, ExitCode
from ops.layers import Origin

SECRET_URL = "postgresql://me:s3cret@host/name"


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shell(capsys):
    def call(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return call


@pytest.fixture
def url_file(tmp_path):
    file = tmp_path / "database_url"
    file.write_text(f"{SECRET_URL}\n")
    return file


def url_of(settings: config.Settings) -> str:
    return settings.database.url.get_secret_value()


def credentials(directory, monkeypatch, **files: str):
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(text)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))


def test_a_secret_may_be_in_a_file_that_the_environment_names(url_file, monkeypatch):
    monkeypatch.setenv("SIGMACAST_DATABASE__URL_FILE", str(url_file))
    resolved = resolve()
    assert url_of(resolved.settings) == SECRET_URL
    assert resolved.origin("database.url") == Origin("environment", "SIGMACAST_DATABASE__URL_FILE", url_file)


def test_a_secret_may_be_in_a_file_that_the_configuration_names(url_file, tmp_path):
    (tmp_path / "sigmacast.toml").write_text('[database]\nurl_file = "database_url"\n')
    assert url_of(load()) == SECRET_URL
    assert "secret file database_url" in str(resolve().origin("database.url"))


@pytest.mark.parametrize("prefix", ["", "sigmacast_"])
def test_a_systemd_credential_is_found_by_its_name(prefix, tmp_path, monkeypatch):
    (tmp_path / "sigmacast.toml").write_text('[database]\nurl = "sqlite:///from-the-file.db"\n')
    credentials(tmp_path / "credentials", monkeypatch, **{f"{prefix}database.url": SECRET_URL, "aws": "[default]"})
    resolved = resolve()
    assert url_of(resolved.settings) == SECRET_URL
    assert resolved.origin("database.url") == Origin("credential", f"{prefix}database.url")


def test_the_environment_goes_before_a_credential(tmp_path, monkeypatch):
    credentials(tmp_path / "credentials", monkeypatch, **{"database.url": SECRET_URL})
    monkeypatch.setenv("SIGMACAST_DATABASE__URL", "sqlite:///environment.db")
    assert url_of(load()) == "sqlite:///environment.db"


def test_a_credential_that_no_secret_is_named_after_is_an_error(tmp_path, monkeypatch):
    credentials(tmp_path / "credentials", monkeypatch, **{"databse.url": SECRET_URL})
    with pytest.raises(ConfigurationError, match=r"the credential databse.url is no secret.*database.url"):
        load()


def test_every_secret_has_a_key_for_its_file():
    assert {"database.url", "notify.secret", "notify.url"} <= set(config.secret_keys())
    assert {"database.url_file", "notify.secret_file", "notify.url_file"} <= set(config.file_keys())
    assert not set(config.file_keys()) & set(config.known_keys())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"secret": "a", "secret_file": "b"}, "notify.secret or notify.secret_file among the options, got both"),
        ({"secret_file": "nowhere"}, "notify.secret_file: the secret file nowhere cannot be read: No such file"),
        ({"secret_file": "/dev/null"}, "expected a secret in /dev/null, found nothing"),
        ({"topic_file": "x"}, "unknown key notify.topic_file"),
    ],
)
def test_a_secret_file_that_cannot_be_meant_is_told(options, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        load(options={f"notify.{name}": value for name, value in options.items()})


def test_every_value_tells_where_it_comes_from(tmp_path, monkeypatch):
    (tmp_path / "sigmacast.toml").write_text("[forecast]\nmembers = 5\ndays = 3\nquorum = 0.5\n")
    monkeypatch.setenv("SIGMACAST_FORECAST__MEMBERS", "6")
    resolved = resolve(options={"forecast.days": 7.0})
    told = {one.key: (one.value, str(one.origin)) for one in values(resolved)}
    assert told["forecast.members"] == (6, "environment SIGMACAST_FORECAST__MEMBERS")
    assert told["forecast.days"] == (7.0, "option")
    assert told["forecast.quorum"] == (0.5, "file sigmacast.toml")
    assert told["forecast.model"] == ("demo", "default")
    assert set(told) == set(config.known_keys())


def test_show_masks_secrets_and_says_where_they_come_from(shell, url_file, monkeypatch):
    monkeypatch.setenv("SIGMACAST_DATABASE__URL_FILE", str(url_file))
    monkeypatch.setenv("SIGMACAST_NOTIFY__SECRET", "hunter2")
    monkeypatch.setenv("SIGMACAST_ECMWF__MIRRORS", '["https://me:hunter2@mirror.example.org"]')
    code, text = shell("config", "show")
    assert code == ExitCode.OK
    assert "postgresql://me:***@host/name" in text and f"the secret file {url_file}" in text
    assert "s3cret" not in text and "hunter2" not in text
    document = json.loads(shell("config", "show", "--changed", "--json")[1])
    found = {one["key"]: one for one in document["settings"]}
    assert set(found) == {"database.url", "notify.secret", "ecmwf.mirrors"}
    assert found["database.url"]["secret_file"] == str(url_file)
    assert found["notify.secret"] == {
        "key": "notify.secret",
        "value": "***",
        "from": "environment",
        "where": "SIGMACAST_NOTIFY__SECRET",
        "secret_file": None,
    }


def test_check_is_content_with_what_is_right(shell, tmp_path):
    (tmp_path / "sigmacast.toml").write_text("[forecast]\nmembers = 5\n")
    code, text = shell("config", "check")
    assert (code, text) == (0, "The configuration is right: sigmacast.toml, 1 settings set (file).\n")
    assert json.loads(shell("config", "check", "--json")[1])["ok"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["sigmacast.toml"]


def test_check_tells_every_problem_at_once(shell, monkeypatch):
    for name, value in {
        "DATABASE__URL": "mysql://me:s3cret@host/name",
        "SOURCE__NAME": "files",
        "FORECAST__WINDOW_HOURS": "7",
        "SIGNING__KEY": "nowhere.pem",
        "NOTIFY__URL": "gopher://x",
        "STORE__URL": "ftp://somewhere",
    }.items():
        monkeypatch.setenv(f"SIGMACAST_{name}", value)
    code, text = shell("config", "check")
    assert code == ExitCode.USAGE
    subjects = [line.split()[1].rstrip(":") for line in text.splitlines()]
    assert subjects == ["database", "store", "source", "forecast", "signing", "notify"]
    assert "s3cret" not in text
    document = json.loads(shell("config", "check", "--json")[1])
    assert (document["ok"], len(document["problems"])) == (False, 6)


def test_check_tells_of_a_key_that_does_not_exist(shell, tmp_path):
    (tmp_path / "sigmacast.toml").write_text("[forecast]\nmember = 5\n")
    code, text = shell("config", "check")
    assert code == ExitCode.USAGE and "the nearest one is forecast.members" in text


def test_a_climatology_that_is_not_there_is_a_problem():
    settings = load(options={"source.name": "gfs", "ingest.climatology": "nowhere.nc"})
    assert list(problems(settings)) == ["source: ingest.climatology: expected a file at nowhere.nc, there is none"]
