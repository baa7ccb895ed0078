"""The dashboard's pages as the server renders them: right, bounded, harmless, and there when other things are not."""

import re
import socket
import threading
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

import db
from db import runs, workers
from db.overview import Wanted, page
from db.states import RunState
from ops.web.app import create
from ops.web.pages import listing, words
from ops.web.pages.system import StoreProbe
from publish.stores import StoreUnavailable
from tests.ops.fakes import FakeForecaster
from tests.ops.histories import History

VOID = {"meta", "link", "input", "img", "path", "circle", "rect", "line", "br"}


class Outline(HTMLParser):
    """Checks that elements are closed in order, and remembers ids, links and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        known = dict(attrs)
        self.ids += [known["id"]] if "id" in known else []
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        self.inline += [name for name in known if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in known) else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()


def outline(text: str) -> Outline:
    parsed = Outline()
    parsed.feed(text)
    parsed.close()
    assert parsed.open == []
    return parsed


@pytest.fixture(scope="module")
def pages(operation) -> TestClient:
    kept, _ = operation
    return TestClient(create(kept.settings, kept.engine, kept.clock))


@pytest.fixture(params=["/", "/?wall", "/runs", "/runs?state=failed", "/run", "/products", "/health", "/files", "/404"])
def address(request, operation) -> str:
    _, newest = operation
    named = {"/run": f"/runs/{newest}", "/files": f"/runs/{newest}/files?lead=12", "/404": "/runs/nothing"}
    return named.get(request.param, request.param)


def test_every_page_is_well_formed_whole_and_of_this_server_alone(pages, address):
    answer = pages.get(address)
    assert answer.status_code == (404 if address == "/runs/nothing" else 200)
    found = outline(answer.text)
    assert len(found.ids) == len(set(found.ids))
    assert found.inline == []
    assert [link for link in found.links if not link.startswith(("/", "#"))] == []
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_every_link_of_the_pages_leads_somewhere(pages, operation):
    _, newest = operation
    start = ["/", "/runs", "/products", "/health", f"/runs/{newest}", f"/runs/{newest}/files?lead=12"]
    links = {link for each in start for link in outline(pages.get(each).text).links}
    inner = {link for link in links if link.startswith("/") and not link.startswith(("/api", "/readyz", "/metrics"))}
    sample = sorted(inner)[:: max(1, len(inner) // 30)]
    assert [link for link in sample if pages.get(link).status_code != 200] == []


def test_a_page_that_did_not_change_is_not_sent_again(pages):
    first = pages.get("/runs")
    again = pages.get("/runs", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_static_files_change_their_address_with_their_contents(pages):
    found = outline(pages.get("/").text).links
    (style,) = [link for link in found if link.endswith("site.css")]
    answer = pages.get(style)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")
    assert pages.get("/static/x/../../routes.py").status_code == 404
    assert pages.get("/static/x/routes.py").status_code == 404


def test_the_overview_tells_what_runs_what_comes_and_what_is_missing(pages):
    text = pages.get("/").text
    assert "T + 258 h" in text and "of 360 h" in text
    assert "Sat 21 Nov, 12 UTC" in text and "lacks all 84 fields" in text
    assert "All is well" in text and "2 daemons alive" in text
    assert "was published on time" in text
    assert "A forecast takes about" in text


def test_the_overview_tells_alerts_and_links_to_their_run(make_operation):
    kept, newest = make_operation()
    kept.alert("failed", newest, "the device fell off the bus", kept.now - timedelta(hours=1), newest)
    text = TestClient(create(kept.settings, kept.engine, kept.clock)).get("/").text
    assert "Something is wrong" in text and "1 alert open" in text
    assert "the device fell off the bus" in text
    assert "docs/runbook.md#failed" in text


def test_a_daemon_that_is_silent_is_told(make_operation):
    kept, _ = make_operation()
    kept.now += timedelta(hours=2)
    text = TestClient(create(kept.settings, kept.engine, kept.clock)).get("/health").text
    assert "silent: fc-a1 was last seen 2 h 00 min ago" in text
    assert text.count("Silent") == 2


def test_text_of_strangers_stays_text(make_operation):
    kept, newest = make_operation()
    evil = "<script>alert(1)</script>"
    kept.alert("failed", "x", evil, kept.now)
    with db.writing(kept.engine) as session:
        runs.tell(session, newest, kept.now, "note", evil)
        runs.amend(session, newest, device=evil)
    client = TestClient(create(kept.settings, kept.engine, kept.clock))
    for each in ("/", f"/runs/{newest}", f"/runs?model={evil}", f"/runs?state={evil}", f"/runs/{evil}"):
        assert evil not in client.get(each).text


def test_an_empty_history_has_pages_too(client):
    for each in ("/", "/?wall", "/runs", "/products", "/health"):
        answer = client.get(each)
        assert answer.status_code == 200
        outline(answer.text)
    assert "There are no runs yet" in client.get("/runs").text


def test_filters_and_pages_of_the_list_show_each_run_once(operation):
    kept, _ = operation
    with db.reading(kept.engine) as session:
        everything = [line.id for line in page(session, Wanted(), 500).lines]
        forwards, after = [], None
        while True:
            found = page(session, Wanted(), 7, after=after)
            forwards += [line.id for line in found.lines]
            if found.older is None:
                break
            after = found.older
        back = page(session, Wanted(), 7, before=after)
        failed = page(session, Wanted(state=RunState.FAILED), 50).lines
    assert forwards == everything
    assert back.newer is not None and back.older is not None
    assert [line.id for line in back.lines] == everything[everything.index(after) - 7 : everything.index(after)]
    assert [line.state for line in failed] == ["failed"]


def test_a_filter_that_means_nothing_is_told_and_left_out(pages):
    text = pages.get("/runs?state=asleep&since=yesterday&until=2026-11-20&purpose=fun").text
    for complaint in ("state: expected one of", "since: expected a day", "purpose: expected one of forecast, hindcast"):
        assert complaint in text
    assert "2026-11-20 18 UTC" in text and "2026-11-21 00 UTC" not in text


def test_a_filter_of_days_holds_both_days():
    _, wanted = listing.asked({"since": "2026-11-20", "until": "2026-11-20"})
    assert wanted.until is not None and wanted.since is not None
    assert wanted.until - wanted.since == timedelta(days=1, microseconds=-1)


def test_the_page_of_a_run_has_its_timeline_products_resources_and_what_was_expected(pages, operation):
    _, newest = operation
    text = pages.get(f"/runs/{newest}").text
    for told in (
        "Charts and manifest",
        "3 inputs",
        "50 of 50",
        "17.0 GiB",
        "Expected from",
        "to spare",
        "oper-pl.grib2",
    ):
        assert told in text
    assert f"/api/v1/runs/{newest}/products/" in text


def test_a_run_that_was_killed_shows_every_attempt(pages, operation):
    kept, _ = operation
    with db.reading(kept.engine) as session:
        names = [line.id for line in page(session, Wanted(), 100).lines]
    texts = [pages.get(f"/runs/{name}").text for name in names if name.startswith("20261117T18")]
    (text,) = texts
    assert "killed by SIGKILL" in text and "Interrupted" in text
    assert len(re.findall(r'<th scope="row">integrate</th>', text)) == 2


def test_the_end_of_the_log_is_shown_where_it_is_on_this_machine(make_operation, tmp_path):
    kept, newest = make_operation()
    log = tmp_path / "worker.log"
    log.write_text("\n".join(f"line {number} <b>" for number in range(500)))
    client = TestClient(create(kept.settings, kept.engine, kept.clock))
    for host, shown in (("elsewhere", False), (socket.gethostname(), True)):
        with db.writing(kept.engine) as session:
            workers.begin(session, newest, host, 1, kept.now, str(log))
        text = client.get(f"/runs/{newest}").text
        assert ("line 499 &lt;b&gt;" in text) is shown
        assert "line 400" not in text
    log.unlink()
    assert client.get(f"/runs/{newest}").status_code == 200


def test_charts_come_from_the_store_and_a_damaged_one_does_not(make_operation, tmp_path):
    picture = tmp_path / "20261121000000-0h-enfo-z500-mean-spread.png"
    picture.write_bytes(b"\x89PNG picture")
    kept, newest = make_operation([picture])
    client = TestClient(create(kept.settings, kept.engine, kept.clock))
    assert "Height at 500 hPa: mean and spread" in client.get(f"/runs/{newest}").text
    good = client.get(f"/runs/{newest}/charts/{picture.name}")
    assert (good.status_code, good.content) == (200, b"\x89PNG picture")
    again = client.get(f"/runs/{newest}/charts/{picture.name}", headers={"If-None-Match": good.headers["etag"]})
    assert again.status_code == 304
    (stored,) = (kept.directory / "products" / newest[:8]).glob("00z/**/*.png")
    stored.write_bytes(b"something else")
    assert client.get(f"/runs/{newest}/charts/{picture.name}").status_code in (502, 503)
    assert client.get(f"/runs/{newest}/charts/other.png").status_code == 404


def test_a_database_that_is_gone_is_a_page_that_says_so(make_operation):
    kept, _ = make_operation()
    client = TestClient(create(kept.settings, kept.engine, kept.clock))
    with db.writing(kept.engine) as session:
        session.execute(db.schema.Base.metadata.tables["runs"].delete())
        session.connection().exec_driver_sql("DROP TABLE events")
        session.connection().exec_driver_sql("DROP TABLE runs")
    answer = client.get("/")
    assert answer.status_code == 503
    assert "No answer from the database" in answer.text
    outline(answer.text)


def test_a_store_that_does_not_answer_holds_up_no_page():
    stuck = threading.Event()

    def opened():
        stuck.wait(20)
        raise StoreUnavailable("gone")

    probe = StoreProbe(opened, lambda: datetime(2026, 11, 21, tzinfo=UTC))
    found = probe.finding(patience=0.05)
    assert found.state == "bad" and "does not answer" in found.found
    stuck.set()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.24, "0.2 s"),
        (4, "4 s"),
        (61, "1 min 01 s"),
        (720, "12 min"),
        (3900, "1 h 05 min"),
        (2 * 86400 + 4 * 3600, "2 d 4 h"),
    ],
)
def test_a_length_of_time_is_told_in_its_largest_units(seconds, told):
    assert words.span(seconds) == told


def test_what_a_real_worker_records_is_what_its_page_shows(tmp_path):
    history = History(tmp_path, charts__lead_hours=(24,), forecast__quorum=0.5)
    with pytest.raises(RuntimeError):
        history.run(FakeForecaster(fail_at=24))
    outcome = history.run(FakeForecaster(lose_at=36))
    client = TestClient(create(history.settings, history.engine(), lambda: datetime.now(UTC)))
    text = client.get("/runs/latest").text
    outline(text)
    for told in ("1959-01-02 00 UTC", "the device fell off the bus", "wind above 150 m/s", "2 of 3", "T + 36 h"):
        assert told in text
    assert len(re.findall(r'<th scope="row">integrate</th>', text)) == 2
    pictures = re.findall(r'<img src="([^"]+)"', text)
    assert len(pictures) == len(outcome.chart_keys) > 0
    assert client.get(pictures[0]).content.startswith(b"\x89PNG")
