"""`docker compose up` starts services that exist and are complete, with settings that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer
from psycopg.conninfo import conninfo_to_dict
from ruamel.yaml import YAML

from oms_es.app.workers import ROLES, roles_of
from oms_es.cli import main as cli
from oms_es.settings import Settings
from repository import ROOT

COMPOSE = ROOT / "docker-compose.yml"
SERVICES: dict[str, Any] = YAML(typ="safe").load(COMPOSE.read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "oms-es"}
STAGES = (ROOT / "Dockerfile").read_text().split("\nFROM ")
IMAGE = STAGES[-1]


def test_it_is_a_compose_file() -> None:
    checker = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run([sys.executable, *checker], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_ours_with_its_arguments(name: str) -> None:
    app = typer.main.get_command(cli.app)
    word, *arguments = OURS[name]["command"]
    command = app.commands[word]  # type: ignore[attr-defined] # a group, as the command line is one
    command.make_context(word, list(arguments))  # raises on what it does not know


def test_every_role_is_run_by_one_service() -> None:
    run = [roles_of(service["command"][1:]) for service in OURS.values() if service["command"][0] == "worker"]
    assert sorted(role for roles in run for role in roles) == sorted(ROLES)


def test_workers_begin_when_tables_and_topics_are_there_and_those_when_their_servers_are_healthy() -> None:
    assert OURS["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert OURS["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in OURS.keys() - {"migrate", "topics"}:
        done = {"condition": "service_completed_successfully"}
        assert OURS[name]["depends_on"] == {"migrate": done, "topics": done}
    assert all("healthcheck" in SERVICES[server] for server in ("kafka", "postgres"))


def environment(service: dict[str, Any]) -> dict[str, str]:
    """Return the environment of the image and the service, with the operator's choices."""
    of_image = dict(re.findall(r"(OMS_\w+)=(\S+)", IMAGE))
    return of_image | {
        name: re.sub(r"\$\{\w+:[^}]*\}", "chosen", value) for name, value in service["environment"].items()
    }


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_its_value_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in environment(OURS[name]).items():
        assert variable.removeprefix("OMS_").lower() in Settings.model_fields, variable
        monkeypatch.setenv(variable, value)
    settings = Settings()
    assert settings.database_url
    assert conninfo_to_dict(settings.database_url)["host"] in SERVICES
    assert settings.kafka
    assert settings.kafka.partition(":")[0] in SERVICES
    assert settings.gateways == "simulated", "nothing real is connected, and nothing would ever leave"


def test_kafka_is_of_the_version_that_is_tested_and_makes_no_topics_by_itself() -> None:
    pom = (ROOT / "ops" / "kafka" / "pom.xml").read_text()
    assert f"<kafka.version>{SERVICES['kafka']['image'].partition(':')[2]}<" in pom
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_image_runs_our_command_as_no_one_in_particular_and_asks_where_health_is_served() -> None:
    assert re.search(r"^USER oms$", IMAGE, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["oms-es"\]$', IMAGE, re.MULTILINE)
    port = environment(OURS["relay"])["OMS_METRICS_PORT"]
    assert f"http://127.0.0.1:{port}/livez" in IMAGE


def test_what_the_image_copies_is_there_and_is_not_ignored() -> None:
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    copied = [shlex.split(line)[1:-1] for line in "\nFROM ".join(STAGES[:-1]).splitlines() if line.startswith("COPY ")]
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists()
        assert name in allowed
