"""The command line: what it prints, what it ends with, and how quickly it starts."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forecast.errors import QuorumLost
from ops import cli
from ops.errors import ExitCode
from tests.ops.fakes import FakeForecaster, save_model
from tests.publish.http_files import served

TINY = {
    "SIGMACAST_FORECAST__MODEL": "tiny",
    "SIGMACAST_FORECAST__INTERVAL_HOURS": "12",
    "SIGMACAST_PRODUCTS__LEVELS": "[500]",
    "SIGMACAST_PRODUCTS__FIELDS": '["geopotential"]',
    "SIGMACAST_PRODUCTS__FORMATS": '["netcdf"]',
    "SIGMACAST_CHARTS__LEAD_HOURS": "[]",
    "SIGMACAST_CHARTS__PLACES": "[]",
}
RUN = ["run", "--days", "1", "--members", "2"]


class Shell:
    """Calls commands in an empty directory, with a model that is none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = self.err = ""
        self.forecaster(FakeForecaster())

    def forecaster(self, forecaster: FakeForecaster) -> None:
        self._monkeypatch.setattr("ops.forecaster.ModelForecaster", lambda **_settings: forecaster)

    def __call__(self, *arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        self.out, self.err = self._capsys.readouterr()
        return int(ended.value.code or 0)

    def json(self, *arguments: str):
        assert self(*arguments, "--json") == ExitCode.OK, self.err
        return json.loads(self.out)


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name, value in TINY.items():
        monkeypatch.setenv(name, value)
    save_model(Path("var/models"))
    return Shell(monkeypatch, capsys)


def test_a_run_ends_by_saying_where_its_products_and_its_picture_are(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("SIGMACAST_CHARTS__LEAD_HOURS", "[12]")
    assert shell(*RUN) == ExitCode.OK
    products, picture = (
        line.split()[-1] for line in shell.out.splitlines() if line.startswith(("Products", "Picture"))
    )
    assert (Path(products) / "manifest.json").is_file()
    assert Path(products).is_relative_to(tmp_path / "var/products")
    assert Path(picture).read_bytes().startswith(b"\x89PNG")


def test_progress_goes_to_the_standard_error_alone(shell):
    document = shell.json(*RUN)
    assert document["already"] is False
    assert "stage=integrate" in shell.err


def test_a_second_run_says_it_is_done_points_to_it_and_ends_well(shell):
    first = shell.json(*RUN)
    assert shell(*RUN) == ExitCode.OK
    assert "was published already" in shell.out
    assert first["run_id"] in shell.out and "Products:" in shell.out
    assert shell(*RUN, "--fresh") == ExitCode.OK
    assert "never begun afresh" in shell.out


def test_runs_lists_and_filters(shell):
    assert shell("runs") == ExitCode.OK
    assert shell.out == "No runs.\n"
    assert shell.json("runs") == []
    run_id = shell.json(*RUN)["run_id"]
    assert shell("runs") == ExitCode.OK
    assert run_id in shell.out and "published" in shell.out and "2/2" in shell.out
    assert [run["id"] for run in shell.json("runs", "--state", "published", "--since", "1959010200")] == [run_id]
    assert shell.json("runs", "--state", "failed") == []
    assert shell.json("runs", "--model", "other") == []
    assert shell.json("runs", "--until", "1958-01-01T00") == []


def test_runs_show_tells_everything(shell):
    run_id = shell.json(*RUN)["run_id"]
    document = shell.json("runs", "show", run_id[:11])
    assert document["id"] == run_id
    assert document["init_time"] == "1959-01-02T00:00:00Z"
    assert [one["name"] for one in document["stages"]] == ["fetch", "integrate", "finish"]
    assert document["inputs"][0]["sha256"]
    assert document["products"]["lead_times_hours"] == [0, 12, 24]
    assert document["events"][-1]["state"] == "published"
    assert shell("runs", "show", "latest") == ExitCode.OK
    for told in (run_id, "Imagination", "integrate", "published with 2 members", "era5_tl31"):
        assert told in shell.out


def test_products_are_listed_and_downloaded_with_their_hashes(shell, tmp_path):
    run_id = shell.json(*RUN)["run_id"]
    listed = shell.json("products", "--run", run_id, "--lead", "12")["products"]
    assert listed and {one["lead_time_hours"] for one in listed} == {12}
    files = shell.json("products", "download", run_id, "--lead", "12", "--to", "here")["files"]
    assert len(files) == len(listed)
    for file, one in zip(files, listed, strict=True):
        assert hashlib.sha256(Path(file).read_bytes()).hexdigest() == one["sha256"]
    assert not list((tmp_path / "here").rglob("*.part"))
    assert shell("products") == ExitCode.OK
    assert listed[0]["key"] in shell.out


def test_products_of_the_latest_run_are_those_of_the_last_published_one(shell):
    run_id = shell.json(*RUN)["run_id"]
    assert shell("run", "--source", "demo", "--cycle", "1959-01-02T06") == ExitCode.INPUT_REFUSED
    assert shell.json("runs", "show", "latest")["id"] != run_id
    assert shell.json("products")["run"] == run_id


def test_a_damaged_product_is_not_downloaded(shell):
    one = (shell.json(*RUN), shell.json("products", "--lead", "12")["products"][0])[1]
    stored = Path("var/products") / one["key"]
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    assert shell("products", "download", "latest", "--lead", "12", "--to", "here") == ExitCode.FAILED
    assert "is damaged" in shell.err
    assert not (Path("here") / one["key"]).exists()
    assert not list(Path("here").rglob("*.part"))


def test_a_store_is_listed_and_read_without_a_history(shell, monkeypatch, tmp_path):
    monkeypatch.setenv("SIGMACAST_PRODUCTS__FORMATS", '["grib2", "netcdf"]')
    run_id = shell.json(*RUN)["run_id"]
    known = shell.json("products", "list")
    store = tmp_path / "var/products"
    (tmp_path / "var/sigmacast.db").unlink()
    with served(store) as server:
        for address in (server.url, f"{server.url}/latest.json", str(store), store.as_uri()):
            listed = shell.json("products", "list", "--from", address)
            assert listed["run"] == run_id
            ours = {one["key"]: one["sha256"] for one in known["products"] if one["kind"] != "manifest"}
            assert {one["key"]: one["sha256"] for one in listed["products"]} == ours
        chosen = ["--lead", "12", "--kind", "members", "--format", "netcdf", "--to", "whole"]
        (whole,) = shell.json("products", "download", "--from", server.url, *chosen)["files"]
        assert Path(whole).read_bytes() == (store / Path(whole).relative_to("whole")).read_bytes()
        wanted = ["--lead", "12", "--param", "z", "--level", "500", "--member", "1", "--to", "messages"]
        (some,) = shell.json("products", "download", "--from", server.url, *wanted)["files"]
    assert some.endswith("-12h-enfo-ef.z_500_m1.grib2")
    content = Path(some).read_bytes()
    assert content.startswith(b"GRIB") and content.count(b"GRIB") == 1
    assert content in (store / Path(some.replace(".z_500_m1", "")).relative_to("messages")).read_bytes()
    assert shell("products", "download", "--from", str(store), "--param", "nothing") == ExitCode.NOT_FOUND
    assert "no message of run" in shell.err
    assert shell("products", "list", "--from", str(store), "--format", "gif") == ExitCode.USAGE
    assert "expected one of grib2, netcdf" in shell.err
    assert shell("products", "list", "--from", "ftp://example.org") == ExitCode.USAGE
    assert shell("products", "list", "--from", str(tmp_path / "nowhere")) == ExitCode.NOT_FOUND


def test_a_product_that_does_not_exist_is_told_with_those_that_do(shell):
    shell(*RUN)
    assert shell("products", "--lead", "7") == ExitCode.NOT_FOUND
    assert "0 to 24 h" in shell.err


def test_models_are_imported_listed_and_shown(shell, neuralgcm_data):
    imported = shell.json("models", "import", str(neuralgcm_data.checkpoint), "--name", "mini")
    assert imported["parameters"] == 191_174
    assert [one["name"] for one in shell.json("models", "list")] == ["mini", "tiny"]
    shown = shell.json("models", "show", "mini")
    assert shown["provenance"]["licence"] == "CC BY-SA 4.0"
    assert shown["sha256"] == imported["sha256"]
    assert shell("models", "show", "mini") == ExitCode.OK
    assert "CC BY-SA 4.0" in shell.out


def test_a_damaged_model_is_listed_as_such_beside_the_others(shell):
    save_model(Path("var/models"), "other")
    Path("var/models/other/checkpoint.json").write_text("{}")
    rows = {one["name"]: "damaged" in one for one in shell.json("models", "list")}
    assert rows == {"other": True, "tiny": False}


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(shell, tmp_path):
    import os
    import pickle

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    assert shell("models", "import", "evil.pkl", "--name", "evil") == ExitCode.FAILED
    assert "system" in shell.err
    assert not (tmp_path / "ran").exists()


def test_the_demo_ends_with_three_commands_that_work(shell, monkeypatch):
    monkeypatch.setattr("ops.demo.ensure_model", lambda models: save_model(models, "demo"))
    assert shell("demo") == ExitCode.OK
    lines = shell.out.splitlines()
    commands = [line.split()[1:] for line in lines[lines.index("What next:") + 1 :]]
    assert [command[:2] for command in commands] == [["runs", "show"], ["products", "download"], ["run", "--source"]]
    row = shell.json("runs")[0]
    assert (row["model_name"], row["members_published"], row["spec"]["duration_hours"]) == ("demo", 4, 360.0)
    assert shell(*commands[0]) == ExitCode.OK
    assert shell(*commands[1]) == ExitCode.OK
    assert list(Path("day5").rglob("*-120h-*.nc"))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["runs", "show", "nothing"], ExitCode.NOT_FOUND, "there is no run 'nothing'"),
        (["models", "show", "nothing"], ExitCode.NOT_FOUND, "no model named 'nothing'"),
        (["run", "--cycle", "yesterday"], ExitCode.USAGE, "--cycle: expected a cycle such as"),
        (["run", "--members", "0"], ExitCode.USAGE, "forecast.members"),
        (["run", "--days", "0.8"], ExitCode.USAGE, "multiples of the interval"),
        (["run", "--source", "moon"], ExitCode.USAGE, "demo, files"),
        (["run", "--source", "files"], ExitCode.USAGE, "needs a path"),
        (["run", "--path", "nowhere.grib2"], ExitCode.INPUT_REFUSED, "nowhere.grib2"),
        (["run", "--cycle", "2026-11-21T06"], ExitCode.INPUT_REFUSED, "1959"),
        (["runs", "--state", "flying"], ExitCode.USAGE, "published"),
        (["runs", "--config", "nowhere.toml"], ExitCode.USAGE, "nowhere.toml"),
        (["fly"], ExitCode.USAGE, "No such command"),
    ],
)
def test_a_mistake_is_told_in_one_paragraph_with_its_code(shell, arguments, code, told):
    assert shell(*arguments) == code
    assert told in shell.err
    assert "Traceback" not in shell.err
    assert shell.out == ""


