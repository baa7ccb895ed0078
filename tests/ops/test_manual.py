"""The documentation that comes with the program is where alerts say that it is."""

import sys
import tomllib
from pathlib import Path

from ops import manual
from ops.alert_settings import AlertSettings


def test_alerts_lead_to_a_page_that_is_there_and_has_the_paragraph(repository):
    path, _, anchor = AlertSettings().runbook("late").partition("#")
    assert Path(path).is_absolute() and f'<a id="{anchor}"></a>' in Path(path).read_text()
    assert AlertSettings(runbook_url="https://example.org/r").runbook("late") == "https://example.org/r#late"


def test_an_installation_has_the_page_below_its_prefix(repository, tmp_path, monkeypatch):
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    ((target, patterns),) = project["tool"]["setuptools"]["data-files"].items()
    assert [one.name for pattern in patterns for one in repository.glob(pattern) if one.name == "runbook.md"]
    page = tmp_path / target / "runbook.md"
    page.parent.mkdir(parents=True)
    page.touch()
    monkeypatch.setattr(manual, "__file__", str(tmp_path / "site-packages" / "ops" / "manual.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert manual.page("runbook.md") == str(page)
    page.unlink()
    assert manual.page("runbook.md") == "docs/runbook.md"
