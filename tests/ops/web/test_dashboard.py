"""The dashboard in a real browser: for everybody, on a phone and on a wall, live, and without scripts."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

import db
from db import runs
from db.schema import Run
from db.states import RunState
from ops.web.app import create
from tests.browser import Served, chromium, served
from tests.ops.web.operation import Operation

ACCESSIBILITY = (Path(__file__).parent / "accessibility.js").read_text(encoding="utf-8")
DESKTOP, PHONE, WALL = ({"width": w, "height": h} for w, h in ((1280, 900), (360, 740), (1920, 1080)))
PAGES = (
    "/",
    "/runs",
    "/runs?state=asleep",
    "/products",
    "/health",
    "/runs/{run}",
    "/runs/{run}/files?lead=12",
    "/runs/no",
)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(operation) -> Iterator[Served]:
    kept, _ = operation
    with served(create(kept.settings, kept.engine, kept.clock)) as server:
        yield server


@pytest.fixture
def open_page(browser, operation):
    """Opens pages that note everything the browser complains of."""
    kept, _ = operation
    contexts = []

    def opened(address: str, **options):
        context = browser.new_context(**({"viewport": DESKTOP} | options))
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on(
            "console", lambda told: page.complaints.append(told.text) if told.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.clock.install(time=kept.now)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_for_everybody(open_page, site, operation, scheme):
    _, newest = operation
    page = open_page(site.address, color_scheme=scheme)
    for address in PAGES:
        page.goto(site.address + address.format(run=newest))
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert (address, page.evaluate(ACCESSIBILITY)) == (address, [])
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(15, 18, 22)") is (scheme == "dark")
    assert [each for each in page.complaints if "404" not in each] == []


def test_the_check_for_everybody_finds_what_is_wrong(open_page, site):
    page = open_page(site.address)
    page.evaluate(
        """() => {
            document.documentElement.lang = "";
            document.querySelector(".quiet").setAttribute("id", "pale");
            document.querySelector("main").insertAdjacentHTML("beforeend", "<img src='/static/x'><h4>x</h4><input>");
            document.querySelector("#verdict p").attributeStyleMap.set("color", "rgb(200, 200, 200)");
        }"""
    )
    found = " ".join(page.evaluate(ACCESSIBILITY))
    for complaint in ("no language", "no alternative text", "heading after", "no label", "contrast 1."):
        assert complaint in found


def test_pages_ask_nobody_else_for_anything(open_page, site, operation):
    _, newest = operation
    page = open_page(site.address)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for address in PAGES:
        page.goto(site.address + address.format(run=newest))
    assert len(asked) > len(PAGES)
    assert [each for each in asked if not each.startswith(site.address)] == []


def test_nothing_is_wider_than_a_phone(open_page, site, operation):
    _, newest = operation
    page = open_page(site.address, viewport=PHONE, has_touch=True)
    for address in PAGES:
        page.goto(site.address + address.format(run=newest))
        assert (address, page.evaluate("document.documentElement.scrollWidth")) == (address, PHONE["width"])


def test_a_wall_shows_everything_at_once(open_page, site):
    page = open_page(f"{site.address}/?wall", viewport=WALL)
    parts = "[...document.querySelectorAll('main > *, main section')]"
    lowest = page.evaluate(f"Math.max(...{parts}.map(each => each.getBoundingClientRect().bottom))")
    assert lowest <= WALL["height"]
    assert page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)") > 18


def test_the_keyboard_reaches_everything_and_shows_where_it_is(open_page, site):
    page = open_page(site.address)
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        seen = "(e => [e.textContent.trim(), getComputedStyle(e).outlineStyle, getComputedStyle(e).left])"
        reached.append(page.evaluate(f"{seen}(document.activeElement)"))
    names = [each[0] for each in reached]
    assert names[:6] == ["Skip to the content", "sigmacast", "Overview", "Runs", "Products", "Health"]
    assert all(outline != "none" for _, outline, _ in reached[:8])
    page.keyboard.press("Home")
    page.goto(site.address)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_theme_that_was_chosen_stays(open_page, site):
    page = open_page(site.address, color_scheme="light")
    button = page.get_by_role("button", name="Theme: automatic")
    button.click()
    page.get_by_role("button", name="Theme: light").click()
    page.get_by_role("button", name="Theme: dark").wait_for()
    page.goto(f"{site.address}/health")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 22)"
    page.get_by_role("button", name="Theme: dark").click()
    assert page.evaluate("document.documentElement.dataset.theme ?? ''") == ""


def test_without_scripts_everything_is_there_and_comes_anew(open_page, site):
    page = open_page(site.address, java_script_enabled=False)
    assert page.get_by_text("T + 258 h").is_visible()
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
    assert not page.locator("#theme").is_visible()
    assert page.get_by_text("11 min", exact=True).is_visible()


def test_countdowns_tick(open_page, site):
    page = open_page(site.address)
    left = page.locator("time[data-counting=left]")
    page.clock.run_for(1500)
    before = left.text_content()
    page.clock.run_for(120_000)
    assert before != left.text_content()
    page.get_by_text("9 min 0", exact=False).first.wait_for()


@pytest.fixture
def live(make_operation) -> Iterator[tuple[Operation, Served]]:
    kept, _ = make_operation()
    with served(create(kept.settings, kept.engine, kept.clock)) as server:
        yield kept, server


def advance(kept: Operation, hours: int) -> None:
    with db.writing(kept.engine) as session:
        run = session.scalars(select(Run).where(Run.state == "running")).one()
        runs.amend(session, run.id, progress=run.progress | {"lead_hours": hours, "member_hours": hours * 50})


def test_what_changes_is_shown_without_a_reload_and_the_focus_stays(open_page, live):
    kept, server = live
    page = open_page(server.address)
    page.evaluate("window.same = true")
    page.locator("#now h3 a").focus()
    page.locator("#lateness-table summary").click()
    page.locator("#now h3 a").focus()
    advance(kept, 300)
    page.clock.run_for(4000)
    page.get_by_text("T + 300 h").wait_for(timeout=5000)
    assert page.evaluate("window.same")
    assert page.evaluate("document.activeElement.closest('#now') !== null")
    assert page.locator("#lateness-table").get_attribute("open") is not None
    assert page.complaints == []


def test_a_server_that_is_gone_is_told_until_it_is_back(open_page, live):
    kept, server = live
    page = open_page(server.address)
    server.stop()
    page.clock.run_for(4000)
    page.get_by_role("alert").get_by_text("No answer from the server since 13:31 UTC").wait_for(timeout=5000)
    advance(kept, 306)
    server.start()
    page.clock.run_for(4000)
    page.get_by_text("T + 306 h").wait_for(timeout=5000)
    assert not page.locator("#stale").is_visible()


def test_a_run_that_ends_is_told_to_those_who_listen(open_page, live):
    kept, server = live
    page = open_page(server.address)
    assert "running, forecast" in page.locator("#told").text_content()
    with db.writing(kept.engine) as session:
        run = session.scalars(select(Run).where(Run.state == "running")).one()
        runs.transition(session, run.id, RunState.FAILED, kept.now + timedelta(seconds=2), error="it broke")
    page.clock.run_for(4000)
    page.get_by_text("No run is in progress").wait_for(timeout=5000)
    assert page.locator("#told").text_content() == ""
