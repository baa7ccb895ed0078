"""The systemd units: sound, hardened, and true to the program that they start."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from ops.cli import app
from ops.web.lifesign import LONGEST_ANSWER_SECONDS
from ops.web_settings import WebSettings
from tests.servers import require_server

GREATEST_EXPOSURE = 3.0
SERVICES = ("sigmacast.service", "sigmacast-web.service", "sigmacast-prune.service")
VARIANTS = [(name, None) for name in SERVICES] + [("sigmacast.service", "gpu.conf")]


class Unit(dict[str, list[str]]):
    """The settings of a unit's section [Service], each with all its values."""

    def __init__(self, path: Path) -> None:
        section = re.search(r"^\[Service\]\n(.*?)(?=^\[|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
        assert section is not None
        for line in section[1].splitlines():
            if "=" in line and not line.startswith("#"):
                name, _, value = line.partition("=")
                self.setdefault(name, []).append(value)


@pytest.fixture(scope="module")
def units(repository) -> Path:
    return repository / "ops" / "deploy" / "systemd"


@pytest.fixture
def installed(units, tmp_path):
    """Copies the units as an installation would, with a drop-in or none."""
    require_server(shutil.which("systemd-analyze"), "systemd-analyze is not there (Debian: apt-get install systemd)")

    def install(drop_in: str | None) -> Path:
        for path in (*units.glob("*.service"), *units.glob("*.timer")):
            shutil.copy(path, tmp_path)
        if drop_in:
            (tmp_path / "sigmacast.service.d").mkdir()
            shutil.copy(units / "drop-ins" / drop_in, tmp_path / "sigmacast.service.d")
        return tmp_path

    return install


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def complaints(done: subprocess.CompletedProcess[str], directory: Path) -> list[str]:
    """What is said of our units; of units of the machine itself something may be said, too."""
    return [line for line in (done.stdout + done.stderr).splitlines() if str(directory) in line or "sigmacast" in line]


@pytest.mark.parametrize(("name", "drop_in"), VARIANTS)
def test_each_unit_is_sound(installed, name, drop_in):
    directory = installed(drop_in)
    done = analyze("verify", "--man=no", str(directory / name))
    assert (done.returncode, complaints(done, directory)) == (0, [])


def test_the_timer_is_sound(installed):
    directory = installed(None)
    done = analyze("verify", "--man=no", str(directory / "sigmacast-prune.timer"))
    assert (done.returncode, complaints(done, directory)) == (0, [])


@pytest.mark.parametrize(("name", "drop_in"), VARIANTS)
def test_each_unit_is_hardened(installed, name, drop_in):
    done = analyze("security", "--offline=true", "--no-pager", str(installed(drop_in) / name))
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) < GREATEST_EXPOSURE


def test_a_unit_that_is_not_sound_is_told_of(installed):
    directory = installed(None)
    unit = directory / "sigmacast.service"
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHome=perhaps"))
    assert complaints(analyze("verify", "--man=no", str(unit)), directory)


def test_the_daemon_tells_systemd_how_it_is_and_has_the_time_to_drain(units):
    daemon = Unit(units / "sigmacast.service")
    assert daemon["Type"] == ["notify"]
    assert int(daemon["WatchdogSec"][0]) > 0
    assert daemon["KillMode"] == ["mixed"]
    assert daemon["OOMPolicy"] == ["continue"]
    assert daemon["TimeoutStopSec"] == ["30min"]


def test_the_server_tells_systemd_when_it_answers_and_that_it_still_does(units):
    server = Unit(units / "sigmacast-web.service")
    assert (server["Type"], server["NotifyAccess"]) == (["notify"], ["main"])
    assert int(server["WatchdogSec"][0]) > LONGEST_ANSWER_SECONDS
    assert int(server["TimeoutStopSec"][0]) > WebSettings().drain_seconds


def test_all_units_confine_what_they_start_alike(units):
    confined = [
        {
            name: values
            for name, values in Unit(units / name).items()
            if name.startswith(("Protect", "Private", "Restr"))
        }
        for name in SERVICES
    ]
    assert confined[0] == confined[1] == confined[2]


def test_secrets_are_credentials_and_in_no_unit(units):
    for name in SERVICES:
        unit = Unit(units / name)
        assert unit["LoadCredential"] == ["sigmacast:/etc/sigmacast/credentials"]
        assert not [value for value in unit["Environment"] if re.search("(?i)key=|secret=|password=|token=", value)]


def test_the_account_is_the_one_that_the_units_run_as(units):
    kind, name = (units / "sysusers.conf").read_text().split()[:2]
    assert (kind, name) == ("u", "sigmacast")
    assert {user for unit in SERVICES for user in Unit(units / unit)["User"]} == {name}


def test_the_configuration_of_the_units_is_right(units, tmp_path, monkeypatch):
    from ops.config import load
    from ops.configured import problems

    monkeypatch.chdir(tmp_path)
    settings = load(units / "sigmacast.toml")
    assert list(problems(settings)) == []
    state = Path("/var/lib/sigmacast")
    assert {settings.paths.models, settings.paths.work, settings.ingest.cache} == {
        state / "models",
        state / "work",
        state / "inputs",
    }


def test_every_unit_starts_a_command_that_there_is(units):
    for name in SERVICES:
        words = Unit(units / name)["ExecStart"][0].split()
        assert words[:2] == ["/usr/bin/env", "sigmacast"]
        command = get_command(app)
        for word in (word for word in words[2:] if not word.startswith("-")):
            command = command.commands[word]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= options