def test_an_unknown_key_in_the_file_is_told_with_the_nearest(shell):
    Path("sigmacast.toml").write_text("[forecast]\nmember = 3\n")
    assert shell("runs") == ExitCode.USAGE
    assert "forecast.member in sigmacast.toml; the nearest one is forecast.members" in shell.err


def test_a_database_that_is_not_there_is_told_without_its_password(shell, monkeypatch):
    monkeypatch.setenv("SIGMACAST_DATABASE__URL", "postgresql://me:s3cret@127.0.0.1:1/none")
    for arguments in (["runs"], ["db", "upgrade"], ["runs", "--debug"]):
        assert shell(*arguments) == ExitCode.HISTORY_UNAVAILABLE
        assert "me:***@127.0.0.1" in shell.err
        assert "s3cret" not in shell.out + shell.err


def test_a_server_without_tables_asks_for_the_upgrade(shell, monkeypatch, postgresql_url):
    from uuid import uuid4

    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url

    name = f"cli_{uuid4().hex}"
    with create_engine(postgresql_url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(postgresql_url).set(database=name).render_as_string(hide_password=False)
    monkeypatch.setenv("SIGMACAST_DATABASE__URL", url)
    assert shell("runs") == ExitCode.HISTORY_UNAVAILABLE
    assert "sigmacast db upgrade" in shell.err
    assert shell("db", "upgrade") == ExitCode.OK
    assert shell("runs") == ExitCode.OK


def test_a_lost_quorum_and_an_unexpected_error_have_codes_of_their_own(shell):
    shell.forecaster(FakeForecaster(fail_at=12, error=QuorumLost("1 of 2 members left, 2 are needed")))
    assert shell(*RUN) == ExitCode.QUORUM_LOST
    shell.forecaster(FakeForecaster(fail_at=12))
    assert shell(*RUN) == ExitCode.FAILED
    assert "unexpected RuntimeError: the device fell off the bus" in shell.err
    assert "Traceback" not in shell.err
    assert shell(*RUN, "--debug") == ExitCode.FAILED
    assert "Traceback" in shell.err and "_mishap" in shell.err


SUBJECTS = ["python", "packages", "device", "database", "store", "feeds"]
SUBJECTS += ["models", "disk", "clock", "port", "permissions"]


def test_doctor_finds_nothing_wrong_where_nothing_is(shell):
    findings = {one["subject"]: one for one in shell.json("doctor")}
    assert list(findings) == SUBJECTS
    assert all(one["ok"] for one in findings.values())
    assert list(Path("var/products").rglob("*probe*")) == []


def test_doctor_in_another_directory_tells_where_it_looks_and_makes_no_history(shell, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert shell("doctor", "--json") == ExitCode.FAILED
    findings = {one["subject"]: one for one in json.loads(shell.out)}
    assert findings["database"]["found"].startswith(f"none yet at {elsewhere}/var/sigmacast.db")
    assert not findings["models"]["ok"]
    assert not list(elsewhere.rglob("*.db*"))


def test_doctor_says_what_is_wrong_and_how_to_mend_it(shell, monkeypatch):
    Path("var/models/tiny/arrays.safetensors").write_bytes(b"nonsense")
    Path("blocked").write_text("a file where a directory is needed")
    monkeypatch.setenv("SIGMACAST_STORE__URL", "blocked/products")
    monkeypatch.setenv("SIGMACAST_PATHS__WORK", "blocked/work")
    monkeypatch.setenv("SIGMACAST_DATABASE__URL", "postgresql://me:s3cret@127.0.0.1:1/none")
    assert shell("doctor", "--json") == ExitCode.FAILED
    wrong = {one["subject"]: one for one in json.loads(shell.out) if not one["ok"]}
    assert list(wrong) == ["database", "store", "models", "disk"]
    assert wrong["disk"]["mend"].count("make ") == 2 and "paths.work" in wrong["disk"]["mend"]
    assert all(one["mend"] for one in wrong.values())
    assert "s3cret" not in shell.out


def started(*arguments: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Seconds of processor time, and what was printed."""
    code = (
        "import sys, time\n"
        "try:\n    from ops.cli import main; main()\n"
        "finally:\n"
        "    heavy = {'jax', 'xarray', 'matplotlib', 'eccodes', 'numpy', 'pandas'} & set(sys.modules)\n"
        "    print(time.process_time(), sorted(heavy), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return float(ended.stderr.splitlines()[-1].split()[0]), ended


def test_help_is_there_at_once():
    seconds, ended = min((started("--help") for _ in range(3)), key=lambda one: one[0])
    assert "Usage: sigmacast" in ended.stdout
    assert seconds < 0.6


@pytest.mark.parametrize("arguments", [["--help"], ["runs"], ["runs", "--json"], ["products", "--help"]])
def test_queries_load_nothing_heavy(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    assert started(*arguments)[1].stderr.splitlines()[-1].endswith("[]")


def test_the_program_is_installed_and_knows_its_version(tmp_path):
    program = Path(sys.executable).with_name("sigmacast")
    if not program.is_file():
        pytest.skip("sigmacast is not installed in this environment")
    begun = time.monotonic()
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout.startswith("sigmacast ")
    assert time.monotonic() - begun < 30
