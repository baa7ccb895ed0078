"""The pictures of docs/dashboard.md: `python -m tests.screenshots docs [--config FILE]`.

The overview, the list and the health are those of a week of operation that is made up; the page of a run is that of the
newest run in the history of the configuration FILE, such as one of `sigmacast demo`; without one it is left as it is.
"""

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from ops import history
from ops.config import load
from ops.web.app import create
from tests.browser import chromium, served
from tests.ops.web.operation import service

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
RUN = {"width": 1280, "height": 1400}
WALL = {"width": 1920, "height": 1080}
LARGEST = 200_000


def shoot(browser, address: str, path: Path, now: datetime | None = None, **look) -> None:
    """One picture of a page, as wide and high as it is; of what the screen shows when `whole` is False."""
    whole = look.pop("whole", True)
    context = browser.new_context(reduced_motion="reduce", **look)
    page = context.new_page()
    if now is not None:
        page.clock.set_fixed_time(now)
    page.goto(address)
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("each => each.decode()")
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=path, full_page=whole)
    context.close()
    _fit(path)


def _fit(path: Path) -> None:
    """Take colours away until the file is small enough for a repository."""
    from PIL import Image

    with Image.open(path) as picture:
        whole = picture.convert("RGB")
    for colours in (256, 128, 64, 32):
        if path.stat().st_size > LARGEST:
            few = whole.quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(path, optimize=True)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--config", type=Path)
    wanted = parser.parse_args()
    wanted.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as kept, chromium() as browser:
        operation, _ = service(Path(kept))
        with served(create(operation.settings, operation.engine, operation.clock)) as server:
            here, now = server.address, operation.now
            into = wanted.directory
            dark = {"color_scheme": "dark"}
            shoot(browser, f"{here}/", into / "dashboard-light.png", now, viewport=DESKTOP)
            shoot(browser, f"{here}/", into / "dashboard-dark.png", now, viewport=DESKTOP, **dark)
            shoot(
                browser,
                f"{here}/",
                into / "dashboard-phone.png",
                now,
                viewport=PHONE,
                device_scale_factor=2,
                whole=False,
            )
            shoot(browser, f"{here}/?wall", into / "dashboard-wall.png", now, viewport=WALL, whole=False, **dark)
            for name, path in (("runs", "/runs"), ("health", "/health")):
                shoot(browser, here + path, into / f"dashboard-{name}.png", now, viewport=DESKTOP)
        if wanted.config is not None:
            _real_run(browser, wanted.config, wanted.directory / "dashboard-run.png")


def _real_run(browser, config: Path, path: Path) -> None:
    settings = load(config)
    with (
        history.opened(settings.database) as engine,
        served(create(settings, engine, lambda: datetime.now(UTC))) as server,
    ):
        shoot(browser, f"{server.address}/runs/latest", path, viewport=RUN, whole=False)


if __name__ == "__main__":
    main()
