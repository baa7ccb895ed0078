"""Where the documentation lies that came with the program."""

import sys
from pathlib import Path

INSTALLED = Path("share", "doc", "sigmacast")
"""Below the prefix of the environment, as pyproject.toml has it."""


def page(name: str) -> str:
    """Path of a page, in the checkout or as installed; its place in the documentation where it is in neither."""
    places = (Path(__file__).resolve().parents[1] / "docs", Path(sys.prefix) / INSTALLED)
    return next((str(place / name) for place in places if (place / name).is_file()), f"docs/{name}")
