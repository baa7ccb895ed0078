"""What can be said of the container files without a container runtime: structure, pins, users, secrets, commands."""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from ops.cli import app

SECRET = re.compile(r"(?i)(password|secret|token|_key)(?!_file)\w*\s*[=:]\s*\S")


@pytest.fixture(scope="module")
def deploy(repository) -> Path:
    return repository / "ops" / "deploy"


@pytest.fixture(scope="module")
def stages(deploy) -> dict[str, list[tuple[str, str]]]:
    """Instructions of the Containerfile, by the name of their stage."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", (deploy / "Containerfile").read_text(), flags=re.MULTILINE))
    found: dict[str, list[tuple[str, str]]] = {"": []}
    name = ""
    for line in filter(None, text.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()
            found[name] = [("FROM", base)]
        else:
            found[name].append((instruction, rest))
    return found


@pytest.fixture(scope="module")
def compose(deploy) -> dict:
    return yaml.safe_load((deploy / "compose.yml").read_text())


def lineage(stages, name: str) -> list[tuple[str, str]]:
    """The instructions of a stage, and of those that it is made from, the oldest first."""
    base = stages[name][0][1]
    return (lineage(stages, base) if base in stages else []) + stages[name]


def last(instructions, wanted: str) -> str:
    return next(rest for instruction, rest in reversed(instructions) if instruction == wanted)


def test_every_base_is_pinned_by_its_tag(stages):
    default = dict(line.split("=") for instruction, line in stages[""] if instruction == "ARG")
    bases = {instructions[0][1] for name, instructions in stages.items() if name} - set(stages)
    assert bases == {"docker.io/library/python:${PYTHON}"}
    assert re.fullmatch(r"3\.\d+\.\d+-slim-\w+", default["PYTHON"])


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_a_container_runs_the_daemon_as_a_user_without_rights_and_tells_its_health(stages, target):
    instructions = lineage(stages, target)
    assert last(instructions, "USER") == "10001:10001"
    assert json.loads(last(instructions, "ENTRYPOINT")) == ["sigmacast"]
    assert json.loads(last(instructions, "CMD")) == ["daemon"]
    assert last(instructions, "STOPSIGNAL") == "SIGTERM"
    program = json.loads(last(instructions, "HEALTHCHECK").split(" CMD ")[1])
    compile(program[2], "healthcheck", "exec")
    assert "/healthz" in program[2]


def test_what_is_installed_has_the_hashes_of_the_locks(stages, deploy):
    installs = [
        rest for name in stages for instruction, rest in stages[name] if instruction == "RUN" and "pip " in rest
    ]
    commands = [command.strip() for rest in installs for command in rest.split("&&") if "pip " in command]
    fetched = [command for command in commands if "--requirement" in command]
    assert len(fetched) == 2 and all("--require-hashes" in command for command in fetched)
    assert ("ENV", "PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels") in stages["wheels"]
    others = [command for command in commands if command not in fetched]
    assert [
        command for command in others if not re.search(r"pip (install --quiet '?sigmacast|wheel .* \.$)", command)
    ] == []


def test_the_lock_for_cuda_adds_to_the_other_and_has_hashes_for_everything(deploy, repository):
    def entries(path: Path) -> set[str]:
        return {line.split(" ")[0] for line in path.read_text().splitlines() if line and line[0] not in " #"}

    cuda, rest = entries(deploy / "requirements-cuda.lock"), entries(repository / "requirements.lock")
    assert any(entry.startswith("jax-cuda12-plugin==") for entry in cuda)
    assert cuda & rest == set()
    versions = {entry.split("==")[1] for entry in rest if entry.startswith("jax==")}
    assert {entry.split("==")[1].rsplit(".", 0)[0][:4] for entry in cuda if "plugin" in entry} == {
        version[:4] for version in versions
    }
    blocks = re.split(r"\n(?=\S)", (deploy / "requirements-cuda.lock").read_text())
    assert [block for block in blocks[1:] if "--hash=sha256:" not in block] == []


def test_no_layer_holds_a_secret(stages):
    lines = [
        rest for instructions in stages.values() for instruction, rest in instructions if instruction in ("ENV", "ARG")
    ]
    assert [line for line in lines if SECRET.search(line)] == []


def test_only_what_is_needed_reaches_the_builder(stages, deploy, repository):
    rules = [line for line in (deploy / "Containerfile.dockerignore").read_text().splitlines() if line[:1] != "#"]

    def reaches(path: str) -> bool:
        """The last rule that names the path, or a folder that it is in, decides."""
        named = [rule for rule in rules if any(fnmatch(one, rule.lstrip("!")) for one in beginnings(path))]
        return bool(named) and named[-1].startswith("!")

    copied = [rest.split() for instructions in stages.values() for name, rest in instructions if name == "COPY"]
    sources = [word for words in copied if not words[0].startswith("--from") for word in words[:-1]]
    assert len(sources) > 8
    assert [source for source in sources if not ((repository / source).exists() and reaches(source))] == []
    hidden = ("ops/deploy/secrets/aws", "var/sigmacast.db", "sigmacast.toml", ".git/config", "ops/sigmacast.toml")
    assert [path for path in hidden if reaches(path)] == []


def beginnings(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def test_the_image_has_every_package_that_the_project_has(stages, repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    wanted = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    copied = {rest.split()[0] for instruction, rest in stages["wheels"] if instruction == "COPY"}
    assert wanted <= copied


def test_services_are_pinned_confined_and_listen_on_the_loopback_only(compose):
    for name, service in compose["services"].items():
        tag = service["image"].rpartition(":")[2]
        assert tag in ("cpu", "cuda") or re.match(r"\d+\.\d+", tag), name
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []
        assert not service.get("privileged") and "network_mode" not in service


def test_services_get_their_secrets_as_files(compose):
    for name, service in compose["services"].items():
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        environment = service.get("environment", {})
        assert [key for key in environment if re.search("PASSWORD$|SECRET$|_URL$", key) and "ENDPOINT" not in key] in (
            [],
            ["SIGMACAST_STORE__URL"],
        )
        named = [value for value in environment.values() if str(value).startswith("/run/secrets/")]
        assert {Path(value).name for value in named} <= set(service["secrets"])


def test_services_wait_for_those_that_they_need(compose):
    services = compose["services"]
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            assert "test" in services[other]["healthcheck"] if healthy else services[other]["restart"] == "no"


def test_services_set_what_can_be_set(compose, tmp_path, monkeypatch):
    from ops.config import load

    monkeypatch.chdir(tmp_path)
    (tmp_path / "url").write_text("postgresql://me:s3cret@database/sigmacast")
    environment = compose["services"]["daemon"]["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, "url" if name.endswith("URL_FILE") else value)
    settings = load()
    assert settings.store.url == "s3://forecasts"
    assert settings.database.url.get_secret_value().startswith("postgresql://")


def test_a_daemon_has_the_time_to_drain(compose):
    assert {compose["services"][name]["stop_grace_period"] for name in ("daemon", "daemon-cuda")} == {"30m"}


def test_the_tables_are_made_before_the_daemon_starts(compose):
    prepared = compose["services"]["prepared"]
    group, command = prepared["command"]
    assert command in get_command(app).commands[group].commands
    compile(compose["services"]["bucket"]["entrypoint"][2], "bucket", "exec")


def test_secrets_are_made_once_and_fit_together(deploy, tmp_path):
    script = shutil.copy(deploy / "make-secrets", tmp_path)
    subprocess.run([script], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert made["database_url"] == f"postgresql://sigmacast:{made['database_password']}@database/sigmacast"
    pair = json.loads(made["s3_identities"])["identities"][0]["credentials"][0]
    assert shlex.split(made["aws"].splitlines()[1])[-1] == pair["accessKey"]
    assert made["aws"].splitlines()[2].split()[-1] == pair["secretKey"] and len(pair["secretKey"]) == 48
    subprocess.run([script], check=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


def test_secrets_are_what_the_services_take(compose, deploy, tmp_path):
    script = shutil.copy(deploy / "make-secrets", tmp_path)
    subprocess.run([script], check=True)
    assert {Path(one["file"]).name for one in compose["secrets"].values()} == {
        path.name for path in (tmp_path / "secrets").iterdir()
    }
