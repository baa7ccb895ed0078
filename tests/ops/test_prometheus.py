"""The alert rules fire when they should, and everything that Grafana or a rule asks for is there to be asked for."""

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import counters
from ops.alerts import Kind
from ops.metrics import CONTENT_TYPE, exposition
from tests.ops.histories_of_alerts import Watched
from tests.ops.test_metrics import full
from tests.servers import Server, free_port, require_server

DEPLOY = Path(__file__).parents[2] / "ops" / "deploy"
RULES, BOARD = DEPLOY / "prometheus" / "rules.yml", DEPLOY / "grafana" / "sigmacast.json"
METRIC = re.compile(r"\bsigmacast_\w+\b")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(BOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Every expression of the board and of the rules."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return asked + [rule["expr"] for rule in rules()]


def promtool(*words: object) -> str:
    require_server(shutil.which("promtool"), "promtool is not installed (Debian: apt-get install prometheus)")
    command = ["promtool", *map(str, words)]
    done = subprocess.run(command, cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_rules_and_the_example_that_loads_them():
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", RULES.name)
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


def test_the_rules_fire_when_they_should_and_not_before():
    assert "SUCCESS" in promtool("test", "rules", "rules.test.yml")


def test_each_rule_is_seen_to_fire():
    tests = yaml.safe_load((RULES.parent / "rules.test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules()}


def test_each_rule_and_each_kind_of_alert_has_its_paragraph_in_the_runbook(repository):
    page = (repository / "docs" / "runbook.md").read_text()
    anchors = set(re.findall(r'<a id="([\w-]+)"></a>', page))
    named = {rule["annotations"]["runbook"] for rule in rules()} | {f"docs/runbook.md#{kind}" for kind in Kind}
    assert {link for link in named if link.removeprefix("docs/runbook.md#") not in anchors} == set()


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> Watched:
    """A history in which everything has happened, and a process in which everything was counted."""
    for counter in (counters.NOTICES.labels("mail", "taken"), counters.PINGS.labels("taken"), counters.TICK_ERRORS):
        counter.inc()
    counters.TICKS.observe(0.1)
    return full(Watched(tmp_path_factory.mktemp("history"), daemon__cycles=(6, 18)))


def test_every_metric_that_is_asked_for_exists(history):
    text = exposition(history.engine, history.clock, history.settings).decode()
    shown = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}
    assert set(METRIC.findall(" ".join(expressions()))) - shown == set()


def test_every_panel_of_the_board_has_a_place_of_its_own():
    board = json.loads(BOARD.read_text())
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["title"] and panel["targets"] for panel in panels())


class Prometheus(Server):
    """A Prometheus that asks one address for metrics, every second."""

    def __init__(self, directory: Path, target: str) -> None:
        super().__init__("Prometheus", directory)
        self.port = free_port()
        job = {"job_name": "sigmacast", "static_configs": [{"targets": [target]}]}
        intervals = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        document = {"global": intervals, "rule_files": [str(RULES)], "scrape_configs": [job]}
        (directory / "prometheus.yml").write_text(yaml.safe_dump(document))

    def command(self) -> list[str]:
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        return ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", listen]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def query(self, expression: str) -> list[Any]:
        words = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{words}", timeout=30) as answer:
            document = json.load(answer)
        assert document["status"] == "success"
        return document["data"]["result"]


@pytest.fixture(scope="module")
def target(history) -> Iterator[str]:
    """An address that shows the metrics of the history, read once: a scrape takes no time on a busy machine."""
    body = exposition(history.engine, history.clock, history.settings)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            del args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_real_prometheus_answers_every_panel_of_the_board(target, tmp_path):
    require_server(shutil.which("prometheus"), "Prometheus is not installed (Debian: apt-get install prometheus)")
    server = Prometheus(tmp_path, target)
    server.start()
    try:
        deadline = time.monotonic() + 60
        asked = [target["expr"] for panel in panels() for target in panel["targets"]]
        while silent := [expression for expression in asked if not server.query(expression)]:
            assert time.monotonic() < deadline, silent
            time.sleep(1)
        for rule in rules():
            server.query(rule["expr"])
        assert server.query('sigmacast_alerts_open{kind="late"}')[0]["value"][1] == "1"
    finally:
        server.stop()
