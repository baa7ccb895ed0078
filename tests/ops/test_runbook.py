"""The runbook: a stranger can do what it says."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from ops.cli import app
from ops.config import known_keys

PAGE = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
BLOCKS = re.findall(r"^ *```sh\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)


def called() -> list[str]:
    """Every call of the program, in blocks and in the text."""
    lines = [line.strip().partition(" #")[0] for block in BLOCKS for line in block.splitlines()]
    inline = re.findall(r"`(sigmacast [^`]+)`", PAGE)
    return sorted({line for line in [*lines, *inline] if line.startswith("sigmacast ")})


@pytest.mark.parametrize("line", called())
def test_every_command_it_gives_exists_with_its_options(line):
    command, words = get_command(app), shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    assert [word for word in words if word.startswith("--") and word not in options] == []
    given = [word for word in words if not word.startswith("-")]
    assert not given or any(not one.startswith("-") for one in options) or "--" in line, f"{line}: no such command"


def test_every_link_within_it_leads_to_a_paragraph():
    anchors = set(re.findall(r'<a id="([\w-]+)"></a>', PAGE))
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) - anchors == set()
    assert len(anchors) == PAGE.count("<a id=")


def test_every_setting_it_names_exists():
    sections = "|".join({key.partition(".")[0] for key in known_keys()})
    named = set(re.findall(rf"`((?:{sections})\.[a-z_]+)", PAGE))
    assert named and named - set(known_keys()) == set()


def test_every_metric_it_names_is_documented(repository):
    page = (repository / "docs" / "monitoring.md").read_text()
    named = re.findall(r"`(sigmacast_\w+)`", PAGE)
    assert named and [name for name in named if f"`{name}`" not in page] == []


def test_every_paragraph_about_an_alert_says_what_one_sees_what_it_means_and_what_to_do():
    alerts = PAGE.partition("# Alerts")[2].partition("# Faults")[0]
    for paragraph in re.split(r"^## ", alerts, flags=re.MULTILINE)[1:]:
        assert all(part in paragraph for part in ("**One sees**", "**It means**", "**Do**")), paragraph[:60]
