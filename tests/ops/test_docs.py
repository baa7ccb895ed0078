"""The user's pages say everything there is, and nothing that there is not."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.main import get_command

from ops.cli import app
from ops.config import known_keys
from ops.errors import ExitCode


@pytest.fixture(scope="module")
def pages() -> Path:
    return Path(__file__).parents[2] / "docs"


def commands(group=None, name: str = "sigmacast") -> dict[str, object]:
    """Every command that does something, by its full name."""
    group = group or get_command(app)
    found = {}
    for part, command in getattr(group, "commands", {}).items():
        inner = commands(command, f"{name} {part}") if hasattr(command, "commands") else {}
        callable_itself = not inner or getattr(command, "invoke_without_command", False)
        found |= inner | ({f"{name} {part}": command} if callable_itself else {})
    return found


def test_every_setting_is_documented_with_its_default_and_no_other(pages):
    rows = dict(re.findall(r"^\| `(\w+\.\w+)` \| (.+?) \|", (pages / "configuration.md").read_text(), re.MULTILINE))

    def shown(default: object) -> str:
        value = default.get_secret_value() if isinstance(default, SecretStr) else default
        return "unset" if value is None else f"`{value}`"

    assert rows == {key: shown(default) for key, (default, _description) in known_keys().items()}


def test_every_setting_has_a_description():
    assert [key for key, (_default, description) in known_keys().items() if not description] == []


def test_every_command_is_documented_and_no_other(pages):
    headings = re.findall(r"^### (sigmacast .+)$", (pages / "cli.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(commands())


def test_every_option_is_documented(pages):
    text = (pages / "cli.md").read_text()
    options = {option for command in commands().values() for one in command.params for option in one.opts}
    assert [option for option in sorted(options) if option.startswith("--") and f"{option}" not in text] == []


def test_every_query_speaks_json():
    queries = {name for name, command in commands().items() if any("--json" in one.opts for one in command.params)}
    others = {"sigmacast demo", "sigmacast daemon", "sigmacast db upgrade", "sigmacast db downgrade"}
    assert set(commands()) - queries == others


def test_every_exit_code_is_documented_and_no_other(pages):
    rows = re.findall(r"^\| (\d+) \|", (pages / "cli.md").read_text(), re.MULTILINE)
    assert [int(code) for code in rows] == sorted(ExitCode)
