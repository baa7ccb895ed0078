"""Pages for people: every address on them leads somewhere, and nothing on them comes from elsewhere."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from publish import pages
from publish.manifest import Manifest
from publish.places import Place
from publish.product import ProductSettings
from publish.publisher import Publisher
from publish.stac import Entry
from publish.stores import LocalStore
from tests.publish.frames import INIT_TIME, make_frame, make_run

SETTINGS = ProductSettings(
    levels=(500,), fields=("air_temperature", "geopotential"), chart_lead_hours=(6,), places=(Place("A", 1.0, 2.0),)
)
RUN = "19590102/00z/sigmacast/5p0/"


class Page(HTMLParser):
    """What a page links to and shows, with its tags in balance."""

    void = frozenset({"meta", "img", "br"})

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text = ""
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(content.decode())
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append(tag)
        if tag not in self.void:
            self._open.append(tag)
        if tag == "a":
            self.links.append(str(known["href"]))
        if tag == "img":
            self.images.append(known)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStore, Manifest]:
    store = LocalStore(tmp_path_factory.mktemp("pages"))
    publisher = Publisher(store, make_run(licence="CC BY-SA 4.0"), SETTINGS)
    for hours in (0, 6):
        publisher.publish(make_frame(hours))
    return store, publisher.close()


@pytest.mark.parametrize("key", ["index.html", f"{RUN}index.html"])
def test_every_address_leads_to_an_object_of_the_store(published: tuple[LocalStore, Manifest], key: str):
    store = published[0]
    page = Page(store.get(key))
    addresses = [*page.links, *(str(image["src"]) for image in page.images)]
    assert addresses
    for address in addresses:
        target = (store.path(key).parent / address).resolve()
        assert target.is_file(), address


def test_the_page_of_a_run_shows_all_there_is(published: tuple[LocalStore, Manifest]):
    store, manifest = published
    page = Page(store.get(f"{RUN}index.html"))
    assert [image["alt"] for image in page.images] == [
        "plume a",
        "z500 mean spread",
        "z500 spaghetti north",
        "z500 spaghetti south",
    ]
    for each in manifest.objects:
        assert each.sha256 in page.text
    for told in ("T+6 h", "whole run", "4 of 4, control included", "CC BY-SA 4.0", "run-1", "how to read"):
        assert told.lower() in page.text.lower()


def test_pages_need_no_script_no_other_host_and_work_on_a_phone_and_in_the_dark(published: tuple[LocalStore, Manifest]):
    content = published[0].get(f"{RUN}index.html").decode()
    assert "script" not in Page(content.encode()).tags
    assert "//" not in content.replace("<!doctype", "")
    assert 'name="viewport"' in content and "prefers-color-scheme: dark" in content and '<html lang="en">' in content


def test_what_comes_from_elsewhere_is_never_markup(published: tuple[LocalStore, Manifest]):
    evil = "<script>alert(1)</script>"
    manifest = replace(
        published[1], institution=evil, licence=evil, run_id=evil, provenance={"model": evil}, lost=({"member": evil},)
    )
    for page in (pages.run_page(manifest), pages.run_page(manifest, "retracted", evil)):
        assert b"<script" not in page and "script" not in Page(page).tags


def test_missing_members_and_retractions_stand_at_the_top(published: tuple[LocalStore, Manifest]):
    lost = replace(published[1], members=(0, 1, 2), lost=({"member": 3, "lead_hours": 6, "reason": "too warm"},))
    assert "Members are missing: 3" in Page(pages.run_page(lost)).text
    assert "This run is superseded." in Page(pages.run_page(lost, "superseded", "Run b stands in its place.")).text


def test_the_page_of_a_store_lists_the_newest_runs_first():
    entries = [Entry(INIT_TIME.replace(year=1959 + year), "sigmacast", "0p25") for year in range(130)]
    page = Page(pages.store_page(entries))
    assert page.links[0] == "./20880102/00z/sigmacast/0p25/index.html"
    assert "10 earlier runs are in the catalogue" in page.text and "0.25°" in page.text
