"""What the repository holds, and what it must never hold."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

LARGEST_FILE = 1_000_000
FOREIGN_LOCKS = {"uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock", "package-lock.json"}
INDEX_ADDRESS = re.compile(r"https?://[^\s\"']*/simple\b|pypi\.org/(?!project/)|--(extra-)?index-url[= ]|--find-links")
MACHINE_PATH = re.compile(r"(?<![\w./])/(work|home|root|Users)/")


@pytest.fixture(scope="module")
def tracked(repository: Path) -> list[Path]:
    """All files under version control."""
    if shutil.which("git") is None or not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True)
    paths = [repository / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def texts(paths: list[Path]) -> dict[Path, str]:
    """The content of those files that are text, this one excepted, since it spells what it looks for."""
    found = {}
    for path in paths:
        content = path.read_bytes()
        if path != Path(__file__).resolve() and b"\0" not in content:
            found[path] = content.decode()
    return found


def test_no_tracked_file_is_large(tracked):
    assert [str(path) for path in tracked if path.stat().st_size > LARGEST_FILE] == []


def test_there_is_one_lock_file(tracked):
    assert [str(path) for path in tracked if path.name in FOREIGN_LOCKS] == []


def test_no_file_names_a_package_index(tracked):
    assert [str(path) for path, text in texts(tracked).items() if INDEX_ADDRESS.search(text)] == []


def test_no_file_holds_a_path_of_one_machine(tracked):
    assert [str(path) for path, text in texts(tracked).items() if MACHINE_PATH.search(text)] == []


def test_every_locked_distribution_is_pinned_and_hashed(repository):
    lines = (repository / "requirements.lock").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(entries) > 50
    assert [entry for entry in entries if not re.match(r"[\w.\[\]-]+==[\w.+!]+( ; .*)? \\$", entry)] == []
    assert "://" not in "".join(lines)


def test_every_requirement_is_in_the_lock(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["demo"] + extras["test"]
    names = {re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-") for requirement in wanted}
    lock = (repository / "requirements.lock").read_text()
    locked = set(re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==", lock, re.MULTILINE))
    assert names - locked == set()
